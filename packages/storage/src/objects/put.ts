import { randomBytes } from 'node:crypto'
import {
  type CID,
  type Code,
  type Identity,
  isPinGoError,
  MAX_COPIED_BYTES,
  type ObjectManifest,
  PinGoError,
  parseCid,
  SHARD_BYTES,
  type StorageClass,
  sha256,
} from '@pingo/wire'
import { KEY_BYTES } from '../crypto/segment.ts'
import { readNode } from '../files/unixfs.ts'
import type { NodeMap } from '../nodes/port.ts'
import { CLASS_CODES, codeFor } from '../placement/codes.ts'
import { commitObject } from './commit.ts'
import { describeObject, type Made, type StoredStripe } from './describe.ts'
import { MemoryJournal, type PutJournal, type PutStart } from './journal.ts'
import { Caretakers } from './locate.ts'
import { sealStripe } from './make-stripe.ts'
import { type Block, decodeManifest, width } from './object.ts'
import { NodePool } from './pool.ts'
import { type CutFile, cutFile, cutStripes, publicStripes } from './public.ts'
import { opened, peek, segments } from './segments.ts'
import { SourceChanged, StripeWriter } from './writer.ts'

const UPLOAD_ID_BYTES = 16

/** Bytes in memory, a stream, or what opens a stream anew: only the last can begin again when its data changed since the last try. */
export type PutSource = Uint8Array | AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>)

export interface PutOptions {
  nodes: NodeMap
  /** Who owns the object: signs its record. */
  owner: Identity
  /** 'hot' by default. */
  class?: StorageClass
  /** Plain, as a UnixFS file that any IPFS client reads. False by default: encrypted. */
  isPublic?: boolean
  /** That of the class by default; small objects and small networks have copies instead. */
  code?: Code
  /** How long the source is, when it is known: for progress, and checked. */
  bytes?: number
  /** Makes the put resumable. */
  journal?: PutJournal
  /**
   * Nodes that the network is known to have, also those that do not answer now: the code is chosen for as many, and the put waits for
   * them or is refused instead of keeping fewer copies. By default those that live.
   */
  minNodes?: number
  /** How long it waits for enough nodes, 30 s by default. */
  waitMs?: number
  /** ms since epoch. */
  clock?: () => number
  random?: (bytes: number) => Uint8Array
  signal?: AbortSignal
  onProgress?: (progress: PutProgress) => void
  /**
   * Told the id before any caretaker is: from then on the network may keep the object for good. A caller that notes it durably can have
   * it forgotten when a crash keeps it from noting more.
   */
  onCommit?: (id: string) => Promise<void> | void
}

export interface PutProgress {
  /** Bytes of the source in stripes that are stored. */
  bytes: number
  totalBytes: number | undefined
  /** Shards that were stored by this put, and those that an earlier try had stored. */
  shards: number
  resumedShards: number
  /** Shards that went to another node because the first choice failed. */
  replaced: number
  /** Why nothing goes on at the moment. */
  waitingFor?: string
}

export interface PutResult {
  /** Public: the UnixFS root. Private: the manifest's CID. */
  id: string
  manifest: ObjectManifest
  /** The CID of the manifest. */
  manifestCid: string
  /** 32 bytes; lost with them, the object cannot be read. Absent of a public object. */
  key?: Uint8Array
  /** True length: nodes know the padded one only. */
  bytes: number
  /** Of public data: of all its blocks, what a folder's link says of it. */
  dagBytes?: number
  /** Of all shards and the manifest's copies. */
  storedBytes: number
  code: Code
  /** Nodes that hold something of it. */
  nodes: number
  /** PeerIds of those that see to it. */
  caretakers: string[]
  /** Sentences that its owner should read. */
  warnings: string[]
}

/**
 * Stores an object on the network's nodes, in constant memory. It is acknowledged, by resolving, only when every shard is synced on a
 * node of its own and every caretaker has its manifest.
 * @throws PinGoError STORAGE_NODES_FEW, CHUNKS_LOST, SOURCE_CHANGED (a resumed stream is not what it was: put it again), SOURCE_SIZE_MISMATCH, what all
 *   nodes agreed on (OBJECT_DIFFERS, of a stream of public data; QUOTA_EXCEEDED, UNAUTHORIZED …), or the signal's reason
 */
export async function putObject(source: PutSource, o: PutOptions): Promise<PutResult> {
  const journal = o.journal ?? new MemoryJournal()
  const canRepeat = typeof source === 'function' || source instanceof Uint8Array
  try {
    return await new Put(o, journal).run(opened(source))
  } catch (error) {
    // a stream that was read cannot be read again
    if (!canRepeat) throw error
    if (error instanceof SourceChanged) return await new Put(o, journal).run(opened(source)) // the journal began afresh
    if (!(error instanceof Differs)) throw error
    // somebody stored the same public data by another code: by that one they are the same object
    const code = await codeThere(error, o.nodes, o.signal)
    if (code === undefined) throw error
    return await new Put(o, journal, code).run(opened(source))
  }
}

/** Public data are kept already, cut otherwise. */
class Differs extends PinGoError {
  readonly id: string
  /** The CID of ours. */
  readonly manifestCid: string

  constructor(id: string, manifestCid: string, cause: PinGoError) {
    super(cause.code, cause.message, { hint: `Keep what is there: pingo store pin ${id}`, cause })
    this.id = id
    this.manifestCid = manifestCid
  }
}

/** The code of the manifest that others keep public data by. */
async function codeThere(
  { id, manifestCid }: Differs,
  nodes: NodeMap,
  signal?: AbortSignal,
): Promise<Code | undefined> {
  const caretakers = new Caretakers(id, nodes)
  const other = await caretakers.ask(async (node, signal) => {
    const { record } = await caretakers.told(node, signal)
    if (record.manifest === manifestCid) throw new PinGoError('OBJECT_MISSING', 'It knows ours only.')
    return parseCid(record.manifest)
  }, signal)
  return other && decodeManifest(await caretakers.block(other.value, signal)).code
}

/**
 * Stores the blocks that a public UnixFS folder itself is made of as an object; its entries are objects of their own.
 * @throws PinGoError as {@link putObject}
 */
export async function putFolder(
  { root, blocks, dagBytes }: { root: CID; blocks: readonly Block[]; dagBytes: number },
  o: Omit<PutOptions, 'isPublic' | 'bytes' | 'journal' | 'onProgress'>,
): Promise<PutResult> {
  const tree = blocks.map(({ cid, bytes }) => ({ cid: cid.toV1(), bytes }))
  const made = { root: root.toV1().toString(), tree, dagBytes }
  return await new Put({ ...o, isPublic: true }, new MemoryJournal()).runTree(made)
}

/**
 * Stores a public UnixFS file that is cut into blocks already, under the CID that it has.
 * @param read its blocks, verified; each is read twice
 * @returns undefined when it is cut so that it cannot be stored as it is: then its bytes can, by {@link putObject}, under another CID
 * @throws PinGoError as {@link putObject}, FILE_MALFORMED
 */
export async function putCutFile(
  root: CID,
  read: (cid: CID) => Promise<Uint8Array>,
  o: Omit<PutOptions, 'isPublic' | 'journal'>,
): Promise<PutResult | undefined> {
  const file = await cutFile(root, read)
  return file && (await new Put({ ...o, isPublic: true }, new MemoryJournal()).runCut(file, read))
}

/** One try. */
class Put {
  readonly #o: PutOptions
  readonly #journal: PutJournal
  readonly #clock: () => number
  readonly #random: (bytes: number) => Uint8Array
  readonly #pool: NodePool
  readonly #progress: PutProgress
  readonly #code: Code | undefined

  /** @param code whatever the length and the network */
  constructor(o: PutOptions, journal: PutJournal, code?: Code) {
    this.#code = code
    this.#o = o
    this.#journal = journal
    this.#clock = o.clock ?? Date.now
    this.#random = o.random ?? randomBytes
    this.#progress = { bytes: 0, totalBytes: o.bytes, shards: 0, resumedShards: 0, replaced: 0 }
    this.#pool = new NodePool(o.nodes, {
      clock: this.#clock,
      waitMs: o.waitMs,
      signal: o.signal,
      onWait: (why) => {
        if (this.#progress.waitingFor !== why) this.#tell({}, why)
      },
    })
  }

  async run(source: AsyncIterable<Uint8Array>): Promise<PutResult> {
    const { bytes: short, all } = await peek(source, MAX_COPIED_BYTES)
    const { start, network } = await this.#prepare(short ?? MAX_COPIED_BYTES + 1)
    const writer = this.#writer(start)
    const counted = this.#counted(all)
    try {
      const made = start.isPublic
        ? await publicStripes(
            counted.stream,
            start.code,
            (stripe) => writer.add(stripe),
            (bytes) => this.#tell({ bytes }),
          )
        : await privateStripes(counted.stream, start, writer)
      const stripes = await writer.finish()
      return await this.#commit(start, stripes, made, counted.bytes(), network)
    } catch (error) {
      await writer.close(error)
      if (error instanceof SourceChanged) await this.#begin(start.code)
      throw error
    }
  }

  /** Stores what has no bytes beside its tree. */
  async runTree(made: Made): Promise<PutResult> {
    const { start, network } = await this.#prepare(0)
    return await this.#commit(start, [], made, 0, network)
  }

  /** Stores a file that is cut already. */
  async runCut(file: CutFile, read: (cid: CID) => Promise<Uint8Array>): Promise<PutResult> {
    const { start, network } = await this.#prepare(file.bytes)
    const writer = this.#writer(start)
    try {
      await cutStripes(file, start.code, read, (stripe) => writer.add(stripe))
      const stripes = await writer.finish()
      const made = { root: file.root.toString(), tree: file.tree, leafBytes: file.leafBytes, dagBytes: file.dagBytes }
      const bytes = readNode(file.root, await read(file.root)).bytes
      return await this.#commit(start, stripes, made, bytes, network)
    } catch (error) {
      await writer.close(error)
      throw error
    }
  }

  #writer({ code, upload }: PutStart): StripeWriter {
    return new StripeWriter({
      code,
      pool: this.#pool,
      nodes: this.#o.nodes,
      journal: this.#journal,
      upload,
      clock: this.#clock,
      signal: this.#o.signal,
      onStored: (what) => this.#tell(what),
    })
  }

  /** How data of that length are kept, and among how many nodes. */
  async #prepare(bytes: number): Promise<{ start: PutStart; network: number }> {
    await this.#pool.find(1, () => this.#pool.usable()[0])
    const network = Math.max(this.#pool.usable().length, this.#o.minNodes ?? 0)
    const wanted = this.#o.code ?? CLASS_CODES[this.#o.class ?? 'hot']
    return { start: await this.#start(this.#code ?? codeFor(bytes, wanted, network)), network }
  }

  /** Goes on with what the journal tells of, where that is the same kind of put. */
  async #start(code: Code): Promise<PutStart> {
    const start = await this.#journal.read()
    const isSame = start && start.isPublic === (this.#o.isPublic ?? false) && sameCode(start.code, code)
    return isSame ? start : await this.#begin(code)
  }

  async #begin(code: Code): Promise<PutStart> {
    const isPublic = this.#o.isPublic ?? false
    const start: PutStart = {
      upload: Buffer.from(this.#random(UPLOAD_ID_BYTES)).toString('hex'),
      key: isPublic ? undefined : this.#random(KEY_BYTES),
      code,
      isPublic,
      at: this.#clock(),
    }
    await this.#journal.begin(start)
    return start
  }

  async #commit(
    start: PutStart,
    stripes: readonly StoredStripe[],
    made: Made,
    bytes: number,
    network: number,
  ): Promise<PutResult> {
    const { owner, class: storageClass = 'hot', signal } = this.#o
    const { code, upload, key } = start
    const { id, manifest, manifestCid, blocks, locations, storedBytes } = describeObject(start, stripes, made, network)
    const record = { id, manifest: manifestCid, class: storageClass, storedBytes, at: this.#clock() }
    await this.#o.onCommit?.(id)
    const caretakers = await commitObject({
      record,
      owner,
      locations,
      blocks,
      network,
      pool: this.#pool,
      upload,
      signal,
    }).catch((error) => {
      throw isPinGoError(error, 'OBJECT_DIFFERS') ? new Differs(id, manifestCid, error) : error
    })
    const holders = new Set(stripes.flatMap((stripe) => stripe.holders.filter((peerId) => peerId !== undefined)))
    return {
      id,
      manifest,
      manifestCid,
      key,
      bytes,
      dagBytes: made.dagBytes,
      storedBytes,
      code,
      nodes: new Set([...holders, ...caretakers]).size,
      caretakers,
      warnings: this.#warnings(code, [...holders]),
    }
  }

  #warnings(code: Code, holders: readonly string[]): string[] {
    if (width(code) === 1) return ['It is kept on one node, as there is no other: it is lost with it.']
    const domains = new Set(holders.map((peerId) => this.#o.nodes.get(peerId)?.record.domain))
    if (Math.ceil(width(code) / Math.max(1, domains.size)) <= code.m || holders.length === 0) return []
    return [
      `Its shards are in ${domains.size} failure domain${domains.size === 1 ? '' : 's'}: it may be lost when one fails.`,
    ]
  }

  /** @throws PinGoError SOURCE_SIZE_MISMATCH while reading, before anything is acknowledged */
  #counted(source: AsyncIterable<Uint8Array>): { stream: AsyncIterable<Uint8Array>; bytes: () => number } {
    const { bytes: wanted, signal } = this.#o
    let bytes = 0
    const stream = async function* () {
      for await (const piece of source) {
        signal?.throwIfAborted()
        bytes += piece.byteLength
        if (wanted !== undefined && bytes > wanted) break
        yield piece
      }
      if (wanted !== undefined && bytes !== wanted)
        throw new PinGoError(
          'SOURCE_SIZE_MISMATCH',
          `The data have ${bytes > wanted ? 'more than' : 'only'} ${bytes > wanted ? wanted : bytes} of ${wanted} bytes.`,
          {
            hint: 'They changed while they were read: put them again.',
          },
        )
    }
    return { stream: stream(), bytes: () => bytes }
  }

  #tell(what: Partial<Record<'bytes' | 'shards' | 'resumedShards' | 'replaced', number>>, waitingFor?: string): void {
    for (const name of ['bytes', 'shards', 'resumedShards', 'replaced'] as const)
      this.#progress[name] += what[name] ?? 0
    this.#progress.waitingFor = waitingFor
    this.#o.onProgress?.({ ...this.#progress })
  }
}

/** Encrypts and stores a stream. */
async function privateStripes(
  source: AsyncIterable<Uint8Array>,
  { code, key }: PutStart,
  writer: StripeWriter,
): Promise<Made> {
  let index = 0
  for await (const { plain, sourceBytes, isLast } of segments(source, code.k * SHARD_BYTES)) {
    const segment = { index, plain, isLast }
    const content = sha256(Buffer.concat([sha256(plain), Uint8Array.of(isLast ? 1 : 0)]))
    await writer.add({ index, content, sourceBytes, make: () => sealStripe(code, key!, segment) })
    index += 1
  }
  return { tree: [] }
}

const sameCode = (a: Code, b: Code) => a.k === b.k && a.m === b.m
