import { PinGoError, type Stats } from '@pingo/wire'

/** Where the parts of a `metric_stats` vector lie, [start, end) by name, in order. */
export function statsLayout(stats: Stats): { size: number; parts: Record<string, [number, number]> } {
  const parts: Record<string, [number, number]> = {}
  let size = 0
  const put = (name: string, length: number) => {
    parts[name] = [size, size + length]
    size += length
  }
  const scalars = (...names: string[]) => {
    for (const name of names) put(name, 1)
  }
  if (stats.kind === 'classes') {
    scalars('count', 'nll', 'correct')
    if (stats.topK) put('top', 1)
    if (stats.perClass) for (const name of ['hits', 'predicted', 'actual']) put(name, stats.classes)
  } else if (stats.kind === 'binary') scalars('count', 'tp', 'fp', 'fn')
  else {
    scalars('samples', 'elements', 'absolute', 'squared')
    if (stats.columns) for (const name of ['mean', 'deviations']) put(name, stats.columns)
  }
  if (stats.kind !== 'numbers' && stats.bins) for (const name of ['positives', 'negatives']) put(name, stats.bins)
  return { size, parts }
}

/**
 * The statistics of two sets of samples together, in float64: sums are added, means and squared deviations of targets combined (Chan, Golub
 * and LeVeque 1979), which keeps digits that sums of squares lose.
 * @param a undefined for the empty set; neither is changed
 * @throws PinGoError PROGRAM_INVALID when a vector is not of the layout
 */
export function mergeStats(stats: Stats, a: ArrayLike<number> | undefined, b: ArrayLike<number>): Float64Array {
  checkLength(stats, b)
  const merged = Float64Array.from(b)
  if (!a) return merged
  checkLength(stats, a)
  for (let i = 0; i < merged.length; i++) merged[i]! += a[i]!
  if (stats.kind !== 'numbers' || !stats.columns) return merged
  const { samples, mean, deviations } = statsLayout(stats).parts as Record<string, [number, number]>
  const [m, n] = [a[samples![0]]!, b[samples![0]]!]
  for (let c = 0; c < stats.columns; c++) {
    const [at, off] = [mean![0] + c, deviations![0] + c]
    const apart = b[at]! - a[at]!
    merged[at] = m + n > 0 ? a[at]! + (apart * n) / (m + n) : 0
    merged[off] = a[off]! + b[off]! + (m + n > 0 ? (apart * apart * m * n) / (m + n) : 0)
  }
  return merged
}

/**
 * The metrics that a vector of statistics tells; one that is undefined (AUC without positives, R² of constant targets) is left out.
 * - `accuracy`, `top5`: shares of predictions; `perplexity`: exp of the mean cross-entropy, for sequences.
 * - `f1`: of class 1 of two, or of all yes-or-no outputs together; `f1_macro`: the mean over classes that occur or were predicted.
 * - `auc`: area under the ROC curve from scores in 1,000 bins: those in one bin count as ties, so that it is exact to about the share of
 *   pairs that fall into one bin.
 * - `mae`, `r2`: over all outputs; R² is 1 - squared errors / squared deviations from each output's own mean.
 */
export function metricsOf(stats: Stats, vector: ArrayLike<number>): Record<string, number> {
  checkLength(stats, vector)
  const { parts } = statsLayout(stats)
  const list = (name: string): number[] => {
    const [from, to] = parts[name] ?? [0, 0]
    return Array.from({ length: to - from }, (_, i) => vector[from + i]!)
  }
  const get = (name: string): number => list(name)[0] ?? Number.NaN
  const found: Record<string, number> = {}
  if (stats.kind === 'numbers') {
    const deviations = list('deviations').reduce((sum, x) => sum + x, 0)
    found.mae = get('absolute') / get('elements')
    if (stats.columns) found.r2 = 1 - get('squared') / deviations
  } else if (stats.kind === 'binary') {
    const [count, tp, fp, fn] = [get('count'), get('tp'), get('fp'), get('fn')]
    found.accuracy = (count - fp - fn) / count
    found.f1 = f1(tp, fp, fn)
  } else {
    const count = get('count')
    found.accuracy = get('correct') / count
    if (stats.topK) found[`top${stats.topK}`] = get('top') / count
    if (stats.perplexity) found.perplexity = Math.exp(get('nll') / count)
    if (stats.perClass) {
      const [hits, predicted, actual] = [list('hits'), list('predicted'), list('actual')]
      const scores = hits.map((tp, c) => f1(tp, predicted[c]! - tp, actual[c]! - tp))
      const seen = scores.filter((_, c) => predicted[c]! + actual[c]! > 0)
      if (stats.classes === 2) found.f1 = scores[1]!
      found.f1_macro = seen.reduce((sum, score) => sum + score, 0) / seen.length
    }
  }
  if (stats.kind !== 'numbers' && stats.bins) found.auc = area(list('positives'), list('negatives'))
  return Object.fromEntries(Object.entries(found).filter(([, value]) => Number.isFinite(value)))
}

function checkLength(stats: Stats, { length }: ArrayLike<number>): void {
  const { size } = statsLayout(stats)
  if (length !== size)
    throw new PinGoError(
      'PROGRAM_INVALID',
      `The program's metric_stats has ${length} elements, its manifest says ${size}.`,
    )
}

/** 2 tp / (2 tp + fp + fn); 0 when there is nothing to find and nothing was found, as scikit-learn has it. */
const f1 = (tp: number, fp: number, fn: number): number => (tp + fp + fn > 0 ? (2 * tp) / (2 * tp + fp + fn) : 0)

/** The share of pairs (positive, negative) in which the positive scores higher, ties counting half (Mann and Whitney 1947). */
function area(positives: number[], negatives: number[]): number {
  let [below, won, total] = [0, 0, 0]
  for (let bin = 0; bin < positives.length; bin++) {
    won += positives[bin]! * (below + negatives[bin]! / 2)
    below += negatives[bin]!
    total += positives[bin]!
  }
  return won / (total * below)
}
