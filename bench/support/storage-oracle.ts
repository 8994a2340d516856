import type { StorageNetwork } from './storage-network.ts'

export interface Verdict {
  objects: number
  /** Shards and blocks of manifests that are not where they should be, or lie nowhere that lives. */
  lacking: number
  /** Bytes on disks that nothing in care is made of. */
  leakedBytes: number
  /** Files that writes left behind. */
  temporary: number
}

/** Compares what is on all disks with what the objects in care are made of, by the newest word of their caretakers. */
export async function judge(network: StorageNetwork): Promise<Verdict> {
  const all = await Promise.all(network.live.map(async (node) => ({ node, stats: await node.stats() })))
  const wanted = new Map(all.map(({ node }) => [node.peerId, new Set<string>()]))
  const newest = new Map<string, (typeof all)[0]['stats']['objects'][string]>()
  let lacking = 0
  for (const { node, stats } of all)
    for (const [id, object] of Object.entries(stats.objects)) {
      for (const key of object.manifest) wanted.get(node.peerId)!.add(key)
      if (object.version >= (newest.get(id)?.version ?? -1)) newest.set(id, object)
    }
  for (const { stripes } of newest.values())
    for (const [key, holder] of stripes.flat()) {
      const keys = holder === undefined ? undefined : wanted.get(holder)
      if (keys) keys.add(key)
      else lacking += 1
    }
  let leakedBytes = 0
  let temporary = 0
  for (const { node, stats } of all) {
    const keys = wanted.get(node.peerId)!
    for (const [key, bytes] of Object.entries(stats.blocks)) if (!keys.has(key)) leakedBytes += bytes
    for (const key of keys) if (!(key in stats.blocks)) lacking += 1
    temporary += stats.temporary
  }
  return { objects: newest.size, lacking, leakedBytes, temporary }
}
