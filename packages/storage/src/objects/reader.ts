import {
  type CID,
  DAG_PB,
  type ManifestPart,
  type ObjectManifest,
  PinGoError,
  parseCid,
  type Stripe,
} from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { openRecord } from '../crypto/segment.ts'
import type { ByteRange } from '../files/file-store.ts'
import { leavesOf } from '../files/leaves.ts'
import { readNode } from '../files/unixfs.ts'
import type { ChunkSource } from './chunk-source.ts'
import type { StoredObject } from './get.ts'
import type { Located } from './locate.ts'
import { dataShards, decodePart, shardDigest, shardTag, stripesPerPart } from './object.ts'
import { StripeReader } from './stripe-reader.ts'

/** Shards that are fetched ahead of the reader: they fill a long link, and are of two stripes as a rule. */
const READ_AHEAD = 8
const PARTS_KEPT = 2

/** Bytes [from, to) of a data shard; of public data as a leaf, or bytes that stand in the tree itself. */
type Piece = { stripe: number; shard: number; from: number; to: number } | { inline: Uint8Array }

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
    const ahead: { piece: Piece; shard: Promise<Shard> }[] = []
    let isAwaited = true
    const fill = async () => {
      while (ahead.length < READ_AHEAD) {
        const { done, value: piece } = await pieces.next()
        if (done) return
        const shard = this.#fetch(piece, open, isAwaited)
        isAwaited = false
        shard.catch(() => undefined) // it is met when its turn comes
        ahead.push({ piece, shard })
      }
    }
    try {
      await fill()
      for (let next = ahead.shift(); next; next = ahead.shift()) {
        const { piece } = next
        const bytes = this.#open(piece, await next.shard) // no sooner: two texts of it would take twice the memory
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

  async #fetch(piece: Piece, open: OpenStripes, isAwaited: boolean): Promise<Shard> {
    if ('inline' in piece) return { bytes: piece.inline }
    const { stripe: index, shard } = piece
    const use = open.stripes.get(index) ?? { uses: 0, reader: undefined }
    use.uses += 1
    open.stripes.set(index, use)
    const stripe = await this.#stripe(index)
    use.reader ??= new StripeReader(index, stripe, this.manifest.code, this.#source, open.signal)
    return { stripe, bytes: await use.reader.data(shard, isAwaited) }
  }

  #open(piece: Piece, { stripe, bytes }: Shard): Uint8Array {
    if ('inline' in piece) return bytes
    const { stripe: index, shard, from, to } = piece
    if (to > bytes.byteLength)
      throw new PinGoError('MANIFEST_MALFORMED', `Shard ${shard} of stripe ${index} is shorter than its file says.`)
    const { code, stripes, cipher } = this.manifest
    if (cipher === 'none') return bytes.subarray(from, to)
    const isFinal = index === stripes - 1 && shard === dataShards(stripe!) - 1
    const text = openRecord(this.#key!, index * code.k + shard, isFinal, bytes, shardTag(stripe!, shard))
    return text.subarray(from, to)
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
