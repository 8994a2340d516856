import { PinGoError } from '@pingo/wire'
import { Cell, type TupleItem } from '@ton/core'

/** Depth of tuples within tuples that is read. */
const MAX_DEPTH = 16

/** Arguments of a get method as toncenter takes them. */
export function writeStack(items: readonly TupleItem[]): unknown[] {
  return items.map((item) => {
    if (item.type === 'int')
      return ['num', item.value < 0n ? `-0x${(-item.value).toString(16)}` : `0x${item.value.toString(16)}`]
    if (item.type === 'cell') return ['tvm.Cell', item.cell.toBoc().toString('base64')]
    if (item.type === 'slice') return ['tvm.Slice', item.cell.toBoc().toString('base64')]
    if (item.type === 'builder') return ['tvm.Builder', item.cell.toBoc().toString('base64')]
    throw new PinGoError('CHAIN_GET_METHOD', `get methods take no arguments of type ${item.type} over HTTP`)
  })
}

/** What a get method gave, from toncenter's form. @throws PinGoError CHAIN_ANSWER. */
export function readStack(items: readonly unknown[]): TupleItem[] {
  try {
    return items.map((item) => {
      const [type, value] = item as [string, string & { bytes: string; elements: unknown[] }]
      if (type === 'num') return readNumber(value)
      if (type === 'null') return { type: 'null' }
      if (type === 'tuple' || type === 'list') return readTuple(value.elements, 0)
      if (type === 'cell' || type === 'slice' || type === 'builder') return { type, cell: Cell.fromBase64(value.bytes) }
      throw new Error(`an item of type ${type}`)
    })
  } catch (cause) {
    throw new PinGoError('CHAIN_ANSWER', `the server gave a stack that can't be read: ${(cause as Error).message}`, {
      cause,
    })
  }
}

function readNumber(text: string): TupleItem {
  if (text === 'NaN') return { type: 'nan' }
  return { type: 'int', value: text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text) }
}

function readTuple(elements: readonly unknown[], depth: number): TupleItem {
  if (depth > MAX_DEPTH) throw new Error('tuples within tuples')
  // toncenter has no null of its own: it is the empty list
  if (elements.length === 0) return { type: 'null' }
  return { type: 'tuple', items: elements.map((element) => readEntry(element, depth + 1)) }
}

/** As toncenter writes it: one of these is there, by its type. Reading another throws. */
interface Entry {
  '@type': string
  number: { number: string }
  cell: { bytes: string }
  slice: { bytes: string }
  tuple: { elements: unknown[] }
  list: { elements: unknown[] }
}

function readEntry(entry: unknown, depth: number): TupleItem {
  const { '@type': type, ...value } = entry as Entry
  if (type === 'tvm.stackEntryNumber') return readNumber(String(value.number.number))
  if (type === 'tvm.stackEntryCell') return { type: 'cell', cell: Cell.fromBase64(value.cell.bytes) }
  if (type === 'tvm.stackEntrySlice') return { type: 'slice', cell: Cell.fromBase64(value.slice.bytes) }
  if (type === 'tvm.stackEntryTuple') return readTuple(value.tuple.elements, depth)
  if (type === 'tvm.stackEntryList') return readTuple(value.list.elements, depth)
  throw new Error(`an entry of type ${type}`)
}
