import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type CID, DAG_PB, PinGoError, RAW } from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { toCid } from '../blocks/key.ts'
import type { DiskCache } from '../cache/disk-cache.ts'
import { SizedCache } from '../cache/s3-fifo.ts'
import type { BlockSource, BlockStream } from '../cdn/port.ts'
import { carSections } from '../files/car.ts'
import { type DagScope, walkDag } from '../files/dag-walk.ts'
import { type Entry, folderNodes, type ReadBlock, readFolder, resolvePath, type Step } from '../files/folder.ts'
import { readTree } from '../files/read-tree.ts'
import { type FileNode, readNode } from '../files/unixfs.ts'
import { MAX_BLOCK_BYTES, MAX_FILE_BLOCKS } from '../limits.ts'
import { sendLent } from '../transfer/send.ts'
import {
  type Answer,
  begin,
  CAR_TYPE,
  checkMethod,
  commonHead,
  end,
  fail,
  fileAnswer,
  fileHead,
  fileTag,
  lasting,
  leavesAnswer,
  notModified,
  options,
  rawAnswer,
  rawHead,
} from './answers.ts'
import { isCurrent } from './conditions.ts'
import { openFastLane } from './fast-lane.ts'
import { type HotBlock, HotBlocks, type Reads } from './hot-blocks.ts'
import { LISTING_POLICY, listingPage } from './listing.ts'
import { Outflow, writeParts } from './outflow.ts'
import { type ReadRequest, readRequest } from './read-request.ts'
import { SNIFFED_BYTES, sniff } from './sniff.ts'

const MAX_CARS = 16
const MAX_LISTED = 1_000
const MAX_LISTED_SHARDS = 256
/** Blocks of one answer that are in memory at once: one is written, one is read ahead. */
const BLOCKS_AT_ONCE = 2
const MAX_TYPES_BYTES = 1 << 20
const TYPE_BYTES = 200
/** A list is made by this program, whose next version may make another of the same directory. */
const LISTING_CACHING = 'public, max-age=600'

export interface ReaderOptions {
  source: BlockSource | undefined
  disk: DiskCache | undefined
  cacheBytes: number
  maxInFlightBytes: number
  transferMs: number
}

/** Blocks, files, directories and CARs that go out. */
export class Reader {
  readonly #store: BlockStore
  readonly #hot: HotBlocks
  readonly #outflow: Outflow
  /** Types of files that are not one block, by CID. */
  readonly #types = new SizedCache<string>({ maxBytes: MAX_TYPES_BYTES })
  readonly #walkBudget = { blocks: 2 * MAX_FILE_BLOCKS }
  #cars = 0

  constructor(store: BlockStore, o: ReaderOptions) {
    this.#store = store
    this.#hot = new HotBlocks(store, o)
    this.#outflow = new Outflow({ maxBytes: o.maxInFlightBytes, timeoutMs: o.transferMs })
  }

  get reads(): Readonly<Reads> {
    return this.#hot.reads
  }

  /** {@link openFastLane} for what is in memory. */
  accelerate(server: Server): void {
    openFastLane(server, (url) => this.#hotAnswer(url), this.#outflow)
  }

  serve(request: IncomingMessage, response: ServerResponse, url: string): void {
    const answer = request.method === 'GET' && isPlain(request.rawHeaders) ? this.#hotAnswer(url) : undefined
    if (answer === undefined) {
      this.#read(request, response, url).catch((error) => fail(response, error))
      return
    }
    try {
      this.#send(response, 200, answer.head, answer.body)
    } catch (error) {
      fail(response, error)
    }
  }

  /** The hashes of the leaves of a block that is here. */
  async serveLeaves(request: IncomingMessage, response: ServerResponse, text: string): Promise<void> {
    checkMethod(request.method)
    const cid = toCid(text)
    const block = await this.#hot.get(cid, { isLocal: true })
    block.leaves ??= leavesAnswer(cid, block.bytes)
    const { tag, head, body } = block.leaves
    if (isCurrent(request, tag)) return notModified(response, head)
    if (request.method === 'HEAD') return end(response, 200, head)
    this.#send(response, 200, head, body)
  }

  /** The whole answer to what is asked for most: a block in memory, raw or as a file, with nothing special asked. */
  #hotAnswer(url: string): Answer | undefined {
    const query = url.indexOf('?')
    const isRaw = query > 0 && url.length === query + RAW_QUERY.length && url.endsWith(RAW_QUERY)
    if (query > 0 && !isRaw) return undefined
    const block = this.#hot.peek(url.slice('/ipfs/'.length, query < 0 ? undefined : query))
    if (block === undefined) return undefined
    return isRaw ? rawOf(block) : fileOf(block)
  }

  #send(response: ServerResponse, status: number, head: readonly string[], body: Uint8Array): void {
    this.#outflow.check(body.byteLength)
    response.writeHead(status, head as string[])
    this.#outflow.end(response, body, body.byteLength)
  }

  async #read(request: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
    if (request.method === 'OPTIONS') return options(response)
    checkMethod(request.method)
    const wanted = readRequest(url, request.headers.accept)
    const root = toCid(wanted.root)
    // who hung up waits for nothing
    const stop = new AbortController()
    response.once('close', () => stop.abort())
    // ipfs/specs, trustless gateway: 412 for what would have to be fetched
    const isLocal = /\bonly-if-cached\b/.test(request.headers['cache-control'] ?? '')
    const from = (root: CID) => ({ signal: stop.signal, root, isLocal })
    const read: ReadBlock = async (cid, root) => (await this.#hot.get(cid, from(root))).bytes
    const { cid, way } = await resolvePath(root, wanted.names, read)
    if (wanted.format === 'car') return await this.#car(request, response, wanted, way, read)
    if (wanted.format === 'raw') return await this.#raw(request, response, cid, from(cid))
    if (cid.code !== RAW && cid.code !== DAG_PB)
      throw new PinGoError('FORMAT_UNKNOWN', `${cid} is neither a file nor a directory.`, {
        hint: 'Ask for it with ?format=raw.',
      })
    const block = await this.#hot.get(cid, from(cid))
    const isFolder = readFolder(cid, block.bytes) !== undefined
    if (isFolder && isLocal) throw new PinGoError('NOT_CACHED', 'The page of a directory is made when it is asked for.')
    if (isFolder) await this.#directory(request, response, wanted, root, block, read)
    else await this.#file(request, response, wanted, root, block, (child) => read(child, cid))
  }

  async #raw(
    request: IncomingMessage,
    response: ServerResponse,
    cid: CID,
    o: { signal: AbortSignal; root: CID; isLocal: boolean },
  ): Promise<void> {
    if (request.method === 'GET' && request.headers.range === undefined) {
      const stream = await this.#hot.stream(cid, o)
      if (stream) return await this.#pass(request, response, cid, stream)
    }
    const size = this.#hot.size(cid)
    const block = size === undefined ? await this.#hot.get(cid, o) : undefined
    const begun = begin(request, response, {
      tag: `"${cid}"`,
      head: rawHead(cid),
      size: size ?? block!.bytes.byteLength,
    })
    if (!begun) return
    const held = size ?? 0
    this.#outflow.check(held)
    if (request.headers['cache-control'] === 'no-store' && this.#store.has(cid)) {
      this.#outflow.follow(response, held)
      return await sendLent(response, begun, await this.#store.lend(cid), begun.span.start, begun.span.end)
    }
    const { bytes } = block ?? (await this.#hot.get(cid, o))
    this.#send(response, begun.status, begun.head, bytes.subarray(begun.span.start, begun.span.end))
  }

  /** Passes a block on as it comes from another node. */
  async #pass(request: IncomingMessage, response: ServerResponse, cid: CID, stream: BlockStream): Promise<void> {
    const { bytes, parts } = stream
    const begun = begin(request, response, { tag: `"${cid}"`, head: rawHead(cid), size: bytes })
    if (!begun) return
    this.#outflow.check(bytes)
    this.#outflow.follow(response, bytes)
    const first = await parts.next()
    if (response.destroyed) return
    response.writeHead(begun.status, begun.head)
    await writeParts(response, startingWith(first, parts))
  }

  async #file(
    request: IncomingMessage,
    response: ServerResponse,
    wanted: ReadRequest,
    root: CID,
    block: HotBlock,
    read: (cid: CID) => Promise<Uint8Array>,
  ): Promise<void> {
    const { cid } = block
    const node = readNode(cid, block.bytes)
    const type = await this.#typeOf(cid, node, read)
    const name = wanted.filename ?? wanted.names.at(-1)
    const begun = begin(request, response, {
      tag: fileTag(cid),
      head: fileHead({ cid, root, path: wanted.path, type, name }),
      size: node.bytes,
    })
    if (!begun) return
    const { start, end: stop } = begun.span
    if (node.children.length === 0)
      return this.#send(response, begun.status, begun.head, node.data.subarray(start, stop))
    const held = Math.min(stop - start, BLOCKS_AT_ONCE * MAX_BLOCK_BYTES)
    this.#outflow.check(held)
    this.#outflow.follow(response, held)
    const parts = readTree(node, start, stop, read)
    // the head says that the file is here: the first part must be
    const first = await parts.next()
    if (response.destroyed) return
    response.writeHead(begun.status, begun.head)
    await writeParts(response, startingWith(first, parts))
  }

  async #typeOf(cid: CID, node: FileNode, read: (cid: CID) => Promise<Uint8Array>): Promise<string> {
    const text = cid.toString()
    const known = this.#types.get(text)
    if (known) return known
    const parts: Uint8Array[] = []
    for await (const part of readTree(node, 0, Math.min(node.bytes, SNIFFED_BYTES), read)) parts.push(part)
    const type = sniff(Buffer.concat(parts))
    this.#types.set(text, type, TYPE_BYTES)
    return type
  }

  async #directory(
    request: IncomingMessage,
    response: ServerResponse,
    wanted: ReadRequest,
    root: CID,
    { cid, bytes }: HotBlock,
    read: ReadBlock,
  ): Promise<void> {
    const { isJson } = wanted
    const tag = `W/"${cid}.${isJson ? 'json' : 'dir-1'}"`
    const head = commonHead(cid, root, isJson ? 'application/json' : 'text/html; charset=utf-8', wanted.path)
    if (!isJson) head.push('content-security-policy', LISTING_POLICY, 'referrer-policy', 'no-referrer')
    const whole = ['etag', tag, 'cache-control', LISTING_CACHING]
    if (isCurrent(request, tag)) return notModified(response, [...head, ...whole])
    const { entries, isWhole } = await firstEntries(cid, read, bytes)
    const text = isJson
      ? JSON.stringify({
          cid: String(cid),
          isWhole,
          entries: entries.map(({ name, cid, dagBytes }) => ({ name, cid: String(cid), bytes: dagBytes })),
        })
      : listingPage({ root, path: wanted.names, entries, isWhole })
    const body = Buffer.from(text)
    head.push(...(isWhole ? whole : ['cache-control', 'no-store']), 'content-length', String(body.byteLength))
    if (request.method === 'HEAD') return end(response, 200, head)
    this.#send(response, 200, head, body)
  }

  async #car(
    request: IncomingMessage,
    response: ServerResponse,
    wanted: ReadRequest,
    way: Step[],
    read: ReadBlock,
  ): Promise<void> {
    const [root, cid] = [way[0]!.cid, way.at(-1)!.cid]
    const scope: DagScope = wanted.scope
    const kind = [
      scope === 'all' ? '' : `.${scope}`,
      wanted.range ? `.${wanted.range.from}-${wanted.range.to ?? ''}` : '',
    ].join('')
    const tag = `W/"${cid}${wanted.names.length > 0 ? `.${root}` : ''}${kind}.car"`
    const head = [
      ...commonHead(cid, root, `${CAR_TYPE}; version=1; order=dfs; dups=n`, wanted.path),
      ...lasting(tag),
      'content-disposition',
      `attachment; filename="${cid}.car"`,
      'accept-ranges',
      'none',
    ]
    const held = BLOCKS_AT_ONCE * MAX_BLOCK_BYTES
    if (request.method !== 'HEAD') {
      if (this.#cars >= MAX_CARS)
        throw new PinGoError('OVERLOADED', 'Too many CARs are on their way already.', {
          hint: 'Ask again in a second.',
        })
      this.#outflow.check(held)
    }
    const blocks = walkDag(way, { scope, range: wanted.range, get: read, budget: this.#walkBudget })
    const parts = carSections(root, blocks)
    try {
      await read(cid, cid) // it is here: only now the head says so
      if (isCurrent(request, tag)) return notModified(response, head)
      if (request.method === 'HEAD') return end(response, 200, head)
      this.#cars += 1
      response.once('close', () => {
        this.#cars -= 1
      })
      this.#outflow.follow(response, held)
      if (response.destroyed) return
      response.writeHead(200, head)
      await writeParts(response, parts)
    } finally {
      await parts.return(undefined)
    }
  }
}

/** The entries of a directory as far as the limits go: a few blocks that link to each other could list names without end. */
async function firstEntries(
  cid: CID,
  read: ReadBlock,
  first: Uint8Array,
): Promise<{ entries: Entry[]; isWhole: boolean }> {
  const entries: Entry[] = []
  let nodes = 0
  for await (const node of folderNodes(cid, read, first)) {
    if (nodes++ > MAX_LISTED_SHARDS) return { entries, isWhole: false }
    for (const entry of node.entries) {
      if (entries.length >= MAX_LISTED) return { entries, isWhole: false }
      entries.push(entry)
    }
  }
  return { entries, isWhole: true }
}

const RAW_QUERY = '?format=raw'

/** Whether a request's headers ask for nothing but the whole body in the path's own format. */
function isPlain(rawHeaders: readonly string[]): boolean {
  for (let n = 0; n < rawHeaders.length; n += 2) {
    const name = rawHeaders[n]!
    switch (name.length) {
      case 5: // range
      case 8: // if-range, if-match
      case 13: // if-none-match, cache-control
        if (SPECIAL.has(name.toLowerCase())) return false
        break
      case 6:
        if (rawHeaders[n + 1] !== '*/*' && name.toLowerCase() === 'accept') return false
    }
  }
  return true
}
const SPECIAL = new Set(['range', 'if-range', 'if-match', 'if-none-match', 'cache-control'])

const rawOf = (block: HotBlock): Answer => (block.raw ??= rawAnswer(block.cid, block.bytes))

/** A block that is a whole file by itself. */
function fileOf(block: HotBlock): Answer | undefined {
  if (block.file === undefined) block.file = makeFile(block)
  return block.file ?? undefined
}

function makeFile({ cid, bytes }: HotBlock): Answer | null {
  if (cid.code === RAW) return fileAnswer(cid, bytes)
  return null
}

async function* startingWith<T>(first: IteratorResult<T>, rest: AsyncIterable<T>): AsyncGenerator<T> {
  if (first.done) return
  yield first.value
  yield* rest
}
