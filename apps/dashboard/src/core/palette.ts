import type { Share } from '@pingo/wire'

/** Colours told apart at a glance; everyone beyond them shares the last, grey one. */
export const PALETTE_SIZE = 7
export const OTHERS = PALETTE_SIZE

/**
 * A colour index for every contributor of a job, 0 … {@link OTHERS}. The `PALETTE_SIZE` who did most get a colour of their
 * own, handed out by name, so that a contributor keeps its colour while the order by samples changes.
 */
export function assignColours(shares: readonly Share[]): Map<string, number> {
  const most = [...shares].sort((a, b) => b.samples - a.samples || compareText(a.contributor, b.contributor))
  const own = most
    .slice(0, PALETTE_SIZE)
    .sort((a, b) => compareNames(a.name, b.name) || compareText(a.contributor, b.contributor))
  const colours = new Map(own.map((share, index) => [share.contributor, index]))
  for (const share of shares) if (!colours.has(share.contributor)) colours.set(share.contributor, OTHERS)
  return colours
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Names as people count: `node-2` before `node-10`. */
export const compareNames = (a: string, b: string): number =>
  a.localeCompare(b, 'en', { numeric: true, sensitivity: 'base' })
