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
 * Reads a CAR (version 1, or the inner one of version 2 when it was unwrapped) in constant memory; blocks are not verified here.
 * @throws PinGoError CAR_MALFORMED
 */
export async function readCar(
  source: AsyncIterable<Uint8Array>,
): Promise<{ roots: CID[]; blocks: AsyncGenerator<{ cid: CID; bytes: Uint8Array }> }> {
  const bytes = new ByteReader(source)
  const headerBytes = await bytes.varint()
  if (headerBytes === undefined || headerBytes > MAX_HEADER_BYTES) throw malformed('it has no header')
  let header: { version?: unknown; roots?: unknown }
  try {
    header = dagCbor.decode(await bytes.take(headerBytes))
  } catch (cause) {
    throw malformed('its header cannot be read', cause)
  }
  if (header.version !== 1) throw malformed('only version 1 is read')
  const roots = Array.isArray(header.roots) ? header.roots.map((root) => CID.asCID(root)) : [null]
  if (roots.length > MAX_ROOTS || !roots.every((root) => root !== null)) throw malformed('its roots are invalid')
  return { roots: roots as CID[], blocks: sections(bytes) }
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

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
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
    const { done, value } = await this.#source.next()
    if (done) return false
    if (value.byteLength === 0) return await this.#fill()
    this.#held.push(value)
    this.#bytes += value.byteLength
    return true
  }
}
