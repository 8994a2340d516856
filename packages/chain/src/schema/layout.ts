import { PinGoError } from '@pingo/wire'
import { Address, type Builder, beginCell, Cell, type Dictionary, type Slice } from '@ton/core'

/**
 * A field of a message or of a contract's storage, in words that Tolk and TypeScript share. In TypeScript: integers of up to 32 bits are
 * `number`, longer ones and `coins` `bigint`, `bitsN` a `Buffer` of N / 8 bytes, `rest` all that is left of the cell, `dict` the root of a
 * dictionary or null, and a layout stands for an object of that layout in a cell of its own.
 */
export type Field =
  | 'bool'
  | 'coins'
  | 'address'
  | 'address?'
  | 'cell'
  | 'cell?'
  | 'dict'
  | 'rest'
  | `uint${number}`
  | `int${number}`
  | `bits${number}`
  | Layout

/** Fields in the order in which they are stored. */
export type Fields = Readonly<Record<string, Field>>

/** A message (with its op-code) or a storage (without one): what is stored, in which order, and why. */
// biome-ignore lint/suspicious/noExplicitAny: a layout of whatever fields; `Fields` itself would make the type circular
export interface Layout<F extends Fields = any> {
  readonly name: string
  /** 32-bit prefix of a message, absent in a storage. */
  readonly op?: number
  readonly doc: string
  readonly fields: F
  /** A message whose gas counts: Tolk gets words to meet it first (`toTolk`). */
  readonly first?: boolean
}

type Small = '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '16' | '24' | '32'

/** What a field is in TypeScript. */
export type Value<T extends Field> =
  T extends Layout<infer F>
    ? Values<F>
    : T extends 'bool'
      ? boolean
      : T extends 'coins'
        ? bigint
        : T extends 'address'
          ? Address
          : T extends 'address?'
            ? Address | null
            : T extends 'cell'
              ? Cell
              : T extends 'cell?' | 'dict'
                ? Cell | null
                : T extends 'rest'
                  ? Slice
                  : T extends `bits${number}`
                    ? Buffer
                    : T extends `uint${Small}` | `int${Small}`
                      ? number
                      : bigint

/** What the fields of a layout are in TypeScript. */
export type Values<F extends Fields> = { [K in keyof F]: Value<F[K]> }

/** The object that a layout describes. */
export type Of<L> = L extends Layout<infer F> ? Values<F> : never

/** A message: 32-bit op-code, then the fields. A contract meets its `first` message without asking for any other. */
export function message<const F extends Fields>(
  name: string,
  op: number,
  doc: string,
  fields: F,
  { first = false } = {},
): Layout<F> {
  return { name, op, doc, fields, first }
}

/** A storage, or a part of a message in a cell of its own: the fields alone. */
export function storage<const F extends Fields>(name: string, doc: string, fields: F): Layout<F> {
  return { name, doc, fields }
}

/** The cell of a message or storage. Throws what `@ton/core` throws where a value is out of its range. */
export function encode<F extends Fields>(layout: Layout<F>, values: Values<F>): Cell {
  const builder = beginCell()
  if (layout.op !== undefined) builder.storeUint(layout.op, 32)
  for (const [name, field] of Object.entries(layout.fields as Fields)) {
    put(builder, field, (values as Record<string, unknown>)[name])
  }
  return builder.endCell()
}

/** Reads a message or storage. @throws PinGoError CHAIN_LAYOUT when the op-code or the shape is another. */
export function decode<F extends Fields>(layout: Layout<F>, from: Cell | Slice): Values<F> {
  const slice = from instanceof Cell ? from.beginParse() : from.clone()
  const out: Record<string, unknown> = {}
  try {
    if (layout.op !== undefined && slice.loadUint(32) !== layout.op) throw new Error('another op-code')
    for (const [name, field] of Object.entries(layout.fields as Fields)) out[name] = take(slice, field)
    if (slice.remainingBits > 0 || slice.remainingRefs > 0) throw new Error('more than the fields')
  } catch (cause) {
    throw new PinGoError('CHAIN_LAYOUT', `this cell is no ${layout.name}: ${(cause as Error).message}`, { cause })
  }
  return out as Values<F>
}

/** The op-code of a message's body, or undefined when it has none. */
export function opOf(body: Cell | Slice): number | undefined {
  const slice = body instanceof Cell ? body.beginParse() : body
  return slice.remainingBits < 32 ? undefined : slice.preloadUint(32)
}

/** Tolk's structs of the layouts, in order: the text of `contracts/messages.tolk` and `storage.tolk`. */
export function toTolk(layouts: readonly Layout[]): string {
  const parts = layouts.flatMap(({ fields }) =>
    Object.values(fields as Fields).filter((field) => typeof field !== 'string'),
  )
  return [...new Set([...parts, ...layouts])]
    .map(({ name, op, doc, fields, first }) => {
      const prefix = op === undefined ? '' : ` (${hex(op)})`
      const lines = Object.entries(fields as Fields).map(([key, field]) => `    ${key}: ${tolkType(field)}\n`)
      const constant = op === undefined ? '' : `const OP_${name} = ${hex(op)}\n`
      const taking = op !== undefined && first ? `\n${toTolkFirst(name, op, lines)}` : ''
      return `/// ${doc}\nstruct${prefix} ${name} {\n${lines.join('')}}\n${constant}${taking}`
    })
    .join('\n')
}

/** Takes the op-code off in one instruction; what follows it is a struct of its own. */
function toTolkFirst(name: string, op: number, lines: readonly string[]): string {
  return [
    `/// Is it this message? Then its op-code is taken off, and a ${name}Fields follows.`,
    '@pure',
    `fun slice.takes${name}(mutate self): bool`,
    `    asm "x{${hex(op).slice(2)}} SDBEGINSQ"\n`,
    `struct ${name}Fields {\n${lines.join('')}}\n`,
  ].join('\n')
}

function hex(op: number): string {
  return `0x${op.toString(16).padStart(8, '0')}`
}

function tolkType(field: Field): string {
  if (typeof field !== 'string') return `Cell<${field.name}>`
  return field === 'rest' ? 'RemainingBitsAndRefs' : field
}

const NUMBER_BITS = 32

// biome-ignore lint/suspicious/noExplicitAny: `encode` has typed the value by its field
function put(builder: Builder, field: Field, value: any): void {
  if (typeof field !== 'string') builder.storeRef(encode(field, value))
  else if (field === 'bool') builder.storeBit(value)
  else if (field === 'coins') builder.storeCoins(value)
  else if (field === 'address' || field === 'address?') {
    if (field === 'address' && !(value instanceof Address)) throw new TypeError('an address is missing')
    builder.storeAddress(value)
  } else if (field === 'cell') builder.storeRef(value)
  else if (field === 'cell?' || field === 'dict') builder.storeMaybeRef(value)
  else if (field === 'rest') builder.storeSlice(value)
  else {
    const { kind, bits } = sized(field)
    if (kind === 'uint') builder.storeUint(value, bits)
    else if (kind === 'int') builder.storeInt(value, bits)
    else {
      if (value.length * 8 !== bits) throw new RangeError(`${field} wants ${bits / 8} bytes`)
      builder.storeBuffer(value)
    }
  }
}

function take(slice: Slice, field: Field): unknown {
  if (typeof field !== 'string') return decode(field, slice.loadRef())
  if (field === 'bool') return slice.loadBit()
  if (field === 'coins') return slice.loadCoins()
  if (field === 'address') return slice.loadAddress()
  if (field === 'address?') return slice.loadMaybeAddress()
  if (field === 'cell') return slice.loadRef()
  if (field === 'cell?' || field === 'dict') return slice.loadMaybeRef()
  if (field === 'rest') {
    const rest = slice.clone()
    slice.skip(slice.remainingBits)
    while (slice.remainingRefs > 0) slice.loadRef()
    return rest
  }
  const { kind, bits } = sized(field)
  if (kind === 'bits') return slice.loadBuffer(bits / 8)
  const big = kind === 'uint' ? slice.loadUintBig(bits) : slice.loadIntBig(bits)
  return bits <= NUMBER_BITS ? Number(big) : big
}

function sized(field: string): { kind: 'uint' | 'int' | 'bits'; bits: number } {
  const match = /^(uint|int|bits)(\d+)$/.exec(field)
  if (!match) throw new Error(`unknown field type ${field}`)
  return { kind: match[1] as 'uint', bits: Number(match[2]) }
}

/** A forward payload of TEP-74 (`Either Cell ^Cell`): nothing, or a cell by reference. */
export function forwardPayload(payload: Cell | null): Slice {
  const builder = beginCell().storeBit(payload !== null)
  if (payload) builder.storeRef(payload)
  return builder.endCell().beginParse()
}

/** A dictionary as the field `dict` wants it: its root, or null when empty. */
export function dictRoot<K extends bigint | number | Address | Buffer, V>(dictionary: Dictionary<K, V>): Cell | null {
  const cell = beginCell().storeDict(dictionary).endCell().beginParse()
  return cell.loadMaybeRef()
}
