import {
  CHUNK_LEASE_MS,
  CID,
  type Commit,
  type Locations,
  MAX_CHUNKS_PER_QUESTION,
  type ManifestPart,
  NOWHERE,
  type ObjectManifest,
  PinGoError,
} from '@pingo/wire'
import type { NodeMap } from '../nodes/port.ts'
import { caretakersOf } from '../placement/caretakers.ts'
import { decodePart, shardCid, storedBytesOf, width } from './object.ts'
import { statObject } from './owner.ts'

export interface Mended {
  /** Shards that the worst stripe has, by the word of their holders. */
  shardsLeft: number
  /** Caretakers that lacked the object and have it now. */
  newCaretakers: number
}

/**
 * What an owner can do for an object whose caretakers are gone or asleep: renews the leases of all shards at their holders and gives the
 * object to those that should see to it and do not. Lost shards are then repaired by them.
 * @throws PinGoError OBJECT_MISSING (no caretaker answers), or the signal's reason
 */
export async function mendObject(o: {
  id: string
  nodes: NodeMap
  clock?: () => number
  signal?: AbortSignal
}): Promise<Mended> {
  const { id, nodes, signal } = o
  const { manifest, manifestCid, caretakers } = await statObject({ id, nodes, signal })
  const cares = new Set(caretakers.filter(({ cares }) => cares).map(({ peerId }) => peerId))
  const source = nodes.live().find(({ record }) => cares.has(record.peerId))
  const state = await source?.object(id, { signal })
  if (!source || !state) throw new PinGoError('OBJECT_MISSING', `None of the caretakers of ${id} answers.`)
  const until = (o.clock ?? Date.now)() + CHUNK_LEASE_MS
  const commit: Commit = { record: state.record, locations: [] }
  const blocks = new Map([[manifestCid, await source.getChunk(CID.parse(manifestCid), { signal })]])
  let shardsLeft = width(manifest.code)
  for (const [n, cid] of manifest.parts.entries()) {
    const bytes = await source.getChunk(CID.parse(cid), { signal })
    const part = decodePart(bytes, manifest, n)
    blocks.set(cid, bytes)
    for (const node of part.tree ?? []) blocks.set(node, await source.getChunk(CID.parse(node), { signal }))
    const locations = await source.locations(id, n, { signal })
    commit.locations.push(locations)
    shardsLeft = Math.min(shardsLeft, await renew(id, manifest, part, locations, until, nodes, signal))
  }
  let newCaretakers = 0
  for (const node of caretakersOf(id, nodes.live())) {
    if (cares.has(node.record.peerId)) continue
    for (const [cid, bytes] of [...blocks].reverse())
      await node.putChunk(CID.parse(cid), bytes, { upload: `mend-${id}`, signal })
    await node.commit(commit, { signal })
    newCaretakers += 1
  }
  return { shardsLeft, newCaretakers }
}

/** Renews what a part's locations tell of. @returns shards that the worst of its stripes has */
async function renew(
  id: string,
  { code }: ObjectManifest,
  { stripes }: ManifestPart,
  { nodes: holders, at }: Locations,
  until: number,
  nodes: NodeMap,
  signal?: AbortSignal,
): Promise<number> {
  const places = new DataView(at.buffer, at.byteOffset, at.byteLength)
  const left = stripes.map(() => 0)
  const byHolder = new Map<string, { cid: CID; stripe: number }[]>()
  stripes.forEach((stripe, n) => {
    for (let shard = 0; shard < width(code); shard++) {
      const isEmpty = storedBytesOf(stripe, code, shard) === 0
      if (isEmpty) left[n]! += 1 // it is stored nowhere, so it is never lost
      const index = isEmpty ? NOWHERE : places.getUint16(2 * (n * width(code) + shard), true)
      const holder = index === NOWHERE ? undefined : holders[index]
      if (holder === undefined) continue
      const held = byHolder.get(holder) ?? []
      byHolder.set(holder, held)
      held.push({ cid: shardCid(stripe, code, shard), stripe: n })
    }
  })
  await Promise.all(
    [...byHolder].map(async ([peerId, held]) => {
      const node = nodes.get(peerId)
      for (let from = 0; node && from < held.length; from += MAX_CHUNKS_PER_QUESTION) {
        const page = held.slice(from, from + MAX_CHUNKS_PER_QUESTION)
        const cids = page.map(({ cid }) => cid)
        const missing = await node.keep(id, cids, until, { signal }).catch(() => cids)
        signal?.throwIfAborted()
        const lacking = new Set(missing.map(String))
        for (const { cid, stripe } of page) if (!lacking.has(cid.toString())) left[stripe]! += 1
      }
    }),
  )
  return Math.min(width(code), ...left)
}
