import {
  type CID,
  type Code,
  cidOf,
  DAG_CBOR,
  decode,
  encode,
  isPinGoError,
  type Locations,
  LocationsSchema,
  MAX_STRIPES_PER_PART,
  type ManifestPart,
  ManifestPartSchema,
  NOWHERE,
  type ObjectManifest,
  ObjectManifestSchema,
  PinGoError,
  RAW,
  SHARD_BYTES,
  SHARD_ROW_BYTES,
  type Stripe,
  sha256,
  validate,
} from '@pingo/wire'
import { CID as Cid } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { MAX_BLOCK_BYTES, MAX_FILE_BYTES } from '../limits.ts'

const DIGEST_BYTES = 32
const TAG_BYTES = 16
const SHA2_256 = 0x12
/** What the stripes of a part may take of a block; the rest is the tree's. */
const STRIPES_BYTES = 3 << 19
/** CBOR around the digests of a stripe. */
const STRIPE_OVERHEAD_BYTES = 64

export interface Block {
  cid: CID
  bytes: Uint8Array
}

/** Shards of a stripe, data and parity. */
export const width = ({ k, m }: Code): number => k + m

/** Digests and roots that a stripe tells: copies are alike, one stands for all. */
export const digestsOf = (code: Code): number => (code.k === 1 ? 1 : width(code))

/** Stripes in every part of a manifest but the last that has any: a part is one block. */
export function stripesPerPart(code: Code): number {
  const stripe = digestsOf(code) * 2 * DIGEST_BYTES + code.k * TAG_BYTES + STRIPE_OVERHEAD_BYTES
  return Math.min(MAX_STRIPES_PER_PART, Math.floor(STRIPES_BYTES / stripe))
}

/** Stripes of one part. */
export function stripesInPart({ code, stripes }: ObjectManifest, part: number): number {
  const perPart = stripesPerPart(code)
  return Math.max(0, Math.min(perPart, stripes - part * perPart))
}

/** How long the shards of a stripe of `bytes` are: the data evenly spread, in whole rows of the code; copies as they are. */
export function shardBytesFor(bytes: number, { k }: Code): number {
  if (k === 1) return bytes
  return Math.min(SHARD_BYTES, SHARD_ROW_BYTES * Math.max(1, Math.ceil(bytes / k / SHARD_ROW_BYTES)))
}

/** What ranks the nodes of a stripe's shards (`place`). */
export const stripeKey = (stripe: Stripe): string => Buffer.from(sha256(stripe.shards)).toString('hex')

/** Data shards that have bytes. */
export const dataShards = ({ bytes, shardBytes }: Stripe): number => (bytes === 0 ? 0 : Math.ceil(bytes / shardBytes))

/** Bytes of a shard as it is stored; 0: it is not stored. */
export function storedBytesOf({ bytes, shardBytes }: Stripe, { k }: Code, shard: number): number {
  if (k === 1) return bytes
  return shard >= k ? shardBytes : Math.max(0, Math.min(shardBytes, bytes - shard * shardBytes))
}

/** Of all shards of a stripe. */
export function stripeStoredBytes(stripe: Stripe, code: Code): number {
  return code.k === 1 ? stripe.bytes * width(code) : stripe.bytes + code.m * stripe.shardBytes
}

const slot = (code: Code, shard: number) => (code.k === 1 ? 0 : shard) * DIGEST_BYTES

export const shardDigest = (stripe: Stripe, code: Code, shard: number): Uint8Array =>
  stripe.shards.subarray(slot(code, shard), slot(code, shard) + DIGEST_BYTES)

export const shardRoot = (stripe: Stripe, code: Code, shard: number): Uint8Array =>
  stripe.roots.subarray(slot(code, shard), slot(code, shard) + DIGEST_BYTES)

export const shardTag = (stripe: Stripe, shard: number): Uint8Array =>
  stripe.tags!.subarray(shard * TAG_BYTES, (shard + 1) * TAG_BYTES)

export const shardCid = (stripe: Stripe, code: Code, shard: number): CID => rawCid(shardDigest(stripe, code, shard))

/** The CID of a raw block by its SHA-256. */
export const rawCid = (digest: Uint8Array): CID => Cid.createV1(RAW, Digest.create(SHA2_256, digest))

const malformed = (why: string, cause?: unknown) =>
  new PinGoError('MANIFEST_MALFORMED', `The object's manifest is malformed: ${why}.`, { cause })

function decodeBlock<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (isPinGoError(cause)) throw malformed(`${what} cannot be read (${cause.message})`, cause)
    throw cause
  }
}

const block = (value: unknown): Block => {
  const bytes = encode(value)
  return { cid: cidOf(bytes, DAG_CBOR), bytes }
}

/** A manifest as a block. @throws PinGoError MANIFEST_MALFORMED */
export function encodeManifest(manifest: ObjectManifest): Block {
  return block(checkManifest(manifest))
}

/** A part of a manifest as a block. */
export const encodePart = (part: ManifestPart): Block => block(part)

/** A manifest from the bytes of its block, every number of it plausible. @throws PinGoError MANIFEST_MALFORMED */
export function decodeManifest(bytes: Uint8Array): ObjectManifest {
  return checkManifest(decodeBlock('it', () => decode(ObjectManifestSchema, bytes, MAX_BLOCK_BYTES)))
}

/** Refuses manifests whose numbers do not fit each other. @throws PinGoError MANIFEST_MALFORMED */
export function checkManifest(manifest: ObjectManifest): ObjectManifest {
  const { code, bytes, stripeBytes, cipher, keyCheck, root, stripes, parts } = decodeBlock('it', () =>
    validate(ObjectManifestSchema, manifest, 'manifest'),
  )
  if (bytes > MAX_FILE_BYTES) throw malformed(`it claims ${bytes} bytes, over ${MAX_FILE_BYTES}`)
  if (stripeBytes % code.k !== 0 || stripeBytes > code.k * SHARD_BYTES)
    throw malformed(`stripes of ${stripeBytes} bytes are not ${code.k} shards`)
  if (stripes !== Math.ceil(bytes / stripeBytes)) throw malformed(`${bytes} bytes are not ${stripes} stripes`)
  if (stripes > 1 && code.k > 1 && (stripeBytes / code.k) % SHARD_ROW_BYTES !== 0)
    throw malformed(`shards are not multiples of ${SHARD_ROW_BYTES} bytes`)
  if (parts.length < Math.ceil(stripes / stripesPerPart(code))) throw malformed('parts of it are lacking')
  if (cipher === 'none' && keyCheck !== undefined) throw malformed('it is public and has a key')
  if ((cipher === 'none') !== (root !== undefined)) throw malformed('it is neither public nor private')
  return manifest
}

/**
 * Part `index` of a manifest from the bytes of its block.
 * @throws PinGoError MANIFEST_MALFORMED
 */
export function decodePart(bytes: Uint8Array, manifest: ObjectManifest, index: number): ManifestPart {
  const what = `part ${index}`
  const part = decodeBlock(what, () => decode(ManifestPartSchema, bytes, MAX_BLOCK_BYTES))
  const wanted = stripesInPart(manifest, index)
  if (part.stripes.length !== wanted) throw malformed(`${what} has ${part.stripes.length} stripes, not ${wanted}`)
  if (part.tree && manifest.cipher !== 'none') throw malformed(`${what} of a private object has a tree`)
  const first = index * stripesPerPart(manifest.code)
  for (const [n, stripe] of part.stripes.entries()) checkStripe(stripe, manifest, first + n)
  return part
}

function checkStripe(stripe: Stripe, { code, bytes, stripeBytes, cipher, stripes }: ObjectManifest, index: number) {
  const what = `stripe ${index}`
  const isLast = index === stripes - 1
  if (stripe.bytes !== (isLast ? bytes - index * stripeBytes : stripeBytes))
    throw malformed(`${what} has a wrong length`)
  if (!isLast && stripe.shardBytes !== stripeBytes / code.k) throw malformed(`shards of ${what} have a wrong length`)
  if (stripe.bytes > code.k * stripe.shardBytes) throw malformed(`${what} does not fit its shards`)
  if (code.k === 1 ? stripe.shardBytes !== stripe.bytes : stripe.shardBytes % SHARD_ROW_BYTES !== 0)
    throw malformed(`shards of ${what} have a wrong length`)
  const digests = digestsOf(code) * DIGEST_BYTES
  if (stripe.shards.byteLength !== digests || stripe.roots.byteLength !== digests)
    throw malformed(`${what} has a wrong number of digests`)
  const tags = cipher === 'none' ? 0 : dataShards(stripe) * TAG_BYTES
  if ((stripe.tags?.byteLength ?? 0) !== tags) throw malformed(`${what} has a wrong number of tags`)
}

/** Holders by stripe and shard as they are told to caretakers. @param holders of each stripe the PeerId for each shard */
export function encodeLocations(holders: readonly (readonly (string | undefined)[])[]): Locations {
  const nodes = new Map<string, number>()
  const at = new Uint8Array(2 * holders.reduce((sum, stripe) => sum + stripe.length, 0))
  const view = new DataView(at.buffer)
  let offset = 0
  for (const stripe of holders)
    for (const peerId of stripe) {
      let index = NOWHERE
      if (peerId !== undefined) {
        index = nodes.get(peerId) ?? nodes.size
        nodes.set(peerId, index)
      }
      view.setUint16(offset, index, true)
      offset += 2
    }
  return { nodes: [...nodes.keys()], at }
}

/** Holders of each stripe of a part, shard by shard. @throws PinGoError MANIFEST_MALFORMED */
export function decodeLocations(
  locations: Locations,
  manifest: ObjectManifest,
  part: number,
): (string | undefined)[][] {
  const { nodes, at } = decodeBlock('where its shards are', () => validate(LocationsSchema, locations, 'locations'))
  const shards = width(manifest.code)
  const stripes = stripesInPart(manifest, part)
  if (at.byteLength !== 2 * shards * stripes) throw malformed(`part ${part} has locations of another length`)
  const view = new DataView(at.buffer, at.byteOffset, at.byteLength)
  return Array.from({ length: stripes }, (_, stripe) =>
    Array.from({ length: shards }, (_, shard) => {
      const index = view.getUint16(2 * (stripe * shards + shard), true)
      if (index !== NOWHERE && index >= nodes.length) throw malformed('a shard is at a node that is not listed')
      return nodes[index]
    }),
  )
}
