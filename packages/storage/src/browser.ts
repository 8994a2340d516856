/**
 * What a browser needs of storage: reading a file's tree, and opening sealed files. It imports nothing of Node.
 * @module
 */
export { openSealedFileWeb } from './crypto/web-sealed-file.ts'
export { type FileNode, readNode } from './files/unixfs.ts'
export { MAX_BLOCK_BYTES, MAX_FILE_BLOCKS, MAX_FILE_DEPTH } from './limits.ts'
