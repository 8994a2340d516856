import { type Candidate, rank } from '../placement/place.ts'

/** A node that holds a shard, or may. */
export type Home = Pick<Candidate, 'id' | 'domain'>

/**
 * Up to `n` nodes for shards of a stripe that others hold already: none of its holders, and each in a failure domain that holds as few
 * of the stripe as any; among those by weighted rendezvous, so that what one repair chooses the next would choose too.
 */
export function chooseHomes<C extends Candidate>(
  key: string,
  candidates: readonly C[],
  holders: readonly Home[],
  n: number,
): C[] {
  const taken = new Set(holders.map(({ id }) => id))
  const inDomain = perDomain(holders)
  const left = rank(
    key,
    candidates.filter(({ id }) => !taken.has(id)),
  )
  const chosen: C[] = []
  while (chosen.length < n && left.length > 0) {
    const fewest = Math.min(...left.map(({ domain }) => inDomain.get(domain) ?? 0))
    const index = left.findIndex(({ domain }) => (inDomain.get(domain) ?? 0) === fewest)
    const [home] = left.splice(index, 1)
    inDomain.set(home!.domain, fewest + 1)
    chosen.push(home!)
  }
  return chosen
}

/**
 * Shards that should lie elsewhere, though nothing is missing: those of nodes that leave, and those that crowd a failure domain while
 * another holds two fewer.
 * @param holders by shard; undefined: nobody
 * @returns numbers of shards, those of leaving nodes first
 */
export function misplaced(
  holders: readonly (Home | undefined)[],
  candidates: () => readonly Candidate[],
  isLeaving: (id: string) => boolean,
): number[] {
  const leaving = holders.flatMap((home, shard) => (home && isLeaving(home.id) ? [shard] : []))
  const staying = holders.filter((home, shard) => home !== undefined && !leaving.includes(shard)) as Home[]
  const inDomain = perDomain(staying)
  if (inDomain.size === staying.length) return leaving
  const taken = new Set(staying.map(({ id }) => id))
  const free = candidates()
    .filter(({ id }) => !taken.has(id))
    .map(({ domain }) => inDomain.get(domain) ?? 0)
  const fewest = Math.min(...free)
  const crowded = holders.flatMap((home, shard) => {
    if (!home || leaving.includes(shard)) return []
    const inside = inDomain.get(home.domain)!
    if (inside - fewest < 2) return []
    inDomain.set(home.domain, inside - 1)
    return [shard]
  })
  // One at a time from crowded domains: where it goes changes what is crowded.
  return [...leaving, ...crowded.slice(0, 1)]
}

function perDomain(homes: readonly Home[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { domain } of homes) counts.set(domain, (counts.get(domain) ?? 0) + 1)
  return counts
}
