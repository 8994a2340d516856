import { type CID, DAG_PB, isPinGoError, PinGoError, parseCid, RAW } from '@pingo/wire'
import { SizedCache } from '../cache/s3-fifo.ts'
import type { BlockSource } from '../cdn/port.ts'
import { listFolder, MAX_PATH_DEPTH, type ReadBlock, readFolder, resolvePath } from '../files/folder.ts'
import { readTree } from '../files/read-tree.ts'
import { readNode } from '../files/unixfs.ts'
import type { CallOptions } from '../nodes/port.ts'
import type { Bucket, ListEntry, Listing, ListOptions, ObjectInfo, ObjectReader, OpenObject, Span } from './port.ts'

/** What a name points to is believed for so long. */
const NAME_MS = 60_000
const MAX_NAMES = 10_000
/** Folders that one listing looks into; a few that link to each other could hold paths without end. */
const MAX_LISTED_FOLDERS = 10_000
/** Entries of one folder that is listed: they are sorted in memory. */
const MAX_LISTED_ENTRIES = 100_000
const ITEM_BYTES = 300
const MAX_ITEMS_BYTES = 64 << 20
/** Entries whose kind is looked up at once. */
const KINDS_AT_ONCE = 8
const NAME = /^k51[a-z0-9]{59}$/

export interface PublicBackendOptions {
  source: BlockSource
  /** Resolves names (IPNS); without it, buckets are root CIDs alone. */
  names?: { resolve(name: string, o?: CallOptions): Promise<{ cid: string | undefined } | undefined> }
  /** ms since epoch. */
  clock?: () => number
}

/** An entry of a folder by the key that it has, or that all keys below it begin with. */
interface Item {
  /** Of a folder with the slash at its end. */
  name: string
  cid: CID
  isFolder: boolean
  bytes: number
}

/**
 * Public data as S3 sees them, read only: a bucket is the root CID of a UnixFS folder, or a name (IPNS) that points to one; keys are the paths
 * in it. An ETag is a CID. Every block is checked by whoever gave the source.
 */
export class PublicBackend implements ObjectReader {
  readonly #o: PublicBackendOptions
  readonly #clock: () => number
  readonly #names = new SizedCache<{ root: CID; until: number }>({ maxBytes: MAX_NAMES })
  /** By CID: a folder never changes. */
  readonly #folders = new SizedCache<Item[]>({ maxBytes: MAX_ITEMS_BYTES })

  constructor(o: PublicBackendOptions) {
    this.#o = o
    this.#clock = o.clock ?? Date.now
  }

  /** There are as many as there are CIDs. */
  async listBuckets(): Promise<Bucket[]> {
    return []
  }

  async headBucket(bucket: string, o: CallOptions = {}): Promise<Bucket | undefined> {
    return (await this.#root(bucket, o)) && { name: bucket, createdAt: 0 }
  }

  async head(bucket: string, key: string, o: CallOptions = {}): Promise<ObjectInfo | undefined> {
    return (await this.get(bucket, key, o))?.info
  }

  async get(bucket: string, key: string, o: CallOptions = {}): Promise<OpenObject | undefined> {
    const root = await this.#needRoot(bucket, o)
    const read = this.#reader(o.signal)
    const cid = await resolveKey(root, key, read)
    if (!cid || (cid.code !== RAW && cid.code !== DAG_PB)) return undefined
    const block = await read(cid, cid)
    if (readFolder(cid, block)) return undefined
    const node = readNode(cid, block)
    return {
      info: infoOf(cid, node.bytes),
      read: (span: Span = { start: 0, end: node.bytes }, { signal }: CallOptions = {}) => {
        const read = this.#reader(signal)
        return readTree(node, span.start, span.end, (child) => read(child, cid))
      },
    }
  }

  async list(bucket: string, o: ListOptions & CallOptions): Promise<Listing> {
    const root = await this.#needRoot(bucket, o)
    const entries: ListEntry[] = []
    for await (const entry of this.#entries(root, o)) {
      if (entries.length >= o.limit) return { entries, isTruncated: true }
      entries.push(entry)
    }
    return { entries, isTruncated: false }
  }

  /** What a listing tells, in order: folders are looked into only where keys of theirs are wanted. */
  async *#entries(root: CID, o: ListOptions & CallOptions): AsyncGenerator<ListEntry> {
    const { prefix, delimiter, after } = o
    const left: { item: Item; key: string; depth: number }[] = []
    let folders = 0
    const enter = async (cid: CID, base: string, depth: number) => {
      if (++folders > MAX_LISTED_FOLDERS || depth > MAX_PATH_DEPTH)
        throw new PinGoError('FOLDER_MALFORMED', `${root} has too many folders to list.`)
      const items = await this.#items(cid, o.signal)
      for (const item of items.toReversed()) left.push({ item, key: base + item.name, depth })
    }
    await enter(root, '', 1)
    let told = ''
    for (let next = left.pop(); next; next = left.pop()) {
      const { item, key, depth } = next
      const isBelow = key.startsWith(prefix)
      if (!isBelow && !(item.isFolder && prefix.startsWith(key))) continue
      const cut = delimiter === '' || !isBelow ? -1 : key.indexOf(delimiter, prefix.length)
      if (cut >= 0) {
        const common = key.slice(0, cut + delimiter.length)
        if (common !== told && isAfter(common, after)) yield { prefix: common }
        told = common
      } else if (!item.isFolder) {
        if (isAfter(key, after)) yield { key, info: infoOf(item.cid, item.bytes) }
      } else if (after.startsWith(key) || isAfter(key, after)) await enter(item.cid, key, depth + 1)
    }
  }

  /** The entries of a folder in the order of their keys. */
  async #items(folder: CID, signal: AbortSignal | undefined): Promise<Item[]> {
    const text = folder.toString()
    const known = this.#folders.get(text)
    if (known) return known
    const read = this.#reader(signal)
    const items: Item[] = []
    let unknown: Item[] = []
    const lookUp = async () => {
      await Promise.all(unknown.map((item) => learn(item, read)))
      unknown = []
    }
    for await (const { name, cid, dagBytes } of listFolder(folder, read)) {
      if (items.length >= MAX_LISTED_ENTRIES)
        throw new PinGoError('FOLDER_MALFORMED', `${folder} has more than ${MAX_LISTED_ENTRIES} entries to list.`)
      const item = { name, cid, isFolder: false, bytes: dagBytes }
      items.push(item)
      if (cid.code === DAG_PB) unknown.push(item)
      if (unknown.length >= KINDS_AT_ONCE) await lookUp()
    }
    await lookUp()
    items.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
    this.#folders.set(text, items, ITEM_BYTES * (1 + items.length))
    return items
  }

  async #needRoot(bucket: string, o: CallOptions): Promise<CID> {
    const root = await this.#root(bucket, o)
    if (root) return root
    throw new PinGoError('BUCKET_MISSING', `No public folder is known as ${bucket}.`)
  }

  /** The folder that a bucket is. */
  async #root(bucket: string, o: CallOptions): Promise<CID | undefined> {
    const root = NAME.test(bucket) ? await this.#resolve(bucket, o) : cidOf(bucket)
    if (root?.code !== DAG_PB) return undefined
    try {
      return readFolder(root, await this.#reader(o.signal)(root, root)) && root
    } catch (error) {
      if (isPinGoError(error, 'BLOCK_MISSING')) return undefined
      throw error
    }
  }

  async #resolve(name: string, o: CallOptions): Promise<CID | undefined> {
    const known = this.#names.get(name)
    if (known && known.until > this.#clock()) return known.root
    const root = (await this.#o.names?.resolve(name, o))?.cid
    if (root === undefined) return undefined
    this.#names.set(name, { root: parseCid(root), until: this.#clock() + NAME_MS }, 1)
    return parseCid(root)
  }

  #reader(signal: AbortSignal | undefined): ReadBlock {
    return (cid, root) => this.#o.source.get(cid, { root, signal })
  }
}

/** Whether a path, as a client wrote it, begins with a bucket of {@link PublicBackend}: then it is for an S3 endpoint. */
export function isPublicBucketPath(url: string): boolean {
  const [, bucket = ''] = /^\/([a-z0-9]{20,63})(?:[/?]|$)/.exec(url) ?? []
  return NAME.test(bucket) || cidOf(bucket) !== undefined
}

/** Finds out what a node of the tree is. */
async function learn(item: Item, read: ReadBlock): Promise<void> {
  const block = await read(item.cid, item.cid)
  item.isFolder = readFolder(item.cid, block) !== undefined
  if (item.isFolder) item.name += '/'
  else item.bytes = readNode(item.cid, block).bytes
}

async function resolveKey(root: CID, key: string, read: ReadBlock): Promise<CID | undefined> {
  try {
    return (await resolvePath(root, key.split('/'), read)).cid // an empty name is no safe one
  } catch (error) {
    if (isPinGoError(error, 'PATH_NOT_FOUND')) return undefined
    throw error
  }
}

function cidOf(text: string): CID | undefined {
  try {
    return text.startsWith('b') ? parseCid(text) : undefined
  } catch {
    return undefined
  }
}

const infoOf = (cid: CID, bytes: number): ObjectInfo => ({
  bytes,
  etag: cid.toString(),
  modifiedAt: 0,
  headers: { 'content-type': 'application/octet-stream', 'cache-control': 'public, max-age=60' },
  metadata: {},
})

const isAfter = (name: string, after: string): boolean => Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0
