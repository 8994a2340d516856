import {
  type CID,
  DAG_PB,
  LEAF_BYTES,
  type ManifestPart,
  type ObjectManifest,
  PinGoError,
  parseCid,
  type Stripe,
} from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { beginRecord, type OpeningRecord } from '../crypto/segment.ts'
import type { ByteRange } from '../files/file-store.ts'
import { leavesOf } from '../files/leaves.ts'
import { readNode } from '../files/unixfs.ts'
import type { ChunkSource } from './chunk-source.ts'
import type { StoredObject } from './get.ts'
import type { Located } from './locate.ts'
import { dataShards, decodePart, shardDigest, shardTag, stripesPerPart } from './object.ts'
import { StripeReader, type Wanted } from './stripe-reader.ts'

/** Shards that are fetched ahead of the reader: they fill a long link, and are of two stripes as a rule. */
const READ_AHEAD = 8
const PARTS_KEPT = 2

/** Bytes [from, to) of a data shard; of public data as a leaf, or bytes that stand in the tree itself. */
type Stored = { stripe: number; shard: number; from: number; to: number }
type Piece = Stored | { inline: Uint8Array }

/** The stripes that one read has in hand, and in how many pieces to come each is used. */
interface OpenStripes {
  signal: AbortSignal
  stripes: Map<number, { uses: number; reader: StripeReader | undefined }>
}

function release(index: number, { stripes }: OpenStripes): void {
  const use = stripes.get(index)!
  use.uses -= 1
  if (use.uses > 0) return
  use.reader?.close()
  stripes.delete(index)
}

/** A data shard as it is stored, and its stripe; without one, bytes of the tree. */
interface Shard {
  stripe?: Stripe
  bytes: Uint8Array
}

/** The first leaf of a record: shown before the whole is there, which goes on in the same `record`. */
interface Head {
  record: OpeningRecord
  /** Of the leaf. */
  bytes: number
  /** What of it is wanted. */
  text: Uint8Array
  /** Nothing more is wanted. */
  isAll: boolean
}

export class ObjectReader implements StoredObject {
  readonly id: string
  readonly manifest: ObjectManifest
  readonly bytes: number
  readonly #source: ChunkSource
  readonly #key: Uint8Array | undefined
  readonly #parts = new Map<number, Promise<ManifestPart>>()
  /** Public data: where each leaf is stored, by its digest, as far as the parts were looked through. */
  readonly #leaves = new Map<string, { stripe: number; shard: number }>()
  #indexedParts = 0

  private constructor({ id, manifest }: Located, bytes: number, source: ChunkSource, key: Uint8Array | undefined) {
    this.id = id
    this.manifest = manifest
    this.bytes = bytes
    this.#source = source
    this.#key = key
  }

  /** @throws PinGoError OBJECT_MISSING, MANIFEST_MALFORMED */
  static async open(
    located: Located,
    source: ChunkSource,
    o: { key?: Uint8Array; bytes?: number; signal?: AbortSignal },
  ): Promise<ObjectReader> {
    const { manifest } = located
    const bytes = await lengthOf(manifest, source, o)
    if (o.bytes !== undefined && (o.bytes > bytes || (manifest.cipher === 'none' && o.bytes !== bytes)))
      throw new PinGoError('OBJECT_SIZE_MISMATCH', `Object ${located.id} has ${bytes} bytes, not ${o.bytes}.`)
    return new ObjectReader(located, o.bytes ?? bytes, source, o.key)
  }

  async *read(range: ByteRange = {}, o: { signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array> {
    const start = Math.max(0, range.start ?? 0)
    const end = Math.min(this.bytes, range.end ?? this.bytes)
    if (start >= end) return
    const stop = new AbortController()
    const open: OpenStripes = {
      signal: o.signal ? AbortSignal.any([o.signal, stop.signal]) : stop.signal,
      stripes: new Map(),
    }
    const pieces = this.#pieces(start, end, open.signal)
    const ahead: { piece: Piece; shard: Promise<Shard>; leaf: Promise<Uint8Array> | undefined }[] = []
    let isFirst = true
    const fill = async () => {
      while (ahead.length < READ_AHEAD) {
        const { done, value: piece } = await pieces.next()
        if (done) return
        const leaf = isFirst && this.#isShownEarly(piece) ? Promise.withResolvers<Uint8Array>() : undefined
        const shard = this.#fetch(piece, open, { isAwaited: isFirst, onFirstLeaf: leaf?.resolve })
        isFirst = false
        shard.catch(() => undefined) // it is met when its turn comes
        ahead.push({ piece, shard, leaf: leaf?.promise })
      }
    }
    try {
      await fill()
      for (let next = ahead.shift(); next; next = ahead.shift()) {
        const { piece, shard, leaf } = next
        const head = leaf && (await this.#head(piece as Stored, shard, leaf))
        if (head) yield head.text
        if (head?.isAll) break // a range that ends in the leaf is the last piece
        const bytes = this.#open(piece, await shard, head) // no sooner: two texts of it would take twice the memory
        if (!('inline' in piece)) {
          // a leaf may come again, a record does not
          if (this.manifest.root === undefined) open.stripes.get(piece.stripe)?.reader?.forget(piece.shard)
          release(piece.stripe, open)
        }
        yield bytes
        await fill()
      }
    } catch (error) {
      o.signal?.throwIfAborted()
      throw error
    } finally {
      stop.abort()
      await pieces.return(undefined)
    }
  }

  async #fetch(piece: Piece, open: OpenStripes, wanted: Wanted): Promise<Shard> {
    if ('inline' in piece) return { bytes: piece.inline }
    const { stripe: index, shard } = piece
    const use = open.stripes.get(index) ?? { uses: 0, reader: undefined }
    use.uses += 1
    open.stripes.set(index, use)
    const stripe = await this.#stripe(index)
    use.reader ??= new StripeReader(index, stripe, this.manifest.code, this.#source, open.signal)
    return { stripe, bytes: await use.reader.data(shard, wanted) }
  }

  /** Leaves of a private shard are known to be right without the others, when its key is; see {@link beginRecord}. */
  #isShownEarly(piece: Piece): boolean {
    return this.manifest.keyCheck !== undefined && !('inline' in piece) && piece.from < LEAF_BYTES
  }

  /** The text of a record's first leaf; undefined when the whole is there first. */
  async #head(
    { stripe: index, shard, from, to }: Stored,
    whole: Promise<Shard>,
    leaf: Promise<Uint8Array>,
  ): Promise<Head | undefined> {
    const came = await Promise.race([leaf, whole.then(() => undefined)])
    if (!came) return undefined
    const record = this.#begin(await this.#stripe(index), index, shard)
    const text = record.update(came)
    return { record, bytes: text.byteLength, text: text.subarray(from, to), isAll: to <= text.byteLength }
  }

  #begin(stripe: Stripe, index: number, shard: number): OpeningRecord {
    const { code, stripes } = this.manifest
    const isFinal = index === stripes - 1 && shard === dataShards(stripe) - 1
    return beginRecord(this.#key!, index * code.k + shard, isFinal)
  }

  /** What a piece holds beyond its head. */
  #open(piece: Piece, { stripe, bytes }: Shard, head: Head | undefined): Uint8Array {
    if ('inline' in piece) return bytes
    const { stripe: index, shard, from, to } = piece
    if (to > bytes.byteLength)
      throw new PinGoError('MANIFEST_MALFORMED', `Shard ${shard} of stripe ${index} is shorter than its file says.`)
    if (this.manifest.cipher === 'none') return bytes.subarray(from, to)
    const shown = head?.bytes ?? 0
    const record = head?.record ?? this.#begin(stripe!, index, shard)
    const text = record.update(bytes.subarray(shown))
    record.end(shardTag(stripe!, shard))
    return text.subarray(Math.max(0, from - shown), to - shown)
  }

  #pieces(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Piece> {
    return this.manifest.root === undefined ? this.#records(start, end) : this.#leavesBetween(start, end, signal)
  }

  /** Private: data shards are the text, record by record. */
  async *#records(start: number, end: number): AsyncGenerator<Piece> {
    const { stripeBytes } = this.manifest
    for (let at = start; at < end; ) {
      const index = Math.floor(at / stripeBytes)
      const { shardBytes } = await this.#stripe(index)
      const shard = Math.floor((at - index * stripeBytes) / shardBytes)
      const base = index * stripeBytes + shard * shardBytes
      const to = Math.min(end, base + shardBytes)
      yield { stripe: index, shard, from: at - base, to: to - base }
      at = to
    }
  }

  /** Public: the leaves of a UnixFS tree, each stored once. */
  async *#leavesBetween(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Piece> {
    const root = parseCid(this.id)
    const get = (cid: CID) => this.#source.get(cid, { signal })
    for await (const leaf of leavesOf(root, this.bytes, start, end, get)) {
      const place = 'inline' in leaf ? undefined : await this.#find(leaf.cid, leaf.at)
      if ('inline' in leaf) yield leaf
      else if (place) yield { ...place, from: leaf.from, to: leaf.to }
      else yield { inline: (await get(leaf.cid)).subarray(leaf.from, leaf.to) }
    }
  }

  /** @param at where in the file the leaf begins. @returns undefined for one that is kept with the tree */
  async #find(leaf: CID, at: number): Promise<{ stripe: number; shard: number } | undefined> {
    const { code, stripes, stripeBytes } = this.manifest
    const ordinal = Math.floor((at * code.k) / stripeBytes)
    const guess = { stripe: Math.floor(ordinal / code.k), shard: ordinal % code.k }
    if (guess.stripe < stripes) {
      const digest = shardDigest(await this.#stripe(guess.stripe), code, guess.shard)
      if (Buffer.compare(digest, leaf.multihash.digest) === 0) return guess
    }
    // some leaf came twice: where the others are follows from what was stored
    const parts = Math.ceil(stripes / stripesPerPart(code))
    for (; !this.#leaves.has(keyOf(leaf)) && this.#indexedParts < parts; this.#indexedParts++) {
      const first = this.#indexedParts * stripesPerPart(code)
      const part = await this.#part(this.#indexedParts)
      for (const [n, stripe] of part.stripes.entries())
        for (let shard = 0; shard < dataShards(stripe); shard++)
          this.#leaves.set(Buffer.from(shardDigest(stripe, code, shard)).toString('hex'), { stripe: first + n, shard })
    }
    return this.#leaves.get(keyOf(leaf))
  }

  async #stripe(index: number): Promise<Stripe> {
    const perPart = stripesPerPart(this.manifest.code)
    return (await this.#part(Math.floor(index / perPart))).stripes[index % perPart]!
  }

  #part(index: number): Promise<ManifestPart> {
    const known = this.#parts.get(index)
    if (known) return known
    for (const oldest of this.#parts.keys()) if (this.#parts.size >= PARTS_KEPT) this.#parts.delete(oldest)
    const part = this.#source
      .get(parseCid(this.manifest.parts[index]!), {})
      .then((bytes) => decodePart(bytes, this.manifest, index))
    this.#parts.set(index, part)
    part.catch(() => this.#parts.delete(index))
    return part
  }
}

/** Bytes that can be read; the padding of private data among them. */
async function lengthOf(manifest: ObjectManifest, source: ChunkSource, o: { signal?: AbortSignal }): Promise<number> {
  if (manifest.root === undefined) return manifest.bytes
  const root = parseCid(manifest.root)
  return root.code === DAG_PB ? readNode(root, await source.get(root, o)).bytes : manifest.bytes
}
