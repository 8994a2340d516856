import { CID } from '@pingo/wire'

const [SHA2_256, DIGEST_BYTES] = [0x12, 32]
const V0_BYTES = 2 + DIGEST_BYTES
const LENGTH_DELIMITED = 2
const MAX_VARINT_BYTES = 10
const END = -1
/** Places of a link that are noted: where its CID begins and ends, where its name does, and its size. */
const NOTED = 5

/**
 * A dag-pb node (ipld.io/specs/codecs/dag-pb) whose links are taken apart when they are looked at: a block of 2 MiB has up to 50,000, of
 * which a path names one, and to make objects of all holds up everything else for a quarter of a second. All of the block is checked at
 * once, as strictly as `@ipld/dag-pb` does, and that each link is a sha2-256 CID.
 */
export class PbNode {
  readonly data: Uint8Array | undefined
  readonly #block: Buffer
  readonly #noted: number[] = []

  /** @throws Error for what is no such node */
  constructor(block: Uint8Array) {
    this.#block = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
    const reader = new Reader(this.#block)
    let isOver = false
    for (let tag = reader.tag(); tag !== END; tag = reader.tag()) {
      const isData = tag === tagOf(1)
      if (!isData && tag !== tagOf(2)) throw new Error('a node has other fields than data and links')
      const end = reader.field()
      if (isData) {
        if (this.data) throw new Error('a node has its data twice')
        this.data = block.subarray(reader.at, end)
        isOver = this.length > 0
        reader.at = end
      } else {
        if (isOver) throw new Error('a node has links on both sides of its data')
        this.#note(reader, end)
      }
    }
  }

  /** How many links it has. */
  get length(): number {
    return this.#noted.length / NOTED
  }

  cid(link: number): CID {
    const [from, to] = [this.#noted[link * NOTED]!, this.#noted[link * NOTED + 1]!]
    return CID.decode(this.#block.subarray(from, to))
  }

  name(link: number): string {
    return this.#block.toString('utf8', this.#noted[link * NOTED + 2]!, this.#noted[link * NOTED + 3]!)
  }

  /** Bytes of all below a link, as it says. */
  bytes(link: number): number {
    return this.#noted[link * NOTED + 4]!
  }

  /** The first link of a name; below zero when there is none. */
  find(name: string): number {
    const wanted = Buffer.from(name)
    const noted = this.#noted
    for (let n = 2; n < noted.length; n += NOTED) {
      const [from, to] = [noted[n]!, noted[n + 1]!]
      if (to - from === wanted.byteLength && this.#block.compare(wanted, 0, wanted.byteLength, from, to) === 0)
        return (n - 2) / NOTED
    }
    return -1
  }

  /** Notes the places of a link's fields: CID, name, size, each at most once and in this order. */
  #note(reader: Reader, end: number): void {
    const outer = reader.end
    reader.end = end
    let [hashAt, hashEnd, nameAt, nameEnd, size] = [-1, -1, 0, 0, 0]
    let last = 0
    for (let tag = reader.tag(); tag !== END; tag = reader.tag()) {
      if (tag <= last) throw new Error('the fields of a link are out of order')
      last = tag
      if (tag === tagOf(1)) {
        hashEnd = reader.field()
        hashAt = reader.at
        reader.at = hashEnd
      } else if (tag === tagOf(2)) {
        nameEnd = reader.field()
        nameAt = reader.at
        reader.at = nameEnd
      } else if (tag === tagOf(3, 0)) size = reader.varint()
      else throw new Error('a link has other fields than hash, name and size')
    }
    if (!isCid(this.#block, hashAt, hashEnd)) throw new Error('a link has no sha2-256 CID')
    this.#noted.push(hashAt, hashEnd, nameAt, nameEnd, size)
    reader.end = outer
  }
}

const tagOf = (field: number, type: number = LENGTH_DELIMITED): number => (field << 3) | type

/** Whether bytes are a CID of a sha2-256 hash: version 0, or 1 with a codec. */
function isCid(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from
  if (to - from !== V0_BYTES) {
    if (to - from < V0_BYTES || bytes[at++] !== 1) return false
    while (at < to && bytes[at]! >= 0x80) at += 1
    at += 1
  }
  return to - at === V0_BYTES && bytes[at] === SHA2_256 && bytes[at + 1] === DIGEST_BYTES
}

/** Reads protobuf, as far as dag-pb is. */
class Reader {
  at = 0
  end: number
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.end = bytes.byteLength
  }

  /** A field's number and type, or {@link END}. */
  tag(): number {
    return this.at === this.end ? END : this.varint()
  }

  /** Where the field ends that begins here with its length. */
  field(): number {
    const bytes = this.varint()
    if (this.at + bytes > this.end) throw new Error('a field is longer than what it is in')
    return this.at + bytes
  }

  varint(): number {
    let value = 0
    for (let n = 0; n < MAX_VARINT_BYTES; n++) {
      if (this.at >= this.end) break
      const byte = this.#bytes[this.at++]!
      value += (byte & 0x7f) * 2 ** (7 * n)
      if (byte < 0x80) return value
    }
    throw new Error('a number does not end')
  }
}
