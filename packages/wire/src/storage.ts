import { z } from 'zod'
import { CidText } from './manifests.ts'

/** Types of the signed envelopes (`seal`, `unseal`) of the storage network. */
export const NODE_RECORD_TYPE = 'pingo/node/1'
export const ALLOWANCE_TYPE = 'pingo/allowance/1'
export const ACCESS_TYPE = 'pingo/access/1'
export const OBJECT_RECORD_TYPE = 'pingo/object/1'
export const FORGET_TYPE = 'pingo/forget/1'

/** Bytes of a shard of a full stripe, and of a UnixFS leaf. */
export const SHARD_BYTES = 1 << 20
/** What a parity shard's length is a multiple of: the row of the erasure code. */
export const SHARD_ROW_BYTES = 64 << 10
/** Bytes of a leaf of a chunk's Merkle tree. */
export const LEAF_BYTES = 64 << 10
/** Data up to this length are kept as copies: shards of the code would be mostly padding. */
export const MAX_COPIED_BYTES = 64 << 10
/** Shards of a stripe, data and parity. */
export const MAX_SHARDS_PER_STRIPE = 64
export const MAX_STRIPES_PER_PART = 1_024
/** Dag-pb nodes that one part of a manifest lists. */
export const MAX_TREE_PER_PART = 16_384
export const MAX_PARTS = 4_096
/** Fog nodes that one node knows of. */
export const MAX_NODES = 4_096
export const MAX_NODE_RECORD_BYTES = 4 << 10
export const MAX_ALLOWANCE_BYTES = 1 << 10
export const MAX_ACCESS_BYTES = 4 << 10
export const MAX_OBJECT_RECORD_BYTES = 4 << 10
/** CIDs in one question or renewal. */
export const MAX_CHUNKS_PER_QUESTION = 4_096
/** An access token is good for this long at most. */
export const MAX_ACCESS_MS = 60 * 60_000
/** A clock may be wrong by so much. */
export const MAX_CLOCK_SKEW_MS = 5 * 60_000
/** A chunk whose upload is not committed is kept this long. */
export const UPLOAD_LEASE_MS = 24 * 3_600_000
/** A committed chunk is kept this long after its caretakers renewed it last. */
export const CHUNK_LEASE_MS = 30 * 24 * 3_600_000
/** Fog nodes that keep an object's record and manifest and see to its repair; as many may die as parity shards of the default code, and one lives. */
export const CARETAKERS = 7

const Count = z.int().min(0)
const PeerId = z.string().min(10).max(100)
const Bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'is not bytes')
const bytesUpTo = (max: number) => Bytes.refine((value) => value.byteLength <= max, `is over ${max} bytes`)

/** How data become shards: any `k` of the `k + m` shards of a stripe bring it back. `k` = 1: copies. */
export const CodeSchema = z
  .strictObject({ k: z.int().min(1).max(24), m: z.int().min(0).max(6) })
  .refine(({ k, m }) => k + m <= MAX_SHARDS_PER_STRIPE, 'has too many shards')
export type Code = z.infer<typeof CodeSchema>

/** What a fog node tells clients and other fog nodes of itself, sealed by its identity ({@link NODE_RECORD_TYPE}). */
export const NodeRecordSchema = z.strictObject({
  peerId: PeerId,
  /** Its gateway: http(s), no fragment. */
  url: z.string().max(500),
  /** SHA-256 of the certificate's DER, hex, when it is https and self-signed. */
  pin: z.string().length(64).optional(),
  multiaddrs: z.array(z.string().max(300)).max(8),
  region: z.string().regex(/^[a-z0-9-]{0,32}$/),
  /** What fails together: operator, rack, /24. Two shards of a stripe never share one while others exist. */
  domain: z.string().min(1).max(100),
  capacityBytes: Count,
  freeBytes: Count,
  /** A leaving node takes no new shards; what it has is moved. */
  state: z.enum(['active', 'leaving']),
  /** Nano-PINGO a GiB and month. */
  price: Count,
  /** Grows with every record of the node. */
  sequence: Count,
  at: Count,
})
export type NodeRecord = z.infer<typeof NodeRecordSchema>

/** How much an owner may store in the network, sealed by a fog node that vouches for it. */
export const AllowanceSchema = z.strictObject({ owner: PeerId, bytes: Count, until: Count })
export type Allowance = z.infer<typeof AllowanceSchema>

/**
 * Who asks, sealed by the asker: header `authorization: PinGo <base64url>`. Good at one node, for a while; the connection is TLS
 * wherever it leaves the machine, so that nobody can listen and repeat it.
 */
export const AccessSchema = z.strictObject({
  audience: PeerId,
  until: Count,
  /** A sealed {@link AllowanceSchema}: owners show it to store. */
  allowance: bytesUpTo(MAX_ALLOWANCE_BYTES).optional(),
})
export type Access = z.infer<typeof AccessSchema>

/**
 * Up to `k` data shards and their parity. Data shard `i` holds the bytes [i · shardBytes, min((i + 1) · shardBytes, bytes)) of the
 * stripe and is stored unpadded (an empty one not at all); the code pads it with zeros. Of copies (k = 1) one digest and one root are
 * told. A shard is a raw block: its CID follows from its digest.
 */
export const StripeSchema = z.strictObject({
  bytes: Count,
  shardBytes: z.int().min(0).max(SHARD_BYTES),
  /** SHA-256 of each shard, 32 bytes each. */
  shards: bytesUpTo(32 * MAX_SHARDS_PER_STRIPE),
  /** Root of each shard's Merkle tree over leaves of 64 KiB, 32 bytes each (RFC 9162, 2.1). */
  roots: bytesUpTo(32 * MAX_SHARDS_PER_STRIPE),
  /** AES-GCM tag of each data shard, 16 bytes each. */
  tags: bytesUpTo(16 * MAX_SHARDS_PER_STRIPE).optional(),
})
export type Stripe = z.infer<typeof StripeSchema>

/** A block (dag-cbor) of a manifest. */
export const ManifestPartSchema = z.strictObject({
  type: z.literal('pingo/object-part'),
  stripes: z.array(StripeSchema).max(MAX_STRIPES_PER_PART),
  /** Dag-pb nodes of public data, kept like the manifest itself. */
  tree: z.array(CidText).max(MAX_TREE_PER_PART).optional(),
})
export type ManifestPart = z.infer<typeof ManifestPartSchema>

/** What nodes know of an object (dag-cbor): enough to serve, prove and repair it, not to read it. */
export const ObjectManifestSchema = z.strictObject({
  type: z.literal('pingo/object'),
  version: z.literal(1),
  code: CodeSchema,
  /** Of all stripes; private objects are padded, so that this tells little of their length. */
  bytes: Count,
  /** Data bytes of every stripe but the last. */
  stripeBytes: z.int().min(1),
  cipher: z.enum(['none', 'aes-256-gcm']),
  /** Private data: tells the object's key from any other before anything is read (`keyCheck` of @pingo/storage). */
  keyCheck: Bytes.refine((value) => value.byteLength === 32, 'is not 32 bytes').optional(),
  /** Public data: the UnixFS root, which is the object's id. */
  root: CidText.optional(),
  stripes: Count,
  parts: z.array(CidText).max(MAX_PARTS),
})
export type ObjectManifest = z.infer<typeof ObjectManifestSchema>

export const StorageClassSchema = z.enum(['hot', 'cold'])
/** hot: cached where it is read; cold: kept, and not cached beyond the reads of one node. */
export type StorageClass = z.infer<typeof StorageClassSchema>

/** An owner's word that the network keeps an object ({@link OBJECT_RECORD_TYPE}, sealed by the owner). */
export const ObjectRecordSchema = z.strictObject({
  /** Public: the UnixFS root. Private: the manifest's CID. */
  id: CidText,
  manifest: CidText,
  class: StorageClassSchema,
  /** Of all shards and the manifest's copies. */
  storedBytes: Count,
  at: Count,
})
export type ObjectRecord = z.infer<typeof ObjectRecordSchema>

/** An owner's word that it is kept no longer ({@link FORGET_TYPE}). */
export const ForgetSchema = z.strictObject({ id: CidText, at: Count })

/** Where the shards of one part of a manifest are: `at` holds, stripe by stripe, a 16-bit index (little endian) into `nodes` for each shard; 65535: nowhere. */
export const LocationsSchema = z.strictObject({
  /** Grows with every change by a caretaker: the newest wins. Absent in what the owner commits: 0. */
  version: Count.optional(),
  nodes: z.array(PeerId).max(MAX_NODES),
  at: bytesUpTo(2 * MAX_SHARDS_PER_STRIPE * MAX_STRIPES_PER_PART),
})
export type Locations = z.infer<typeof LocationsSchema>
export const NOWHERE = 0xffff

/** What an owner hands to each caretaker when all shards are stored. */
export const CommitSchema = z.strictObject({
  record: bytesUpTo(MAX_OBJECT_RECORD_BYTES),
  /** One for each part of the manifest. */
  locations: z.array(LocationsSchema).max(MAX_PARTS),
})
export type Commit = z.infer<typeof CommitSchema>

/** A leaf of a chunk and its way to the root (RFC 9162, 2.1.3), for a challenge's nonce. */
export const ChunkProofSchema = z.strictObject({
  leaf: bytesUpTo(LEAF_BYTES),
  path: z.array(bytesUpTo(32)).max(16),
  /** Bytes of the whole chunk. */
  bytes: Count,
  /** Of the holder, over nonce, CID and leaf index: evidence for others. */
  signature: bytesUpTo(64),
})
export type ChunkProof = z.infer<typeof ChunkProofSchema>
