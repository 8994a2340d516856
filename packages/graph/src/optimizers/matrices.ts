import type { Optimizer } from '@pingo/wire'
import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import type { Value } from '../operator.ts'
import { range } from '../shape.ts'
import { matrixShape } from './rules.ts'

/** Coefficients of Muon's quintic iteration, chosen for its slope at 0 (Jordan 2024). */
const NEWTON_SCHULZ = [3.4445, -4.775, 2.0315] as const
const NEWTON_SCHULZ_STEPS = 5
/** Added to the norm that the iteration starts from. */
const NORM_EPSILON = 1e-7
/** Size of AdamW's updates, by root mean square, that Muon's are brought to (Liu et al. 2025, "Muon is scalable for LLM training"). */
const ADAMW_RMS = 0.2

/**
 * The nearest matrix with orthonormal rows or columns, nearly: five Newton-Schulz steps X ← aX + (bA + cA²)X, A = XXᵀ, in float32
 * (Jordan 2024, "Muon: an optimizer for hidden layers in neural networks"); singular values end between about 0.7 and 1.2.
 * @param x [rows, columns]
 */
function orthogonal(b: GraphBuilder, x: Value): Value {
  const [rows, columns] = x.shape as [number, number]
  const tall = rows > columns
  const norm = b.one('Sqrt', [b.sum(b.mul(x, x))])
  let y = b.div(x, b.add(norm, b.scalar(NORM_EPSILON)))
  const [p, q, r] = NEWTON_SCHULZ
  for (let i = 0; i < NEWTON_SCHULZ_STEPS; i++) {
    // The Gram matrix of the shorter side: of a tall matrix XᵀX, which then multiplies from the right.
    const gram = b.gemm(y, y, tall, !tall)
    const mixed = b.add(b.scale(gram, q), b.scale(b.matmul(gram, gram), r))
    y = b.add(b.scale(y, p), tall ? b.matmul(y, mixed) : b.matmul(mixed, y))
  }
  return y
}

/** How much is taken of a matrix's orthogonalised momentum. */
function muonScale(scale: 'rms' | 'original', [rows, columns]: [number, number]): number {
  return scale === 'rms' ? ADAMW_RMS * Math.sqrt(Math.max(rows, columns)) : Math.sqrt(Math.max(1, rows / columns))
}

/** Muon's direction for a tensor, as a matrix [first axis, all others]. */
export function muonDirection(
  b: GraphBuilder,
  optimizer: Extract<Optimizer, { kind: 'muon' }>,
  g: Value,
  moved: Value,
): Value {
  const shape = matrixShape(g.shape)
  const u = optimizer.nesterov ? b.add(g, b.scale(moved, optimizer.momentum)) : moved
  return b.reshape(b.scale(orthogonal(b, b.reshape(u, shape)), muonScale(optimizer.scale, shape)), g.shape)
}

/**
 * Adafactor's direction (Shazeer and Stern 2018, algorithms 4 and 5, with a learning rate from outside and no first moment): the gradient
 * over the root of its second moment, which a matrix [first axis, all others] keeps as row and column means; cut to a root mean square of
 * `threshold`.
 * @param old row and column means, or the whole second moment of a vector
 * @returns the direction and the state's next values
 */
export function adafactorDirection(
  b: GraphBuilder,
  { epsilon, threshold }: Extract<Optimizer, { kind: 'adafactor' }>,
  g: Value,
  old: readonly Value[],
  keep: Value,
  take: Value,
): { direction: Value; next: Value[] } {
  const moved = (before: Value, now: Value) => b.add(b.mul(before, keep), b.mul(now, take))
  const squares = b.add(b.mul(g, g), b.scalar(epsilon))
  let u: Value
  let next: Value[]
  if (old.length === 1) {
    next = [moved(old[0]!, squares)]
    u = b.div(g, b.one('Sqrt', [next[0]!]))
  } else {
    const [rows, columns] = matrixShape(g.shape)
    const matrix = b.reshape(squares, [rows, columns])
    const [row, column] = [moved(old[0]!, b.mean(matrix, [1])), moved(old[1]!, b.mean(matrix, [0]))]
    next = [row, column]
    // V = row column / mean(row); the roots are taken apart, so that products of small means do not vanish.
    const side = b.reshape(b.one('Sqrt', [b.div(row, b.mean(row, [0]))]), [rows, 1])
    const scaled = b.div(b.div(b.reshape(g, [rows, columns]), side), b.reshape(b.one('Sqrt', [column]), [1, columns]))
    u = b.reshape(scaled, g.shape)
  }
  const size = sizeOf(g.shape)
  const rms = b.one('Sqrt', [b.scale(b.sum(b.mul(u, u), range(u.shape.length)), 1 / size)])
  const cut = b.one('Max', [b.scale(rms, 1 / threshold), b.scalar(1)])
  return { direction: b.div(u, cut), next }
}
