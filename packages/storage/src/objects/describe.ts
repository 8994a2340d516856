import { CARETAKERS, type ObjectManifest, SHARD_BYTES, type Stripe } from '@pingo/wire'
import { keyCheck } from '../crypto/segment.ts'
import { caretakingBytes } from './commit.ts'
import type { PutStart } from './journal.ts'
import { type Block, encodeLocations, encodeManifest, encodePart, stripeStoredBytes, stripesPerPart } from './object.ts'
import { partsOf } from './writer.ts'

/** Blocks of a tree that one part of a manifest lists. */
const TREE_PER_PART = 4_096

/** What a manifest has besides stripes: of public data the root, and the blocks that are kept with it. */
export interface Made {
  root?: string
  tree: Block[]
  /** Of each leaf, where they are not those of a shard. */
  leafBytes?: number
  dagBytes?: number
}

/** A stripe, and who holds each of its shards. */
export interface StoredStripe {
  stripe: Stripe
  holders: (string | undefined)[]
}

/** What caretakers are told of an object. */
export interface Description {
  /** Public: the UnixFS root. Private: the manifest's CID. */
  id: string
  manifest: ObjectManifest
  manifestCid: string
  /** That caretakers keep: of the tree, the parts, the manifest itself. */
  blocks: Block[]
  /** Of each part, who holds its shards. */
  locations: ReturnType<typeof encodeLocations>[]
  /** Of all shards and the caretakers' copies. */
  storedBytes: number
}

/**
 * The manifest of stored stripes.
 * @param network nodes there are: fewer than the usual caretakers keep fewer copies
 */
export function describeObject(
  { code, key }: Pick<PutStart, 'code' | 'key'>,
  stripes: readonly StoredStripe[],
  { root, tree, leafBytes }: Made,
  network: number,
): Description {
  const perPart = stripesPerPart(code)
  const parts = partsOf(
    stripes.map(({ stripe }) => stripe),
    tree.map(({ cid }) => cid.toString()),
    perPart,
    TREE_PER_PART,
  ).map(encodePart)
  const manifest: ObjectManifest = {
    type: 'pingo/object',
    version: 1,
    code,
    bytes: stripes.reduce((sum, { stripe }) => sum + stripe.bytes, 0),
    stripeBytes: code.k * (stripes.length > 1 && leafBytes ? leafBytes : SHARD_BYTES),
    ...(key === undefined ? { cipher: 'none' } : { cipher: 'aes-256-gcm', keyCheck: keyCheck(key) }),
    root,
    stripes: stripes.length,
    parts: parts.map(({ cid }) => cid.toString()),
  }
  const top = encodeManifest(manifest)
  const locations = parts.map((_, n) =>
    encodeLocations(stripes.slice(n * perPart, (n + 1) * perPart).map(({ holders }) => holders)),
  )
  const blocks = [...tree, ...parts, top]
  const shardBytes = stripes.reduce((sum, { stripe }) => sum + stripeStoredBytes(stripe, code), 0)
  return {
    id: root ?? top.cid.toString(),
    manifest,
    manifestCid: top.cid.toString(),
    blocks,
    locations,
    storedBytes: shardBytes + Math.min(CARETAKERS, network) * caretakingBytes(blocks, locations),
  }
}
