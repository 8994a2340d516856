import {
  CARETAKERS,
  type Commit,
  encode,
  type Identity,
  isPinGoError,
  OBJECT_RECORD_TYPE,
  type ObjectRecord,
  PinGoError,
  seal,
} from '@pingo/wire'
import type { StorageNode } from '../nodes/port.ts'
import { caretakersOf } from '../placement/caretakers.ts'
import { within } from './abort.ts'
import type { Block } from './object.ts'
import type { NodePool } from './pool.ts'
import { putChunk } from './spread.ts'

const COMMIT_DEADLINE_MS = 60_000
/** Blocks that one caretaker is sent at once. */
const BLOCKS_AT_ONCE = 4

export interface CommitOptions {
  record: ObjectRecord
  owner: Identity
  locations: Commit['locations']
  /** Of the manifest and the tree: the root block last. */
  blocks: readonly Block[]
  /** Nodes that the network is known to have. */
  network: number
  pool: NodePool
  upload: string
  signal?: AbortSignal
}

/**
 * Gives an object into the hands of its caretakers: first the blocks of its manifest, then the owner's word. One that fails is replaced
 * by the next in rank.
 * @returns their PeerIds when all have it durably
 * @throws PinGoError OBJECT_DIFFERS (public data that are kept already, cut otherwise: others in their place would soon let go of it),
 *   and as {@link NodePool.find}
 */
export async function commitObject(o: CommitOptions): Promise<string[]> {
  const { record, owner, locations, blocks, network, pool, upload, signal } = o
  const commit = { record: await seal(owner, OBJECT_RECORD_TYPE, record), locations }
  const wanted = Math.min(CARETAKERS, Math.max(1, network))
  const told = new Set<string>()
  const tell = async (node: StorageNode) => {
    try {
      await inLanes(blocks, BLOCKS_AT_ONCE, (block) => putChunk(node, block, upload, signal))
      await node.commit(commit, { signal: within(COMMIT_DEADLINE_MS, signal) })
      told.add(node.record.peerId)
      pool.moved()
    } catch (error) {
      signal?.throwIfAborted()
      if (isPinGoError(error, 'OBJECT_DIFFERS')) throw error
      const cause = isPinGoError(error)
        ? error
        : new PinGoError('SOURCE_UNREACHABLE', `${node.record.url} did not answer in time.`, { cause: error })
      pool.fail(node, cause)
    }
  }
  for (;;) {
    const caretakers = await pool.find(wanted, () => {
      const chosen = caretakersOf(record.id, pool.usable())
      return chosen.length >= wanted ? chosen : undefined
    })
    const left = caretakers.filter(({ record: { peerId } }) => !told.has(peerId))
    if (left.length === 0) return caretakers.map(({ record: { peerId } }) => peerId)
    await Promise.all(left.map(tell))
  }
}

/** What every caretaker stores of an object besides its shards, bytes. */
export function caretakingBytes(blocks: readonly Block[], locations: Commit['locations']): number {
  return blocks.reduce((sum, { bytes }) => sum + bytes.byteLength, 0) + encode(locations).byteLength
}

/** Runs `work` on all items, at most `lanes` at once; the first failure ends it. */
export async function inLanes<T>(items: Iterable<T>, lanes: number, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  let failed = false
  const lane = async () => {
    for (let next = iterator.next(); !next.done && !failed; next = iterator.next())
      await work(next.value).catch((error) => {
        failed = true
        throw error
      })
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
