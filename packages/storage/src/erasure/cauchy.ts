import { Field, type Matrix } from './field.ts'
import { parametersOf } from './parameters.ts'

/** Bytes of a shard that are coded at once, apart from all others: part of the format. */
export const ROW_BYTES = 64 << 10
/** What a row of packets and one target may take of a cache in @ronomon/reed-solomon: it sets the packet's length, and so the format. */
const CACHE_BYTES = 1 << 20

export interface Cauchy {
  field: Field
  /** m × k: parity shard r is the sum of data shards c times `parity[r][c]`. */
  parity: Matrix
  /** Bytes of a packet: bit b of the elements of a shard stands in its packets b, b + w, b + 2w … */
  packetBytes: number
}

/**
 * The matrix and packets of the code of `k` data (1 … 24) and `m` parity shards (1 … 6): a Cauchy matrix, so that any k of the k + m shards
 * determine all, with a first row of ones (one loss is one XOR) and few ones in its bits. By choices of @ronomon/reed-solomon 6.0.0, so
 * that the bits are the same.
 * @see Blömer, Kalfane, Karp, Karpinski, Luby, Zuckerman 1995, "An XOR-Based Erasure-Resilient Coding Scheme" (ICSI TR-95-048)
 * @see Plank, Xu 2006, "Optimizing Cauchy Reed-Solomon Codes for Fault-Tolerant Network Storage Applications"
 */
export function cauchy(k: number, m: number): Cauchy {
  const { w, polynomial, x, y } = parametersOf(k, m)
  const field = new Field(w, polynomial)
  let packetBytes = ROW_BYTES / w
  while ((1 + k * w) * packetBytes > CACHE_BYTES) packetBytes /= 2
  return { field, parity: parityMatrix(field, k, m, x, y), packetBytes }
}

function parityMatrix(field: Field, k: number, m: number, x: number, y: number): Matrix {
  const columns = Array.from({ length: k }, (_, c) => c)
  const ones = columns.map(() => 1)
  if (m === 1) return [ones]
  if (m === 2) return [ones, cheapest(field).slice(0, k)]
  const point = (r: number, c: number) => field.divide(1, (y + r) ^ (x + c))
  const rows = Array.from({ length: m - 1 }, (_, r) => columns.map((c) => field.divide(point(r + 1, c), point(0, c))))
  return [ones, ...rows.map((row) => lightest(field, row))]
}

/** The elements but 0 by ones, then by value: any two columns (1, a), (1, b) of different elements are independent. */
function cheapest(field: Field): number[] {
  const elements = Array.from({ length: 2 ** field.w - 1 }, (_, i) => i + 1)
  return elements.sort((a, b) => field.ones(a) - field.ones(b) || a - b)
}

/** The row divided by that of its elements which leaves the fewest ones; as it is where none leaves fewer. */
function lightest(field: Field, row: readonly number[]): number[] {
  const ones = (elements: readonly number[]) => elements.reduce((sum, element) => sum + field.ones(element), 0)
  let best = [...row]
  for (const divisor of row) {
    const divided = row.map((element) => field.divide(element, divisor))
    if (ones(divided) < ones(best)) best = divided
  }
  return best
}
