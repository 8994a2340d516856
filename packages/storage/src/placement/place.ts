import { createHash } from 'node:crypto'

/** A node that may hold a shard. */
export interface Candidate {
  id: string
  /** How much it is wanted, above 0: free capacity × reputation. Nodes get shards in proportion to it. */
  weight: number
  /** What fails together. */
  domain: string
  /** Preferred over others when true: vetted, in the wanted region. */
  isPreferred?: boolean
}

const SCORE_BYTES = 6

/**
 * Ranks nodes for a key by weighted rendezvous hashing (highest random weight; Thaler & Ravishankar 1998, the logarithmic weighting
 * of Schindler & Sohler): −weight / ln u, u uniform by a hash of key and node. When a node comes or goes, only its own places change.
 * Preferred nodes come first; ties by id, so that every machine ranks alike.
 */
export function rank<C extends Candidate>(key: string, candidates: readonly C[]): C[] {
  const scored = candidates.map((candidate) => ({ candidate, score: scoreOf(key, candidate) }))
  scored.sort(
    (a, b) =>
      Number(b.candidate.isPreferred ?? false) - Number(a.candidate.isPreferred ?? false) ||
      b.score - a.score ||
      (a.candidate.id < b.candidate.id ? -1 : 1),
  )
  return scored.map(({ candidate }) => candidate)
}

/**
 * The `n` nodes of a stripe's shards, best first: one a failure domain while domains last, then two, and so on; fewer when there are
 * fewer nodes. A preferred node of a used domain stands behind any node of an unused one.
 */
export function place<C extends Candidate>(key: string, candidates: readonly C[], n: number): C[] {
  const chosen: C[] = []
  let left = rank(key, candidates)
  while (chosen.length < n && left.length > 0) {
    const used = new Set<string>()
    const later: C[] = []
    for (const candidate of left)
      if (chosen.length < n && !used.has(candidate.domain)) {
        used.add(candidate.domain)
        chosen.push(candidate)
      } else later.push(candidate)
    left = later
  }
  return chosen
}

function scoreOf(key: string, { id, weight }: Candidate): number {
  const hash = createHash('sha256').update(key).update('\0').update(id).digest()
  const u = (hash.readUIntBE(0, SCORE_BYTES) + 0.5) / 2 ** (8 * SCORE_BYTES)
  return -weight / Math.log(u)
}
