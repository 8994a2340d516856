import { once } from 'node:events'
import * as dagCbor from '@ipld/dag-cbor'
import { CID, PinGoError } from '@pingo/wire'
import { MAX_BLOCK_BYTES } from '../limits.ts'

/** What an import brought. */
export interface CarImport {
  roots: string[]
  blocks: number
  bytes: number
}

const MAX_HEADER_BYTES = 64 << 10
const MAX_CID_BYTES = 100
const MAX_ROOTS = 1_000
const MAX_VARINT_BYTES = 8
const V2_PRAGMA_BYTES = 11
const V2_HEADER_BYTES = 40
/** Before the data of a CARv2. */
const MAX_PADDING_BYTES = 1 << 20

/** The header and blocks of a CAR (ipld CARv1), piece by piece. */
export async function* carSections(
  root: CID,
  blocks: AsyncIterable<{ cid: CID; bytes: Uint8Array }>,
): AsyncGenerator<Uint8Array> {
  const header = dagCbor.encode({ version: 1, roots: [root] })
  yield Buffer.concat([varint(header.byteLength), header])
  for await (const { cid, bytes } of blocks) {
    yield Buffer.concat([varint(cid.bytes.byteLength + bytes.byteLength), cid.bytes])
    yield bytes
  }
}

/** {@link carSections} of blocks that are named. */
async function* carBytes(
  root: CID,
  cids: Iterable<string>,
  read: (cid: CID) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const blocks = async function* () {
    for (const text of cids) {
      const cid = CID.parse(text)
      yield { cid, bytes: await read(cid) }
    }
  }
  yield* carSections(root, blocks())
}

/** Writes a CAR to a Node or web stream, no faster than it takes it, and ends it. */
export async function writeCar(
  writable: NodeJS.WritableStream | WritableStream<Uint8Array>,
  root: CID,
  cids: Iterable<string>,
  read: (cid: CID) => Promise<Uint8Array>,
): Promise<void> {
  if ('getWriter' in writable) {
    const writer = writable.getWriter()
    for await (const part of carBytes(root, cids, read)) await writer.write(part)
    return await writer.close()
  }
  const failed = once(writable, 'error').then(([error]) => Promise.reject(error))
  failed.catch(() => undefined)
  for await (const part of carBytes(root, cids, read))
    if (!writable.write(part)) await Promise.race([once(writable, 'drain'), failed])
  const ended = new Promise<void>((resolve) => writable.end(resolve))
  await Promise.race([ended, failed])
}

/**
 * Reads a CAR (ipld CARv1, or CARv2 in whose order its blocks stand; an index is passed over) in constant memory; blocks are not verified here.
 * @throws PinGoError CAR_MALFORMED
 */
export async function readCar(
  source: AsyncIterable<Uint8Array>,
): Promise<{ roots: CID[]; blocks: AsyncGenerator<{ cid: CID; bytes: Uint8Array }> }> {
  const bytes = new ByteReader(source)
  let header = await readHeader(bytes)
  if (header.version === 2) {
    await toInnerCar(bytes)
    header = await readHeader(bytes)
  }
  if (header.version !== 1) throw malformed('only versions 1 and 2 are read')
  const roots = Array.isArray(header.roots) ? header.roots.map((root) => CID.asCID(root)) : [null]
  if (roots.length > MAX_ROOTS || !roots.every((root) => root !== null)) throw malformed('its roots are invalid')
  return { roots: roots as CID[], blocks: sections(bytes) }
}

async function readHeader(bytes: ByteReader): Promise<{ version?: unknown; roots?: unknown }> {
  const headerBytes = await bytes.varint()
  if (headerBytes === undefined || headerBytes > MAX_HEADER_BYTES) throw malformed('it has no header')
  try {
    return dagCbor.decode(await bytes.take(headerBytes))
  } catch (cause) {
    throw malformed('its header cannot be read', cause)
  }
}

/** From behind the pragma of a CARv2 to the CARv1 in it: characteristics (16 bytes), then where its data and index are. */
async function toInnerCar(bytes: ByteReader): Promise<void> {
  const header = Buffer.from(await bytes.take(V2_HEADER_BYTES))
  const [offset, size] = [Number(header.readBigUInt64LE(16)), Number(header.readBigUInt64LE(24))]
  const padding = offset - V2_PRAGMA_BYTES - V2_HEADER_BYTES
  if (padding < 0 || padding > MAX_PADDING_BYTES) throw malformed('its data begin at an impossible place')
  await bytes.take(padding)
  bytes.endAfter(size)
}

async function* sections(bytes: ByteReader): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
  for (;;) {
    const length = await bytes.varint()
    if (length === undefined) return
    if (length === 0) continue // padding
    if (length > MAX_BLOCK_BYTES + MAX_CID_BYTES) throw malformed(`a block is over ${MAX_BLOCK_BYTES} bytes`)
    const section = await bytes.take(length)
    let cid: CID
    let rest: Uint8Array
    try {
      ;[cid, rest] = CID.decodeFirst(section)
    } catch (cause) {
      throw malformed('a block has no CID', cause)
    }
    yield { cid, bytes: rest }
  }
}

const malformed = (why: string, cause?: unknown) =>
  new PinGoError('CAR_MALFORMED', `The CAR is damaged: ${why}.`, { cause })

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value & 0x7f) | 0x80)
  return Uint8Array.of(...bytes, value)
}

/** Cuts pieces of wanted lengths out of a source. */
class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>
  #held: Uint8Array[] = []
  #bytes = 0
  /** Bytes of the source that are still to be read. */
  #left = Number.POSITIVE_INFINITY

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Takes what comes after so many bytes more for the end. */
  endAfter(bytes: number): void {
    this.#left = bytes - this.#bytes
    if (this.#left >= 0) return
    this.#held = [Buffer.concat(this.#held).subarray(0, bytes)]
    this.#bytes = bytes
    this.#left = 0
  }

  /** A varint, or undefined when the source ends before it. */
  async varint(): Promise<number | undefined> {
    let value = 0
    for (let n = 0; n < MAX_VARINT_BYTES; n++) {
      if (this.#bytes === 0 && !(await this.#fill())) {
        if (n === 0) return undefined
        throw malformed('it is cut off')
      }
      const byte = (await this.take(1))[0]!
      value += (byte & 0x7f) * 2 ** (7 * n)
      if (byte < 0x80) return value
    }
    throw malformed('a length has no end')
  }

  async take(length: number): Promise<Uint8Array> {
    while (this.#bytes < length) if (!(await this.#fill())) throw malformed('it is cut off')
    const first = this.#held[0]!
    if (first && first.byteLength > length) {
      this.#held[0] = first.subarray(length)
      this.#bytes -= length
      return first.subarray(0, length)
    }
    const whole = Buffer.concat(this.#held)
    this.#held = whole.byteLength > length ? [whole.subarray(length)] : []
    this.#bytes -= length
    return whole.subarray(0, length)
  }

  async #fill(): Promise<boolean> {
    if (this.#left <= 0) return false
    const { done, value: all } = await this.#source.next()
    if (done) return false
    if (all.byteLength === 0) return await this.#fill()
    const value = all.subarray(0, this.#left)
    this.#left -= value.byteLength
    this.#held.push(value)
    this.#bytes += value.byteLength
    return true
  }
}
