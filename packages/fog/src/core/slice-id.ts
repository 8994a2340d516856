/**
 * The core's workers are slices: it gives each a lease of its own. The first slice of a contributor goes by the contributor's peer id, slice
 * k ≥ 1 by `peer/k`; names, signatures and credit are the peer's.
 */
export const sliceId = (peer: string, index: number): string => (index === 0 ? peer : `${peer}/${index}`)

export const peerOf = (slice: string): string => slice.split('/', 1)[0]!

export const indexOf = (slice: string): number => Number(slice.split('/')[1] ?? 0)
