import { PinGoError } from '@pingo/wire'
import { PbfReader } from 'pbf'

/** Deepest nesting of messages (a subgraph in an attribute of a node in a subgraph … counts several). */
export const MAX_MESSAGE_DEPTH = 40
const UTF8 = new TextDecoder()
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

export const malformed = (why: string, cause?: unknown): PinGoError =>
  new PinGoError('ONNX_MALFORMED', `This is not a whole ONNX file: ${why}.`, { cause, hint: 'Export the model again.' })

/** One field of a message: a reader of its value, whatever way it was written. Every read is checked against the field's end. */
export class Field {
  readonly number: number
  readonly #wire: number
  readonly #pbf: PbfReader
  readonly #start: number
  readonly #end: number
  readonly #depth: number

  constructor(number: number, wire: number, pbf: PbfReader, start: number, end: number, depth: number) {
    this.number = number
    this.#wire = wire
    this.#pbf = pbf
    this.#start = start
    this.#end = end
    this.#depth = depth
  }

  get bytes(): Uint8Array {
    if (this.#wire !== BYTES) throw malformed(`field ${this.number} should hold bytes`)
    return this.#pbf.buf.subarray(this.#start, this.#end)
  }

  get string(): string {
    return UTF8.decode(this.bytes)
  }

  /** A nested message's fields. */
  message(read: (field: Field) => void): void {
    const bytes = this.bytes
    readMessage(bytes, read, this.#depth + 1)
  }

  /** A signed 64-bit integer as a number (beyond 2^53 the last bits are lost). */
  get int(): number {
    return this.#scalar(VARINT, () => this.#pbf.readVarint(true))
  }

  get float(): number {
    return this.#scalar(FIXED32, () => this.#pbf.readFloat())
  }

  /** Appends the values of a repeated field, packed or not. */
  ints(into: number[]): void {
    this.#repeated(VARINT, () => into.push(this.#pbf.readVarint(true)))
  }

  bigints(into: bigint[]): void {
    this.#repeated(VARINT, () => into.push(this.#bigint()))
  }

  floats(into: number[]): void {
    this.#repeated(FIXED32, () => into.push(this.#pbf.readFloat()))
  }

  doubles(into: number[]): void {
    this.#repeated(FIXED64, () => into.push(this.#pbf.readDouble()))
  }

  #scalar(wire: number, read: () => number): number {
    if (this.#wire !== wire) throw malformed(`field ${this.number} has the wrong type`)
    this.#pbf.pos = this.#start
    const value = read()
    if (this.#pbf.pos > this.#end) throw malformed('it is cut off')
    return value
  }

  #repeated(wire: number, read: () => void): void {
    if (this.#wire !== wire && this.#wire !== BYTES) throw malformed(`field ${this.number} has the wrong type`)
    this.#pbf.pos = this.#start
    while (this.#pbf.pos < this.#end) {
      read()
      if (this.#pbf.pos > this.#end) throw malformed('it is cut off')
    }
  }

  #bigint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#pbf.buf[this.#pbf.pos++]
      if (byte === undefined) throw malformed('it is cut off')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, value)
    }
    throw malformed('an integer is too long')
  }
}

/**
 * Calls `read` for every field of a protobuf message. pbf decodes the scalars; the bounds are checked here, because a
 * decoder for trusted tiles need not.
 * @throws PinGoError ONNX_MALFORMED for anything cut off, nested too deep or of a wire type that protobuf does not have
 */
export function readMessage(bytes: Uint8Array, read: (field: Field) => void, depth = 0): void {
  if (depth > MAX_MESSAGE_DEPTH) throw malformed('it is nested too deep')
  const pbf = new PbfReader(bytes)
  const end = bytes.byteLength
  while (pbf.pos < end) {
    const tag = pbf.readVarint()
    if (pbf.pos > end) throw malformed('it is cut off')
    const number = Math.floor(tag / 8)
    const wire = tag % 8
    if (number < 1 || number > 0x1fffffff) throw malformed('a field has no number')
    let start = pbf.pos
    let stop: number
    if (wire === VARINT) {
      pbf.readVarint(true)
      stop = pbf.pos
    } else if (wire === FIXED64) stop = start + 8
    else if (wire === FIXED32) stop = start + 4
    else if (wire === BYTES) {
      const length = pbf.readVarint()
      start = pbf.pos
      stop = start + length
    } else throw malformed(`it has a field of wire type ${wire}`)
    if (stop > end) throw malformed('it is cut off')
    read(new Field(number, wire, pbf, start, stop, depth))
    pbf.pos = stop
  }
}
