import {
  type BlockSource,
  forgetObject,
  type Mended,
  mendObject,
  NetworkFinder,
  type NodeMap,
  type ObjectStatus,
  openObject,
  type PutOptions,
  type PutResult,
  type PutSource,
  proveObject,
  putCutFile,
  putFolder,
  putObject,
  ReadThrough,
  type StoredObject,
  statObject,
} from '@pingo/storage'
import { type CID, type Identity, isPinGoError, PinGoError, type StorageClass } from '@pingo/wire'
import type { Extent } from './entry.ts'
import type { KeyBox } from './key-box.ts'

export interface Span {
  start: number
  /** Exclusive. */
  end: number
}

/** The network's objects under one owner's keys. */
export class Objects {
  readonly nodes: NodeMap
  readonly owner: Identity
  readonly #keys: KeyBox
  #blocks: BlockSource | undefined
  readonly #onCommit: ((id: string) => void) | undefined

  constructor(o: {
    nodes: NodeMap
    owner: Identity
    keys: KeyBox
    /** Told of each object before the network begins to keep it for good; see `OwnerIndex.expect`. */
    onCommit?: (id: string) => void
  }) {
    this.#onCommit = o.onCommit
    this.nodes = o.nodes
    this.owner = o.owner
    this.#keys = o.keys
  }

  /** Stores an object. @returns what the index has to keep of it, and what the network says */
  async put(
    source: PutSource,
    {
      acceptsFewer,
      ...o
    }: Omit<PutOptions, 'nodes' | 'owner' | 'minNodes' | 'onCommit'> & {
      /** Keeps it on the nodes that live, when others that are known do not answer. */
      acceptsFewer?: boolean
    },
  ): Promise<{ extent: Extent; result: PutResult }> {
    const minNodes = acceptsFewer ? undefined : this.nodes.known?.()
    const result = await putObject(source, {
      ...o,
      minNodes,
      nodes: this.nodes,
      owner: this.owner,
      onCommit: this.#onCommit,
    })
    return { extent: this.#extent(result), result }
  }

  /** Stores a public file that is cut already, under its own CID; undefined when that cannot be. */
  async putCut(
    cid: CID,
    read: (cid: CID) => Promise<Uint8Array>,
    { acceptsFewer, ...o }: Omit<PutOptions, 'nodes' | 'owner' | 'minNodes' | 'onCommit'> & { acceptsFewer?: boolean },
  ): Promise<{ extent: Extent; result: PutResult } | undefined> {
    const minNodes = acceptsFewer ? undefined : this.nodes.known?.()
    const own = { minNodes, nodes: this.nodes, owner: this.owner, onCommit: this.#onCommit }
    const result = await putCutFile(cid, read, { ...o, ...own })
    return result && { extent: this.#extent(result), result }
  }

  /** Stores the blocks of a public folder; what it leads to is stored apart. */
  async putFolder(
    folder: { root: CID; blocks: readonly { cid: CID; bytes: Uint8Array }[]; dagBytes: number },
    { acceptsFewer, ...o }: { acceptsFewer?: boolean; class?: StorageClass; signal?: AbortSignal },
  ): Promise<{ extent: Extent; result: PutResult }> {
    const result = await putFolder(folder, {
      class: o.class,
      signal: o.signal,
      minNodes: acceptsFewer ? undefined : this.nodes.known?.(),
      nodes: this.nodes,
      owner: this.owner,
      onCommit: this.#onCommit,
    })
    return { extent: this.#extent(result), result }
  }

  #extent({ id, bytes, storedBytes, dagBytes, key }: PutResult): Extent {
    return { id, bytes, storedBytes, dagBytes, secret: key && this.#keys.seal(contextOf(id), key) }
  }

  /** A block of public data. @param root the file or folder that it is of */
  async block(cid: CID, root: CID, signal?: AbortSignal): Promise<Uint8Array> {
    this.#blocks ??= new ReadThrough({ finder: new NetworkFinder({ nodes: this.nodes }) })
    return await this.#blocks.get(cid, { root, signal })
  }

  open(extent: Extent, signal?: AbortSignal): Promise<StoredObject> {
    return openObject({ id: extent.id, bytes: extent.bytes, key: this.keyOf(extent), from: this.nodes, signal })
  }

  /** Somebody's public object. */
  openPublic(id: string, signal?: AbortSignal): Promise<StoredObject> {
    return openObject({ id, from: this.nodes, signal })
  }

  /** What the index would have of somebody else's object whose key was told. */
  extentOf(id: string, key: Uint8Array, bytes: number): Extent {
    return { id, bytes, storedBytes: 0, secret: this.#keys.seal(contextOf(id), key) }
  }

  keyOf({ id, secret }: Extent): Uint8Array | undefined {
    return secret && this.#keys.open(contextOf(id), secret)
  }

  /** The bytes of objects that lie one behind the other, or a span of them. */
  async *read(
    extents: readonly Extent[],
    span: Span = { start: 0, end: Number.POSITIVE_INFINITY },
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let at = 0
    for (const extent of extents) {
      const start = Math.max(0, span.start - at)
      const end = Math.min(extent.bytes, span.end - at)
      at += extent.bytes
      if (start < end) yield* (await this.open(extent, signal)).read({ start, end }, { signal })
      if (at >= span.end) return
    }
  }

  stat(id: string, signal?: AbortSignal): Promise<ObjectStatus> {
    return statObject({ id, nodes: this.nodes, signal })
  }

  mend(id: string, signal?: AbortSignal): Promise<Mended> {
    return mendObject({ id, nodes: this.nodes, signal })
  }

  prove(id: string, o: { challenges?: number; signal?: AbortSignal }) {
    return proveObject({ id, nodes: this.nodes, ...o })
  }

  /** Tells the network to forget an object; it is well when nobody knows it. @returns false when nobody could be told yet */
  async forget(id: string, signal?: AbortSignal): Promise<boolean> {
    try {
      const { told } = await forgetObject({ id, nodes: this.nodes, owner: this.owner, signal })
      return told.length > 0 // those that did not answer hear it of the others
    } catch (error) {
      signal?.throwIfAborted()
      if (isPinGoError(error, 'OBJECT_MISSING') || isPinGoError(error, 'OBJECT_FORGOTTEN')) return true
      if (error instanceof PinGoError) return false
      throw error
    }
  }
}

const contextOf = (id: string) => `object ${id}`
