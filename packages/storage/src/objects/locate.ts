import {
  type CID,
  DAG_CBOR,
  MAX_OBJECT_RECORD_BYTES,
  matchesCid,
  OBJECT_RECORD_TYPE,
  type ObjectManifest,
  type ObjectRecord,
  ObjectRecordSchema,
  PinGoError,
  parseCid,
  unseal,
} from '@pingo/wire'
import type { NodeMap, ObjectState, StorageNode } from '../nodes/port.ts'
import { caretakersOf } from '../placement/caretakers.ts'
import { within } from './abort.ts'
import { firstOf } from './first-of.ts'
import { decodeLocations, decodeManifest } from './object.ts'

const ASK_DEADLINE_MS = 15_000
const ASKED_AT_ONCE = 2
/** Waits for an answer to a small question: this many round trips, and what a disk may take. */
const HEDGE_RTTS = 3
const HEDGE_DISK_MS = 100
const UNKNOWN_RTT_MS = 300

/** An object as its caretakers tell of it. */
export interface Located {
  id: string
  manifest: ObjectManifest
  manifestCid: CID
}

/** What one caretaker told of an object, its owner's signature checked. */
export interface Told {
  node: StorageNode
  state: ObjectState
  record: ObjectRecord
  owner: string
}

export const objectMissing = (id: string) =>
  new PinGoError('OBJECT_MISSING', `No node that answers knows of object ${id}.`, {
    hint: 'Check the id; or the nodes that keep it are down: try again later.',
  })

/** How long to wait for a small answer before another node is asked as well, ms. */
export const hedgeMs = (nodes: NodeMap, node: StorageNode): number =>
  HEDGE_RTTS * (nodes.rtt(node.record.peerId) ?? UNKNOWN_RTT_MS) + HEDGE_DISK_MS

/** Nodes, nearest first; those whose distance is not known come last. */
export function byDistance(nodes: NodeMap, some: readonly StorageNode[]): StorageNode[] {
  const rtt = ({ record }: StorageNode) => nodes.rtt(record.peerId) ?? Number.MAX_VALUE
  return some.toSorted((a, b) => rtt(a) - rtt(b))
}

/** Asks what an object's caretakers know: they first, nearest first, then whoever else lives. */
export class Caretakers {
  readonly id: string
  readonly #nodes: NodeMap

  constructor(id: string, nodes: NodeMap) {
    this.id = id
    this.#nodes = nodes
  }

  /** In rank order. */
  list(): StorageNode[] {
    return caretakersOf(
      this.id,
      this.#nodes.live().filter(({ record }) => record.state === 'active'),
    )
  }

  async ask<T>(
    question: (node: StorageNode, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<{ value: T; from: StorageNode } | undefined> {
    const first = byDistance(this.#nodes, this.list())
    const asked = [
      ...first,
      ...byDistance(
        this.#nodes,
        this.#nodes.live().filter((node) => !first.includes(node)),
      ),
    ]
    if (asked.length === 0) return undefined
    return await firstOf(asked, (node, stop) => question(node, within(ASK_DEADLINE_MS, stop)), {
      signal,
      hedgeMs: hedgeMs(this.#nodes, asked[0]!),
      atOnce: ASKED_AT_ONCE,
    })
  }

  /** A block of the manifest, or of the tree of public data. @throws PinGoError BLOCK_MISSING */
  async block(cid: CID, signal?: AbortSignal): Promise<Uint8Array> {
    const answer = await this.ask(async (node, signal) => {
      const bytes = await node.getChunk(cid, { signal })
      if (!matchesCid(cid, bytes))
        throw new PinGoError('BLOCK_CORRUPT', `${node.record.url} sent other bytes for ${cid}.`)
      return bytes
    }, signal)
    if (answer) return answer.value
    throw new PinGoError('BLOCK_MISSING', `No caretaker of ${this.id} has block ${cid} of its manifest.`)
  }

  /** What one node tells. @throws PinGoError when it knows nothing of it, or tells what nobody signed */
  async told(node: StorageNode, signal?: AbortSignal): Promise<Told> {
    const state = await node.object(this.id, { signal })
    if (!state) throw objectMissing(this.id)
    const { from, value } = await unseal(ObjectRecordSchema, OBJECT_RECORD_TYPE, state.record, MAX_OBJECT_RECORD_BYTES)
    if (value.id !== this.id) throw objectMissing(this.id)
    return { node, state, record: value, owner: from }
  }

  /** @throws PinGoError OBJECT_MISSING, MANIFEST_MALFORMED, or the signal's reason */
  async locate(signal?: AbortSignal): Promise<Located> {
    const manifestCid = await this.#manifestCid(signal)
    const bytes = await this.block(manifestCid, signal).catch((error) => {
      signal?.throwIfAborted()
      throw new PinGoError('OBJECT_MISSING', objectMissing(this.id).message, {
        hint: objectMissing(this.id).hint,
        cause: error,
      })
    })
    const manifest = decodeManifest(bytes)
    if (manifest.root !== undefined && manifest.root !== this.id)
      throw new PinGoError('MANIFEST_MALFORMED', `The manifest that was told for ${this.id} is of ${manifest.root}.`)
    return { id: this.id, manifest, manifestCid }
  }

  async #manifestCid(signal?: AbortSignal): Promise<CID> {
    const cid = parseCid(this.id)
    if (cid.code === DAG_CBOR) return cid
    const answer = await this.ask((node, signal) => this.told(node, signal), signal)
    if (!answer) throw objectMissing(this.id)
    return parseCid(answer.value.record.manifest)
  }

  /** Holders of each stripe of a part, shard by shard; undefined when nobody tells. */
  async holders(
    manifest: ObjectManifest,
    part: number,
    signal?: AbortSignal,
  ): Promise<(string | undefined)[][] | undefined> {
    const answer = await this.ask(
      async (node, signal) => decodeLocations(await node.locations(this.id, part, { signal }), manifest, part),
      signal,
    )
    return answer?.value
  }
}
