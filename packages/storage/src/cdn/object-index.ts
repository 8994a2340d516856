import { type CID, isPinGoError, type ManifestPart, type ObjectManifest, parseCid, type Stripe } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import type { NodeMap, StorageNode } from '../nodes/port.ts'
import { NodeSource } from '../objects/chunk-source.ts'
import { byDistance, Caretakers, type Located } from '../objects/locate.ts'
import { decodePart, storedBytesOf, stripesPerPart, width } from '../objects/object.ts'
import { StripeReader } from '../objects/stripe-reader.ts'

const DIGEST_BYTES = 32
/** Chunks of one object whose places are remembered: those of 60 GiB. Others are found by asking everybody. */
const MAX_CHUNKS = 100_000
const MAX_PARTS_KEPT = 4

/** Where a chunk stands in its object. */
export interface ChunkPlace {
  stripe: number
  shard: number
  /** How long the chunk is, as the manifest says. */
  bytes: number
}

/** One object of the storage network: which chunks it has, and who holds them, as its caretakers tell. */
export class ObjectIndex {
  readonly #nodes: NodeMap
  readonly #caretakers: Caretakers
  readonly #located: Located
  readonly #source: NodeSource
  /** By digest in hex. */
  readonly #places = new Map<string, ChunkPlace>()
  readonly #holders = new Map<number, Promise<(string | undefined)[][] | undefined>>()
  readonly #parts = new Map<number, Promise<ManifestPart>>()
  #indexed: Promise<void> | undefined

  private constructor(nodes: NodeMap, caretakers: Caretakers, located: Located, clock: () => number) {
    this.#nodes = nodes
    this.#caretakers = caretakers
    this.#located = located
    this.#source = new NodeSource(nodes, caretakers, located.manifest, clock)
  }

  /** @returns undefined when its caretakers know of no such object; what they do not answer is thrown */
  static async open(
    id: string,
    nodes: NodeMap,
    clock: () => number,
    signal?: AbortSignal,
  ): Promise<ObjectIndex | undefined> {
    const caretakers = new Caretakers(id, nodes)
    try {
      return new ObjectIndex(nodes, caretakers, await caretakers.locate(signal), clock)
    } catch (error) {
      if (isPinGoError(error, 'OBJECT_MISSING') || isPinGoError(error, 'MANIFEST_MALFORMED')) return undefined
      throw error
    }
  }

  /** Nodes that hold the manifest and the tree, nearest first. */
  caretakers(): StorageNode[] {
    return byDistance(this.#nodes, this.#caretakers.list())
  }

  /** Undefined for what is none of its chunks. */
  async place(cid: CID): Promise<ChunkPlace | undefined> {
    this.#indexed ??= this.#index()
    await this.#indexed.catch((error) => {
      this.#indexed = undefined
      throw error
    })
    return this.#places.get(keyOf(cid))
  }

  /** Who should have a chunk, nearest first; of copies, everyone who has one. */
  async holders({ stripe, shard }: ChunkPlace): Promise<StorageNode[]> {
    const { manifest } = this.#located
    const perPart = stripesPerPart(manifest.code)
    const part = Math.floor(stripe / perPart)
    const told = await remembered(this.#holders, part, () => this.#caretakers.holders(manifest, part))
    const at = told?.[stripe % perPart] ?? []
    const peerIds = new Set(manifest.code.k === 1 ? at : [at[shard]])
    return byDistance(
      this.#nodes,
      this.#nodes.live().filter(({ record }) => peerIds.has(record.peerId)),
    )
  }

  /** A data shard that nobody has, from any others of its stripe. */
  async rebuild({ stripe, shard }: ChunkPlace, signal: AbortSignal): Promise<Uint8Array> {
    const { code } = this.#located.manifest
    const perPart = stripesPerPart(code)
    const part = await this.#part(Math.floor(stripe / perPart))
    const reader = new StripeReader(stripe, part.stripes[stripe % perPart]!, code, this.#source, signal)
    try {
      return await reader.data(shard)
    } finally {
      reader.close()
    }
  }

  /** Whether a shard can be rebuilt: it is one of data, and there are others. */
  canRebuild({ shard }: ChunkPlace): boolean {
    const { k, m } = this.#located.manifest.code
    return k > 1 && m > 0 && shard < k
  }

  async #index(): Promise<void> {
    const { manifest } = this.#located
    const perPart = stripesPerPart(manifest.code)
    for (let n = 0; n < manifest.parts.length && this.#places.size < MAX_CHUNKS; n++) {
      const part = await this.#part(n)
      for (const [at, stripe] of part.stripes.entries()) this.#add(n * perPart + at, stripe, manifest)
    }
  }

  #add(index: number, stripe: Stripe, { code }: ObjectManifest): void {
    const { shards } = stripe
    const told = shards.byteLength / DIGEST_BYTES
    for (let shard = 0; shard < Math.min(told, width(code)); shard++) {
      const digest = shards.subarray(shard * DIGEST_BYTES, (shard + 1) * DIGEST_BYTES)
      this.#places.set(Buffer.from(digest).toString('hex'), {
        stripe: index,
        shard,
        bytes: storedBytesOf(stripe, code, shard),
      })
    }
  }

  #part(n: number): Promise<ManifestPart> {
    const { manifest } = this.#located
    return remembered(this.#parts, n, async () =>
      decodePart(await this.#caretakers.block(parseCid(manifest.parts[n]!)), manifest, n),
    )
  }
}

/** What `load` brings, once for all who ask, for the last few keys. */
function remembered<T>(kept: Map<number, Promise<T>>, key: number, load: () => Promise<T>): Promise<T> {
  const known = kept.get(key)
  if (known) return known
  const loading = load()
  kept.set(key, loading)
  loading.catch(() => kept.delete(key))
  if (kept.size > MAX_PARTS_KEPT) kept.delete(kept.keys().next().value!)
  return loading
}
