import type { CallOptions } from '../nodes/port.ts'

/**
 * What the S3 endpoint needs of a store of named objects. It knows nothing of HTTP or XML; the endpoint knows nothing of encryption.
 *
 * Names of buckets and keys reach a backend checked (S3's rules for buckets; keys of 1 … 1024 bytes of UTF-8, any characters).
 * What goes wrong is a PinGoError; these codes have an S3 answer of their own: BUCKET_MISSING, BUCKET_EXISTS, BUCKET_NOT_EMPTY,
 * OBJECT_MISSING (the source of a copy), UPLOAD_MISSING, PART_MISSING (complete names a part that is not there, or has another ETag),
 * PRECONDITION_FAILED, QUOTA_EXCEEDED. All others are answered as 503, so that clients try again.
 */

export interface Bucket {
  name: string
  /** ms since epoch. */
  createdAt: number
}

/** What an object's owner says of it: kept and handed back, never read. */
export interface Description {
  /** Lower-case HTTP headers out of {@link KEPT_HEADERS}; `content-type` is always there. */
  headers: Record<string, string>
  /** `x-amz-meta-*` without the prefix, lower case; 2 KiB at most in all. */
  metadata: Record<string, string>
}

export const KEPT_HEADERS = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
] as const

export interface ObjectInfo extends Description {
  bytes: number
  /** Without quotes: the MD5 in hex, of a multipart object md5-of-md5s-N. Whatever wrote the object by another way may use any other text. */
  etag: string
  /** ms since epoch. */
  modifiedAt: number
}

/** `end` is exclusive. */
export interface Span {
  start: number
  end: number
}

/** One version of an object: what is read is what `info` tells of, also when the key gets another object meanwhile. */
export interface OpenObject {
  info: ObjectInfo
  /** The bytes, all of them or a span within `info.bytes`. A reader that stops early returns the iterator. */
  read(span?: Span, o?: CallOptions): AsyncIterable<Uint8Array>
}

export interface ListOptions {
  /** Only keys that begin with it; all when empty. */
  prefix: string
  /** Keys that have it after the prefix are told once, as the common prefix up to and with it; none when empty. */
  delimiter: string
  /** Only entries whose name (key or common prefix) comes after it in order; all when empty. */
  after: string
  /** Entries at most, 1 … 1000. */
  limit: number
}

export type ListEntry = { key: string; info: ObjectInfo } | { prefix: string }

export interface Listing {
  /** Ordered by the UTF-8 bytes of key or common prefix, each once. */
  entries: ListEntry[]
  /** Whether there is more after the last entry. */
  isTruncated: boolean
}

/** What can be done with public buckets. A bucket that does not exist is BUCKET_MISSING everywhere but in `headBucket`. */
export interface ObjectReader {
  /** Ordered by name. */
  listBuckets(o?: CallOptions): Promise<Bucket[]>
  headBucket(bucket: string, o?: CallOptions): Promise<Bucket | undefined>
  /** Undefined when there is no such key. */
  head(bucket: string, key: string, o?: CallOptions): Promise<ObjectInfo | undefined>
  /** Undefined when there is no such key. */
  get(bucket: string, key: string, o?: CallOptions): Promise<OpenObject | undefined>
  list(bucket: string, o: ListOptions & CallOptions): Promise<Listing>
}

/** The body of an upload. */
export interface Upload {
  /** Bytes that `stream` gives in all. */
  bytes: number
  /**
   * Ends only after the body was checked against its signature and checksums: it throws instead when it is short, long, broken or
   * slow, and then nothing may be kept. A backend reads it to its end.
   */
  stream: AsyncIterable<Uint8Array>
  /** The MD5 in hex; known when the stream has ended. */
  etag(): string
}

/** Checked in the same step that makes the object visible; PRECONDITION_FAILED. */
export interface Condition {
  /** The key must have no object. */
  ifAbsent?: boolean
  /** The key's object must have this ETag. */
  ifMatch?: string
}

export interface Part {
  /** 1 … 10000. */
  number: number
  bytes: number
  etag: string
  modifiedAt: number
}

export interface PendingUpload {
  id: string
  key: string
  startedAt: number
}

/** A store that can be written. An object is durable and visible when the promise resolves, whole or not at all. */
export interface ObjectBackend extends ObjectReader {
  /** BUCKET_EXISTS when there is one of that name. */
  createBucket(bucket: string, o?: CallOptions): Promise<void>
  /** BUCKET_NOT_EMPTY while it has objects; unfinished uploads go with it. */
  deleteBucket(bucket: string, o?: CallOptions): Promise<void>
  put(
    bucket: string,
    key: string,
    upload: Upload,
    o: Description & Condition & CallOptions,
  ): Promise<{ etag: string; modifiedAt: number }>
  /** Without a word when there is no such key. */
  delete(bucket: string, key: string, o?: CallOptions): Promise<void>
  /** The source's ETag is kept. With `description`, it takes the place of the source's. `source.etag`: PRECONDITION_FAILED when it has another. */
  copy(
    source: { bucket: string; key: string; etag?: string },
    target: { bucket: string; key: string },
    o: { description?: Description } & Condition & CallOptions,
  ): Promise<{ etag: string; modifiedAt: number }>

  createUpload(bucket: string, key: string, o: Description & CallOptions): Promise<{ id: string }>
  /** Ordered by key, then by start. */
  listUploads(bucket: string, o?: CallOptions): Promise<PendingUpload[]>
  /** A part of the same number is replaced. UPLOAD_MISSING when the upload is not one of this key. */
  putPart(
    bucket: string,
    key: string,
    id: string,
    part: number,
    upload: Upload,
    o?: CallOptions,
  ): Promise<{ etag: string; modifiedAt: number }>
  /** Ordered by number, 10000 at most. */
  listParts(bucket: string, key: string, id: string, o?: CallOptions): Promise<Part[]>
  /** Makes the parts, in this order, the object; others are dropped. The endpoint has checked order and sizes and names the object's ETag. */
  completeUpload(
    bucket: string,
    key: string,
    id: string,
    o: { parts: { number: number; etag: string }[]; etag: string } & Condition & CallOptions,
  ): Promise<{ etag: string; modifiedAt: number }>
  abortUpload(bucket: string, key: string, id: string, o?: CallOptions): Promise<void>
}
