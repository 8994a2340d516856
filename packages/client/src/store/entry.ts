import { CidText, StorageClassSchema } from '@pingo/wire'
import { z } from 'zod'
import { MAX_KEY_BYTES } from './path-names.ts'

const MAX_METADATA_BYTES = 16 << 10
const MAX_EXTENTS = 10_000
const SECRET_BYTES = 100

const Count = z.int().min(0)
const Secret = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array, 'is not bytes')
  .refine((value) => value.byteLength <= SECRET_BYTES, 'is too long')

const Words = z
  .record(z.string().max(200), z.string().max(8_192))
  .refine((all) => JSON.stringify(all).length <= MAX_METADATA_BYTES, `is over ${MAX_METADATA_BYTES} bytes`)

/** An object of the network that holds an entry's bytes, or a part of them. */
export const ExtentSchema = z.strictObject({
  id: CidText,
  /** True length: what of the object is padding is not counted. */
  bytes: Count,
  /** Of all shards and of the manifest's copies. */
  storedBytes: Count,
  /** Of public data: what a folder's link says of it. */
  dagBytes: Count.optional(),
  /** The object's key, wrapped under the index key. Public objects have none. */
  secret: Secret.optional(),
})
export type Extent = z.infer<typeof ExtentSchema>

/** What the owner's index knows of an entry besides its place. */
export const EntrySchema = z.strictObject({
  /** A bucket has the key ''; a folder's key ends with a slash: it is empty, or public and an object itself. */
  kind: z.enum(['file', 'folder', 'bucket']),
  /** One for most; as many as parts for a multipart upload; none when empty. In order. */
  extents: z.array(ExtentSchema).max(MAX_EXTENTS),
  bytes: Count,
  class: StorageClassSchema,
  isPublic: z.boolean(),
  /** S3's entity tag, without quotes. */
  etag: z.string().max(100),
  /** `content-type` and its like, names in small letters. */
  headers: Words,
  /** What the owner noted of it (`x-amz-meta-*` without the prefix). */
  metadata: Words,
  /** Of the first version, ms since epoch. */
  created: Count,
  /** Of this version. Grows with each change of the entry, whatever the clock says. */
  at: Count,
  /** Counts the changes of the entry. */
  version: z.int().min(1),
  /** The machine that wrote it: settles which of two changes of the same moment wins. */
  writer: z.string().max(32),
})
export type Entry = z.infer<typeof EntrySchema>

const Bucket = z.string().min(1).max(63)
const Key = z.string().refine((key) => Buffer.byteLength(key) <= MAX_KEY_BYTES, 'is too long')

/** That an entry was removed: it must not come back from a machine that has not heard of it. */
export const TombstoneSchema = z.strictObject({ at: Count, writer: z.string().max(32), version: z.int().min(1) })
export type Tombstone = z.infer<typeof TombstoneSchema>

/** One line of the index, as machines of one owner exchange it. */
export const LineSchema = z.union([
  z.tuple([Bucket, Key, EntrySchema]),
  z.tuple([Bucket, Key, z.strictObject({ gone: TombstoneSchema })]),
])
export type Line = z.infer<typeof LineSchema>

/** An entry and where it is. */
export interface Placed extends Entry {
  bucket: string
  key: string
}

export interface Stamp {
  at: number
  writer: string
}
/** The last writer wins; the order is total, so that all machines agree. */
export const isNewer = (a: Stamp, b: Stamp): boolean => a.at > b.at || (a.at === b.at && a.writer > b.writer)

/** The id under which a person knows the entry: its object's, when it is one. */
export const idOf = (entry: Entry): string | undefined =>
  entry.extents.length === 1 ? entry.extents[0]!.id : undefined
export const storedBytesOf = (entry: Entry): number =>
  entry.extents.reduce((sum, { storedBytes }) => sum + storedBytes, 0)
