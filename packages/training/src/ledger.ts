import { MAX_LEASE_RANGES, PinGoError, type Range } from '@pingo/wire'
import { countOf, splitAt, subtract, unite } from './ranges.ts'

/**
 * Where each batch of a job's stream is: free, leased or done; never in two places, never in none. Batch i covers the samples
 * [i · batch, min((i + 1) · batch, totalSamples)): the last one may be short. Plain data, never changed in place.
 */
export interface LedgerState {
  readonly batch: number
  readonly totalSamples: number
  readonly free: readonly Range[]
  readonly leased: readonly Range[]
  readonly done: readonly Range[]
}

/** A ledger with every batch free. */
export function createLedger(batch: number, totalSamples: number): LedgerState {
  return { batch, totalSamples, free: [[0, Math.ceil(totalSamples / batch)]], leased: [], done: [] }
}

/** Number of batches of the whole stream. */
export const batchesOf = (ledger: Pick<LedgerState, 'batch' | 'totalSamples'>): number =>
  Math.ceil(ledger.totalSamples / ledger.batch)

/** Number of samples in `ranges`: the short last batch counts what it holds. */
export function samplesOf(ledger: Pick<LedgerState, 'batch' | 'totalSamples'>, ranges: readonly Range[]): number {
  let samples = 0
  for (const [from, to] of ranges) samples += Math.min(to * ledger.batch, ledger.totalSamples) - from * ledger.batch
  return samples
}

/**
 * Leases the first free batches: for each of `counts` a list of that many, or of fewer when the free ones run out or lie in
 * more than {@link MAX_LEASE_RANGES} pieces.
 */
export function takeBatches(ledger: LedgerState, counts: readonly number[]): { ledger: LedgerState; taken: Range[][] } {
  let free: readonly Range[] = ledger.free
  const taken = counts.map((count) => {
    // One piece more than the limit is looked at: enough to know what is left, without walking the whole list each time.
    const pieces = Math.min(free.length, MAX_LEASE_RANGES)
    let batches = 0
    let piece = 0
    while (piece < pieces && batches < count) batches += free[piece]![1] - free[piece++]![0]
    const [mine, rest] = splitAt(free.slice(0, piece), count)
    free = rest.length === 0 ? free.slice(piece) : [...rest, ...free.slice(piece)]
    return mine
  })
  return { ledger: { ...ledger, free, leased: unite(ledger.leased, unite(...taken)) }, taken }
}

/** Leased batches become free again. @throws PinGoError LEDGER_BROKEN when they are not leased */
export function giveBack(ledger: LedgerState, ...lists: (readonly Range[])[]): LedgerState {
  const ranges = lists.length === 1 ? lists[0]! : unite(...lists)
  if (ranges.length === 0) return ledger
  return { ...ledger, leased: subtract(ledger.leased, ranges), free: unite(ledger.free, ranges) }
}

/** Leased batches are done, for good. @throws PinGoError LEDGER_BROKEN when they are not leased */
export function commitBatches(ledger: LedgerState, ...lists: (readonly Range[])[]): LedgerState {
  const ranges = lists.length === 1 ? lists[0]! : unite(...lists)
  return { ...ledger, leased: subtract(ledger.leased, ranges), done: unite(ledger.done, ranges) }
}

/** Number of batches that nobody has. */
export const freeBatches = (ledger: LedgerState): number => countOf(ledger.free)

/** True when every batch is done. */
export const isComplete = (ledger: LedgerState): boolean => countOf(ledger.done) === batchesOf(ledger)

/** Asserts that free, leased and done are a partition of the stream. @throws PinGoError LEDGER_BROKEN */
export function checkLedger(ledger: LedgerState): void {
  const all = unite(ledger.free, ledger.leased, ledger.done)
  const whole = all.length === 1 && all[0]![0] === 0 && all[0]![1] === batchesOf(ledger)
  if (!whole)
    throw new PinGoError('LEDGER_BROKEN', `The ledger covers ${JSON.stringify(all.slice(0, 10))} of the stream.`)
}
