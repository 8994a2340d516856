import { type CID, cidOf, type FileRef, PinGoError } from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { type CidLike, toCid } from '../blocks/key.ts'
import { CHUNK_BYTES, MAX_READ_ALL_BYTES } from '../limits.ts'
import { type CarImport, readCar, writeCar } from './car.ts'
import { importFile } from './import-file.ts'
import { leavesOf } from './leaves.ts'
import { readTree } from './read-tree.ts'
import { readNode, walk } from './unixfs.ts'

/** Blocks that are hashed and written at once while a file is stored. */
const WRITE_CONCURRENCY = 4

/** Where files go. */
export interface FileSink {
  put(bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<FileRef>
}

/** A part of a file: from `start`, `end` exclusive, bytes. */
export interface ByteRange {
  start?: number
  end?: number
}

/** Bytes [start, end) of a file, and the block of plain bytes that holds them, or they themselves. */
export interface Extent {
  start: number
  end: number
  of: CID | Uint8Array
}

/**
 * Files as UnixFS over a block store: raw leaves of 1 MiB, a dag-pb tree above when there is more than one, CIDv1; the same CIDs
 * as `ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576`.
 */
export class FileStore implements FileSink {
  readonly blocks: BlockStore

  constructor(blocks: BlockStore) {
    this.blocks = blocks
  }

  /**
   * Stores a file of any length in constant memory.
   * @param o.pin pins it under this kind before garbage collection could reach it
   * @throws PinGoError as {@link BlockStore.put}
   */
  async put(bytes: Uint8Array | AsyncIterable<Uint8Array>, o: { pin?: string } = {}): Promise<FileRef> {
    const hold = this.blocks.hold()
    try {
      const ref =
        bytes instanceof Uint8Array && bytes.byteLength <= CHUNK_BYTES
          ? await this.#putChunk(bytes)
          : await this.#putTree(bytes)
      if (o.pin !== undefined) this.blocks.pin(ref.cid, o.pin)
      return ref
    } finally {
      hold.release()
    }
  }

  async #putChunk(bytes: Uint8Array): Promise<FileRef> {
    const cid = cidOf(bytes)
    await this.blocks.put(cid, bytes)
    return { cid: cid.toString(), bytes: bytes.byteLength }
  }

  async #putTree(content: Uint8Array | AsyncIterable<Uint8Array>): Promise<FileRef> {
    let bytes = 0
    const counted = async function* () {
      for await (const part of content instanceof Uint8Array ? [content] : content) {
        bytes += part.byteLength
        yield part
      }
    }
    const { cid } = await importFile(counted(), (cid, block) => this.blocks.put(cid, block), {
      concurrency: WRITE_CONCURRENCY,
    })
    return { cid: cid.toString(), bytes }
  }

  /**
   * The bytes of a file, in order, a chunk at a time, each verified.
   * @throws PinGoError BLOCK_MISSING, BLOCK_CORRUPT, FILE_MALFORMED, FILE_SIZE_MISMATCH (not as long as its reference says)
   */
  async *read(file: FileRef | CidLike, range: ByteRange = {}): AsyncGenerator<Uint8Array> {
    const { cid, bytes } = refOf(file)
    const root = readNode(cid, await this.blocks.get(cid))
    if (bytes !== undefined && root.bytes !== bytes) throw sizeMismatch(cid, bytes, root.bytes)
    const start = Math.max(0, range.start ?? 0)
    const end = Math.min(root.bytes, range.end ?? root.bytes)
    if (start < end) yield* readTree(root, start, end, (child) => this.blocks.get(child))
  }

  /**
   * A whole file in memory.
   * @param maxBytes refused when larger, before it is read
   * @throws PinGoError FILE_TOO_LARGE, and as {@link FileStore.read}
   */
  async readAll(file: FileRef | CidLike, maxBytes: number = MAX_READ_ALL_BYTES): Promise<Uint8Array> {
    const { cid, bytes } = refOf(file)
    const block = await this.blocks.get(cid)
    const root = readNode(cid, block)
    if (bytes !== undefined && root.bytes !== bytes) throw sizeMismatch(cid, bytes, root.bytes)
    if (root.bytes > maxBytes)
      throw new PinGoError(
        'FILE_TOO_LARGE',
        `File ${cid} has ${root.bytes} bytes, more than the ${maxBytes} that are taken.`,
      )
    if (root.children.length === 0) return root.data
    const whole = new Uint8Array(root.bytes)
    let at = 0
    for await (const part of readTree(root, 0, root.bytes, (child) => this.blocks.get(child))) {
      whole.set(part, at)
      at += part.byteLength
    }
    return whole
  }

  /** Where the bytes of a file lie, for {@link FileStore.readPart}. @throws PinGoError BLOCK_MISSING, BLOCK_CORRUPT, FILE_MALFORMED */
  async extents(file: FileRef): Promise<Extent[]> {
    const { cid, bytes } = refOf(file)
    const extents: Extent[] = []
    let start = 0
    for await (const leaf of leavesOf(cid, bytes!, 0, bytes!, (child) => this.blocks.get(child))) {
      const end = start + ('inline' in leaf ? leaf.inline.byteLength : leaf.to - leaf.from)
      extents.push({ start, end, of: 'inline' in leaf ? leaf.inline : leaf.cid })
      start = end
    }
    return extents
  }

  /**
   * Fills `into` with a file's bytes from `start` on, of which only those are read: see {@link BlockStore.readPart}.
   * @throws PinGoError BLOCK_MISSING, BLOCK_CORRUPT, FILE_MALFORMED (it ends before)
   */
  async readPart(extents: readonly Extent[], start: number, into: Uint8Array): Promise<void> {
    const end = start + into.byteLength
    if (end > (extents.at(-1)?.end ?? 0))
      throw new PinGoError('FILE_MALFORMED', 'A file is shorter than what is read of it.')
    for (const { start: first, end: last, of } of extents) {
      const from = Math.max(start, first)
      const to = Math.min(end, last)
      if (from >= to) continue
      const part = into.subarray(from - start, to - start)
      if (of instanceof Uint8Array) part.set(of.subarray(from - first, to - first))
      else await this.blocks.readPart(of, from - first, part)
    }
  }

  /** Bytes of a file, by its root alone. @throws PinGoError BLOCK_MISSING, FILE_MALFORMED */
  async size(cid: CidLike): Promise<number> {
    const root = toCid(cid)
    return readNode(root, await this.blocks.get(root)).bytes
  }

  /**
   * The CIDs of all blocks of a file, each once, root first. Leaves are named, not read.
   * @throws PinGoError BLOCK_MISSING, FILE_MALFORMED, FILE_TOO_LARGE for trees that are too deep or too wide
   */
  async chunks(cid: CidLike): Promise<string[]> {
    return await walk(cid, (node) => this.blocks.get(node))
  }

  /** Writes a file with all its blocks as a CAR (ipld CARv1), in constant memory. */
  async exportCar(cid: CidLike, writable: NodeJS.WritableStream | WritableStream<Uint8Array>): Promise<void> {
    await writeCar(writable, toCid(cid), await this.chunks(cid), (block) => this.blocks.get(block))
  }

  /**
   * Stores the blocks of a CAR, each verified. @returns its roots and how much was stored
   * @throws PinGoError CAR_MALFORMED, BLOCK_MISMATCH, and as {@link BlockStore.put}
   */
  async importCar(readable: AsyncIterable<Uint8Array>): Promise<CarImport> {
    const hold = this.blocks.hold()
    try {
      const result: CarImport = { roots: [], blocks: 0, bytes: 0 }
      const { roots, blocks } = await readCar(readable)
      result.roots = roots.map(String)
      for await (const { cid, bytes } of blocks) {
        await this.blocks.put(cid, bytes)
        result.blocks += 1
        result.bytes += bytes.byteLength
      }
      return result
    } finally {
      hold.release()
    }
  }
}

/** A file by its reference, or by its root alone. */
export function refOf(file: FileRef | CidLike): { cid: CID; bytes: number | undefined } {
  const isRef = typeof file === 'object' && 'cid' in file && 'bytes' in file && typeof file.bytes === 'number'
  return isRef
    ? { cid: toCid((file as FileRef).cid), bytes: (file as FileRef).bytes }
    : { cid: toCid(file as CidLike), bytes: undefined }
}

export const sizeMismatch = (cid: CID, wanted: number, got: number) =>
  new PinGoError('FILE_SIZE_MISMATCH', `File ${cid} has ${got} bytes, its reference says ${wanted}.`)
