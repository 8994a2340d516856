import { PinGoError, type Range } from '@pingo/wire'

/** Algebra of batch ranges: lists of [from, to), ascending, disjoint, adjacent ones joined. Nothing is changed in place. */

/** How many batches are in `ranges`. */
export function countOf(ranges: readonly Range[]): number {
  let count = 0
  for (const [from, to] of ranges) count += to - from
  return count
}

/** The union of lists that must not overlap, in any order. @throws PinGoError LEDGER_BROKEN when a batch is in two of them */
export function unite(...lists: (readonly Range[])[]): Range[] {
  const all = lists.length === 2 ? mergeSorted(lists[0]!, lists[1]!) : lists.flat().sort((a, b) => a[0] - b[0])
  const united: Range[] = []
  let last: Range | undefined
  for (const range of all) {
    if (last !== undefined && range[0] < last[1])
      throw new PinGoError('LEDGER_BROKEN', `Batch ${range[0]} would be in two places.`)
    if (last !== undefined && range[0] === last[1]) united[united.length - 1] = last = [last[0], range[1]]
    else united.push((last = range))
  }
  return united
}

/** `from` without `taken`. @throws PinGoError LEDGER_BROKEN unless all of `taken` is in `from` */
export function subtract(from: readonly Range[], taken: readonly Range[]): Range[] {
  const left: Range[] = []
  let next = 0
  for (const [start, end] of from) {
    let at = start
    while (next < taken.length && taken[next]![0] < end) {
      const [cut, until] = taken[next]!
      if (cut < at || until > end) throw missing(cut)
      if (cut > at) left.push([at, cut])
      at = until
      next++
    }
    if (at < end) left.push([at, end])
  }
  if (next < taken.length) throw missing(taken[next]![0])
  return left
}

/** The first `steps` batches of `ranges` and the others. */
export function splitAt(ranges: readonly Range[], steps: number): [done: Range[], rest: Range[]] {
  const done: Range[] = []
  const rest: Range[] = []
  let left = steps
  for (const [from, to] of ranges) {
    const cut = Math.min(from + left, to)
    if (cut > from) done.push([from, cut])
    if (cut < to) rest.push([cut, to])
    left -= cut - from
  }
  return [done, rest]
}

function mergeSorted(a: readonly Range[], b: readonly Range[]): Range[] {
  const all: Range[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length)
    all.push(j >= b.length || (i < a.length && a[i]![0] <= b[j]![0]) ? a[i++]! : b[j++]!)
  return all
}

const missing = (batch: number): PinGoError =>
  new PinGoError('LEDGER_BROKEN', `Batch ${batch} is not where the ledger looked for it.`)
