import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlockStore } from '../blocks/block-store.ts'
import { keyOf } from '../blocks/key.ts'
import type { StorageService } from '../nodes/service.ts'
import { decodeLocations, shardCid, storedBytesOf, width } from '../objects/object.ts'

/** What a node has on its disk, and what it knows as a caretaker. */
export interface NodeStats {
  /** Bytes by key (sha2-256, hex). */
  blocks: Record<string, number>
  /** Files that a write left behind. */
  temporary: number
  /** By id, those in its care. */
  objects: Record<string, ObjectStats>
}

/** … and what a node in a process of its own tells besides. */
export interface ProcessStats extends NodeStats {
  /** What happened while it saw to objects, by type. */
  events: Record<string, number>
  /** Why something could not be repaired. */
  reasons: Record<string, number>
  /** How many of the others are in which standing. */
  standings: Record<string, number>
}

export interface ObjectStats {
  checkedAt: number | undefined
  stripesByShards: Record<number, number>
  version: number
  /** Keys of the manifest's blocks, which the caretakers hold. */
  manifest: string[]
  /** By stripe: `[key, holder]` of each shard that has bytes. */
  stripes: [string, string | undefined][][]
}

export async function statsOf(
  { blocks, service }: { blocks: BlockStore; service: StorageService },
  folder: string,
): Promise<NodeStats> {
  const objects: Record<string, ObjectStats> = {}
  for (const id of await service.care.due(Number.MAX_SAFE_INTEGER, 1_000_000)) {
    const object = await service.care.get(id)
    if (!object) continue
    const stats: ObjectStats = {
      ...object.health,
      checkedAt: object.health.checkedAt,
      version: 0,
      manifest: [],
      stripes: [],
    }
    for await (const { cid } of service.care.blocks(id)) stats.manifest.push(keyOf(cid))
    const { code } = object.manifest
    for (let index = 0; index < object.manifest.parts.length; index++) {
      const part = (await service.care.part(id, index))!
      stats.version = Math.max(stats.version, part.locations.version ?? 0)
      const holders = decodeLocations(part.locations, object.manifest, index)
      for (const [n, stripe] of part.stripes.entries())
        stats.stripes.push(
          Array.from({ length: width(code) }, (_, shard) => shard)
            .filter((shard) => storedBytesOf(stripe, code, shard) > 0)
            .map((shard) => [keyOf(shardCid(stripe, code, shard)), holders[n]![shard]]),
        )
    }
    objects[id] = stats
  }
  return {
    blocks: Object.fromEntries([...blocks.entries('')].map(({ key, bytes }) => [key, bytes])),
    temporary: (await readdir(join(folder, 'blocks', 'tmp'))).length,
    objects,
  }
}
