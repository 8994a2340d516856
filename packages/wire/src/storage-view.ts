import { z } from 'zod'

/** Objects that a node lists of those in its care, the neediest first. */
export const MAX_OBJECTS_LISTED = 200

const Count = z.int().min(0)
const Time = z.int().min(0)
/** Stripes by how many of their shards are gone: `{ 0: 409, 1: 1 }`. */
const StripesByMissingSchema = z.record(z.string().regex(/^\d{1,3}$/), Count)

/** Another fog node, as this one sees it. */
export const StoragePeerViewSchema = z.strictObject({
  id: z.string(),
  url: z.string(),
  region: z.string(),
  domain: z.string(),
  state: z.enum(['active', 'leaving']),
  /** Whether it answered lately. */
  isLive: z.boolean(),
  /** Round trip, ms. */
  rttMs: z.number().optional(),
  standing: z.enum(['new', 'vetted', 'contained', 'ejected']),
  /** 0 … 1, by this node's audits. */
  score: z.number(),
  audits: Count,
  capacityBytes: Count,
  freeBytes: Count,
  /** When it signed its last record. */
  seenAt: Time,
})
export type StoragePeerView = z.infer<typeof StoragePeerViewSchema>

/** An object in a node's care. */
export const StorageObjectViewSchema = z.strictObject({
  /** Its id; shortened for who does not bear the node's token, since who knows a whole one can read. */
  id: z.string(),
  isPublic: z.boolean(),
  bytes: Count,
  stripes: Count,
  /** Data and parity shards of a stripe; one data shard: copies. */
  code: z.strictObject({ k: Count, m: Count }),
  stripesByMissing: StripesByMissingSchema,
  checkedAt: Time.optional(),
  dueAt: Time,
})
export type StorageObjectView = z.infer<typeof StorageObjectViewSchema>

/** How far a node that leaves is: it may be stopped when it is done. */
export const LeavingViewSchema = z.strictObject({
  /** Objects that still count on a shard here. */
  objects: Count,
  shards: Count,
  /** Objects whose caretaker it still is. */
  inCare: Count,
  isDone: z.boolean(),
  /** Absent until it was found out for the first time. */
  askedAt: Time.optional(),
})
export type LeavingView = z.infer<typeof LeavingViewSchema>

/** `GET /v1/storage`: a fog node's part in the storage network. */
export const StorageViewSchema = z.strictObject({
  node: z.strictObject({
    id: z.string(),
    region: z.string(),
    domain: z.string(),
    state: z.enum(['active', 'leaving']),
    /** Nano-PINGO a GiB and month. */
    price: Count,
    capacityBytes: Count,
    usedBytes: Count,
    blocks: Count,
    /** Of chunks under leases. */
    leasedBytes: Count,
  }),
  leaving: LeavingViewSchema.optional(),
  /** Reads at the gateway since the start: from memory, from disk, from other nodes, in vain. */
  reads: z.strictObject({ memory: Count, disk: Count, remote: Count, missing: Count }),
  cache: z.strictObject({ blocks: Count, bytes: Count, maxBytes: Count }),
  care: z.strictObject({
    objects: Count,
    /** To be checked by now. */
    due: Count,
    /** Of the objects listed. */
    stripesByMissing: StripesByMissingSchema,
    repairsQueued: Count,
  }),
  /** By this node, since its start. */
  audits: z.strictObject({ passed: Count, failed: Count, unanswered: Count }),
  repairs: z.strictObject({
    rebuilt: Count,
    moved: Count,
    bytesRead: Count,
    bytesWritten: Count,
    failed: Count,
    lost: Count,
  }),
  /** Blocks at rest: rounds through all of them, and those found damaged since the start. */
  scrub: z.strictObject({ rounds: Count, damaged: Count }),
  names: Count,
  /** Roots that are told in the distributed hash table; absent where the node takes no part in it. */
  provided: Count.optional(),
  peers: z.array(StoragePeerViewSchema),
  objects: z.array(StorageObjectViewSchema),
})
export type StorageView = z.infer<typeof StorageViewSchema>

/** `PATCH /v1/storage`, with the node's token: leave, or stay after all; check all objects in care now. */
export const StorageChangeSchema = z.strictObject({
  state: z.enum(['active', 'leaving']).optional(),
  check: z.literal(true).optional(),
})
export type StorageChange = z.infer<typeof StorageChangeSchema>
