import { type CID, type Code, type Stripe, sha256 } from '@pingo/wire'
import { sealRecord } from '../crypto/segment.ts'
import { merkleRoot } from '../durability/merkle.ts'
import { erasureCode } from '../erasure/erasure-code.ts'
import { rawCid, shardBytesFor, width } from './object.ts'

export interface Chunk {
  cid: CID
  bytes: Uint8Array
}

/** A stripe and the chunks of its shards; undefined for an empty data shard, which is stored nowhere. Copies share one chunk. */
export interface MadeStripe {
  stripe: Stripe
  chunks: (Chunk | undefined)[]
}

/** A piece of what is stored, encrypted and encoded at once. */
export interface Segment {
  index: number
  /** Good until the next segment is asked for. */
  plain: Uint8Array
  isLast: boolean
}

/**
 * Encrypts a segment record by record, then encodes the ciphertext: a record is a data shard, so that any of them is read without the
 * others. Records are counted through the object.
 */
export function sealStripe(code: Code, key: Uint8Array, { index, plain, isLast }: Segment): MadeStripe {
  const shardBytes = shardBytesFor(plain.byteLength, code)
  const tags: Uint8Array[] = []
  const data: Uint8Array[] = []
  for (let at = 0; at < plain.byteLength; at += shardBytes) {
    const isFinal = isLast && at + shardBytes >= plain.byteLength
    const record = plain.subarray(at, at + shardBytes)
    const { ciphertext, tag } = sealRecord(key, index * code.k + data.length, isFinal, record)
    data.push(ciphertext)
    tags.push(tag)
  }
  return encodeStripe(code, data, shardBytes, { tags })
}

/** @param data the shards that have bytes, all but the last `shardBytes` long */
export function encodeStripe(
  code: Code,
  data: readonly Uint8Array[],
  shardBytes: number,
  o: { tags?: readonly Uint8Array[] } = {},
): MadeStripe {
  const all = code.k === 1 ? [data[0]!] : withParity(code, data, shardBytes)
  const digests = all.map(sha256)
  const chunks = all.map((bytes, n) => (bytes.byteLength === 0 ? undefined : { cid: rawCid(digests[n]!), bytes }))
  return {
    stripe: {
      bytes: data.reduce((sum, { byteLength }) => sum + byteLength, 0),
      shardBytes,
      shards: Buffer.concat(digests),
      roots: Buffer.concat(all.map(merkleRoot)),
      tags: o.tags && Buffer.concat(o.tags),
    },
    chunks: code.k === 1 ? new Array(width(code)).fill(chunks[0]) : chunks,
  }
}

const EMPTY = new Uint8Array(0)

function withParity(code: Code, data: readonly Uint8Array[], shardBytes: number): Uint8Array[] {
  const padded = Array.from({ length: code.k }, (_, n) => data[n] ?? EMPTY)
  return [...padded, ...erasureCode(code).encode(padded, shardBytes)]
}
