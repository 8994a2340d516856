/** Bytes of UTF-8 of a key. */
export const MAX_KEY_BYTES = 1024
/** Bytes of `x-amz-meta-*`, names and values together. */
export const MAX_METADATA_BYTES = 2048
/** Bytes of one PUT or one part: 5 GiB. */
export const MAX_UPLOAD_BYTES = 5 * 2 ** 30
/** All parts of an upload but the last have at least 5 MiB. */
export const MIN_PART_BYTES = 5 << 20
export const MAX_PARTS = 10_000
/** Entries of one page of a listing, and keys of one DeleteObjects. */
export const MAX_PAGE = 1000
/** Bytes of an XML body. */
export const MAX_XML_BYTES = 1 << 20
/** Bytes of the line before a chunk of an aws-chunked body, and of all trailers together. */
export const MAX_CHUNK_LINE_BYTES = 1024
export const MAX_TRAILER_BYTES = 4096
/** How far a client's clock may be off, ms (AWS: 15 minutes). */
export const MAX_CLOCK_SKEW_MS = 15 * 60_000
/** Life of a presigned URL, s (AWS: 7 days). */
export const MAX_PRESIGNED_S = 7 * 86_400
/** Requests that are served at once; more get SlowDown. */
export const MAX_REQUESTS = 256
/** A sender or a reader must move {@link MIN_PACE_BYTES} in any this many ms that we wait for it. */
export const PACE_MS = 60_000
export const MIN_PACE_BYTES = 64 << 10
/** What is still read of a refused body so that the client sees the answer: bytes, and ms. */
export const MAX_DRAIN_BYTES = 16 << 20
export const DRAIN_MS = 5_000
