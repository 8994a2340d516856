import type { Ref } from '../interpreter/index.ts'

const STEP = 1e-3

/**
 * d loss / d x by central differences at two steps, extrapolated (Richardson): exact to about 1e-10 where the loss is smooth within
 * STEP of x.
 */
export function centralDifferences(
  loss: (feeds: ReadonlyMap<string, Ref>) => number,
  feeds: ReadonlyMap<string, Ref>,
  name: string,
  step = STEP,
): Float64Array {
  const x = feeds.get(name)!
  const moved: Ref = { ...x, data: x.data.slice() }
  const around = new Map(feeds).set(name, moved)
  const slope = (i: number, h: number) => {
    moved.data[i] = x.data[i]! + h
    const up = loss(around)
    moved.data[i] = x.data[i]! - h
    const down = loss(around)
    moved.data[i] = x.data[i]!
    return (up - down) / (2 * h)
  }
  return x.data.map((_, i) => (4 * slope(i, step / 2) - slope(i, step)) / 3)
}

/** |a - b| / max(|b|, scale * sqrt(n)) in the Euclidean norm; infinite when lengths differ or numbers that should be finite are not. */
export function relative(a: ArrayLike<number>, b: ArrayLike<number>, scale: number): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let [difference, length] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    if (Object.is(a[i], b[i])) {
      if (Number.isFinite(b[i])) length += b[i]! ** 2
      continue
    }
    difference += (a[i]! - b[i]!) ** 2
    length += b[i]! ** 2
  }
  if (difference === 0) return 0
  const far = Math.sqrt(difference) / Math.max(Math.sqrt(length), scale * Math.sqrt(b.length))
  return Number.isNaN(far) ? Number.POSITIVE_INFINITY : far
}
