/** Bytes of a chunk: the leaf of a file. A chunk's CID is its leaf's CID. */
export const CHUNK_BYTES = 1 << 20
/** Largest block that is stored, sent or taken, bytes. */
export const MAX_BLOCK_BYTES = 2 << 20
/** Levels of a file's tree: 174 links a node make 5 levels enough for any file that fits {@link MAX_FILE_BYTES}. */
export const MAX_FILE_DEPTH = 8
/** Distinct blocks of one file. */
export const MAX_FILE_BLOCKS = 2_000_000
/** Bytes that one file may claim to have. */
export const MAX_FILE_BYTES = 2 ** 41
/** Largest file that is read whole into memory, bytes, when the caller names no limit. */
export const MAX_READ_ALL_BYTES = 2 ** 31
/** CIDs in one question for missing blocks. */
export const MAX_MISSING_CIDS = 4_096
