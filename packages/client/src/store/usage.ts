import type { StorageNode } from '@pingo/storage'
import type { Usage } from '@pingo/wire'

const GIB = 2n ** 30n

/** What an owner has at one node. */
export interface NodeUsage extends Usage {
  peerId: string
  url: string
  region: string
}

export interface UsageReport {
  /** PeerId. */
  owner: string
  /** Of the index: files and folders, and their true length. */
  entries: number
  bytes: number
  /** With parity and copies, as the index knows it. */
  storedBytes: number
  /** As the nodes tell it. */
  nodes: NodeUsage[]
  /** Nodes that did not say. */
  silent: string[]
  /** What each node gives at most, and until when (ms since epoch); undefined without an allowance. */
  allowance: { bytes: number; until: number } | undefined
  /** Nano-PINGO a month at the nodes' prices of today. */
  monthly: bigint
}

interface MeteredNode extends StorageNode {
  usage(o?: { signal?: AbortSignal }): Promise<Usage>
}

/** Asks every node what the owner has there. */
export async function usageAt(
  nodes: readonly StorageNode[],
  signal?: AbortSignal,
): Promise<Pick<UsageReport, 'nodes' | 'silent' | 'monthly'>> {
  const metered = nodes.filter((node): node is MeteredNode => 'usage' in node)
  const answers = await Promise.allSettled(metered.map((node) => node.usage({ signal })))
  signal?.throwIfAborted()
  const told: NodeUsage[] = []
  const silent: string[] = []
  answers.forEach((answer, n) => {
    const { peerId, url, region } = metered[n]!.record
    if (answer.status === 'fulfilled') told.push({ ...answer.value, peerId, url, region })
    else silent.push(url)
  })
  const monthly = told.reduce((sum, { bytes, price }) => sum + (BigInt(bytes) * BigInt(price)) / GIB, 0n)
  return { nodes: told, silent, monthly }
}
