/**
 * What makes a Cauchy matrix of few ones, found by exhaustive search in @ronomon/reed-solomon 6.0.0 (MIT, Joran Dirk Greef), whose
 * parity this code's is. A line for each k = 1 … 24, in it for each m = 1 … 6: the bits `w` of a field element, the field's polynomial
 * without its highest term where w = 8, and where the points of the matrix's columns and rows start (`_`: m ≤ 2 needs none).
 */
const TABLE = `
2 7 _ _ | 2 7 _ _ | 2 7 0 1 | 4 19 0 1 | 4 19 0 1 | 4 19 0 1
2 7 _ _ | 2 7 _ _ | 4 19 0 4 | 4 19 0 5 | 4 19 2 9 | 4 19 4 10
2 7 _ _ | 4 19 _ _ | 4 19 0 9 | 4 19 1 8 | 4 19 1 9 | 4 19 0 9
4 19 _ _ | 4 19 _ _ | 4 19 0 9 | 4 19 3 11 | 4 19 3 11 | 4 19 11 4
4 19 _ _ | 4 19 _ _ | 4 19 4 13 | 4 19 3 12 | 4 19 0 9 | 4 19 0 9
4 19 _ _ | 4 19 _ _ | 4 19 2 12 | 4 19 2 12 | 4 19 0 9 | 4 19 0 9
4 19 _ _ | 4 19 _ _ | 4 19 1 13 | 4 19 2 12 | 4 19 0 9 | 4 19 7 0
4 19 _ _ | 4 19 _ _ | 4 19 2 13 | 4 19 2 12 | 4 19 0 9 | 4 19 0 8
4 19 _ _ | 4 19 _ _ | 4 19 1 13 | 4 19 2 12 | 4 19 0 9 | 4 19 1 10
4 19 _ _ | 4 19 _ _ | 4 19 1 13 | 4 19 0 12 | 4 19 0 11 | 4 19 0 10
4 19 _ _ | 4 19 _ _ | 4 19 0 13 | 4 19 0 12 | 4 19 0 11 | 8 135 58 188
4 19 _ _ | 4 19 _ _ | 4 19 3 0 | 4 19 0 12 | 8 113 24 208 | 8 135 57 188
4 19 _ _ | 4 19 _ _ | 4 19 0 13 | 8 135 59 189 | 8 113 27 236 | 8 113 27 236
4 19 _ _ | 4 19 _ _ | 8 169 4 252 | 8 135 58 189 | 8 135 58 189 | 8 135 58 188
4 19 _ _ | 8 135 _ _ | 8 113 24 209 | 8 135 58 189 | 8 101 28 232 | 8 113 120 241
8 29 _ _ | 8 135 _ _ | 8 113 22 213 | 8 113 22 212 | 8 101 28 232 | 8 101 28 232
8 29 _ _ | 8 135 _ _ | 8 113 22 213 | 8 135 58 189 | 8 101 27 232 | 8 101 27 232
8 29 _ _ | 8 135 _ _ | 8 113 24 213 | 8 113 22 212 | 8 195 8 32 | 8 113 205 126
8 29 _ _ | 8 135 _ _ | 8 113 22 213 | 8 113 23 212 | 8 195 7 32 | 8 195 3 60
8 29 _ _ | 8 135 _ _ | 8 113 22 213 | 8 113 22 212 | 8 195 4 238 | 8 113 21 233
8 29 _ _ | 8 135 _ _ | 8 113 21 213 | 8 113 21 212 | 8 195 3 60 | 8 195 3 60
8 29 _ _ | 8 135 _ _ | 8 113 20 213 | 8 113 21 212 | 8 195 35 28 | 8 195 3 60
8 29 _ _ | 8 135 _ _ | 8 113 19 213 | 8 113 19 212 | 8 195 3 238 | 8 113 205 126
8 29 _ _ | 8 135 _ _ | 8 113 18 213 | 8 195 125 91 | 8 195 3 238 | 8 195 42 225`

export interface Parameters {
  /** Bits of a field element: 2, 4 or 8. */
  w: number
  polynomial: number
  /** First point of the columns. */
  x: number
  /** First point of the rows. */
  y: number
}

/** The parameters of a code of `k` (1 … 24) data and `m` (1 … 6) parity shards. */
export function parametersOf(k: number, m: number): Parameters {
  const line = TABLE.trim().split('\n')[k - 1]!
  const [w, polynomial, x, y] = line.split(' | ')[m - 1]!.split(' ').map(Number) as [number, number, number, number]
  return { w, polynomial, x, y }
}
