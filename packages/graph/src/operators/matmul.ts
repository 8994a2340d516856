import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { type Attributes, float, floatOf, int, intOf, intsOf } from '../model.ts'
import type { InferContext, Operator, Type, Value, Values } from '../operator.ts'
import { broadcast, mismatch, range, sameShape, shapeText } from '../shape.ts'

/** How a factor lies: its last two axes exchanged, and before that its first axis behind the batch axes ([M, …batch, K]). */
export interface Layout {
  trans: boolean
  transBatch: boolean
}

const PLAIN: Layout = { trans: false, transBatch: false }
const turned = (trans: boolean): Layout => ({ trans, transBatch: false })

/** The permutation that makes a factor that lies so [...batch, M, K]. */
export function permOf({ trans, transBatch }: Layout, rank: number): number[] {
  const batch = transBatch ? range(rank - 1).slice(1) : range(rank - 2)
  const matrix = [transBatch ? 0 : rank - 2, rank - 1]
  return [...batch, ...(trans ? matrix.reverse() : matrix)]
}

export const inverse = (perm: readonly number[]) => range(perm.length).map((i) => perm.indexOf(i))

/** Shape of A·B where the factors lie as said. */
function product({ inputs }: InferContext, layoutA: Layout, layoutB: Layout): Type[] {
  const [a, b] = [layoutA, layoutB].map((layout, i) => {
    const { shape } = inputs[i]!
    if (shape.length < (layout.transBatch ? 3 : 2))
      throw mismatch(`both factors need at least ${layout.transBatch ? 'three' : 'two'} axes`)
    return permOf(layout, shape.length).map((axis) => shape[axis]!)
  }) as [number[], number[]]
  const [m, k] = [a.at(-2)!, a.at(-1)!]
  const [k2, n] = [b.at(-2)!, b.at(-1)!]
  if (k !== k2) throw mismatch(`${shapeText(a)} times ${shapeText(b)} has inner sizes ${k} and ${k2}`)
  return [{ dtype: inputs[0]!.dtype, shape: [...broadcast(a.slice(0, -2), b.slice(0, -2)), m, n] }]
}

/** Over how many elements a product of which x is the first factor sums. */
const innerOf = (x: Value, layout: Layout) => x.shape[permOf(layout, x.shape.length).at(-1)!]!

const isTransposed = (b: GraphBuilder, v: Value) => b.producers.get(v.name)?.op === 'Transpose'

/** The last two axes exchanged; of a value that was transposed before, in one step from what it was made from. */
const exchanged = (b: GraphBuilder, v: Value) => {
  const rank = v.shape.length
  return b.transpose(v, [...range(rank - 2), rank - 1, rank - 2])
}

/**
 * Aᵀ·g for batches of matrices. A runtime turns the first factor around anew in every small product; where a factor comes out of a
 * transposition anyway, as the heads of an attention do, it is made the right way round instead, or the result is: Aᵀ·g = (gᵀ·A)ᵀ.
 */
function transposedProduct(b: GraphBuilder, A: Value, B: Value, g: Value, alpha: number): Value {
  if (isTransposed(b, A)) return b.fusedMatmul(exchanged(b, A), g, false, false, alpha)
  if (isTransposed(b, B) && isTransposed(b, g))
    return exchanged(b, b.fusedMatmul(exchanged(b, g), A, false, false, alpha))
  return b.fusedMatmul(A, g, true, false, alpha)
}

/** dA and dB of alpha A·B. */
function matmulGradient(
  b: GraphBuilder,
  A: Value,
  B: Value,
  g: Value,
  wants: readonly boolean[],
  alpha = 1,
): (Value | undefined)[] {
  const dA = () => b.unbroadcast(b.fusedMatmul(g, B, false, true, alpha), A.shape)
  const dB = () =>
    isFlat(A, B) ? flatProduct(b, A, g, alpha) : b.unbroadcast(transposedProduct(b, A, B, g, alpha), B.shape)
  return [wants[0] ? dA() : undefined, wants[1] ? dB() : undefined]
}

/** Whether a 2-D weight meets a batch of matrices: its gradient then is one flat product instead of a batch of them that is summed. */
const isFlat = (A: Value, B: Value) => B.shape.length === 2 && A.shape.length > 2

/** alpha AᵀB over all rows of both, [M, N]. */
function flatProduct(b: GraphBuilder, A: Value, B: Value, alpha: number): Value {
  const [x, y] = [A, B].map((v) => b.reshape(v, [sizeOf(v.shape) / v.shape.at(-1)!, v.shape.at(-1)!])) as [Value, Value]
  return b.gemm(x, y, true, false, alpha)
}

const flag = (c: { attributes: InferContext['attributes'] }, name: string) => intOf(c.attributes, name, 0) === 1

/** How the factors of a FusedMatMul lie. */
export const layoutsOf = (c: { attributes: InferContext['attributes'] }) =>
  (['A', 'B'] as const).map((side) => ({
    trans: flag(c, `trans${side}`),
    transBatch: flag(c, `transBatch${side}`),
  })) as [Layout, Layout]

/**
 * Products whose factors come out of a transposition that the runtime can take along: it packs the second factor anyway, whichever way it lies; and
 * where the first axis was brought behind the batch axes, as heads of an attention over [tokens, batch, width] are cut, it reads rows that lie
 * apart, in the same time.
 */
function readingThrough(b: GraphBuilder, inputs: Values, attributes: Attributes): Value | undefined {
  const [x, y] = inputs as [Value, Value]
  if (x.dtype !== 'float32') return undefined
  const given = layoutsOf({ attributes })
  const rotates = x.shape.length > 2 && sameShape(batchOf(x, given[0]), batchOf(y, given[1]))
  const read = [x, y].map((v, i) => {
    const { trans, transBatch } = given[i]!
    const made = b.producers.get(v.name)
    const perm = made?.op === 'Transpose' && !transBatch ? intsOf(made.attributes, 'perm') : undefined
    const candidates = [
      ...(rotates ? [false, true].map((flipped) => ({ trans: flipped, transBatch: true })) : []),
      ...(i === 1 ? [turned(true)] : []),
    ]
    const taken = perm && candidates.find((layout) => sameShape(perm, permOf(layout, perm.length)))
    if (!taken) return { v, layout: given[i]! }
    return { v: made!.inputs[0]!, layout: { ...taken, trans: trans !== taken.trans } }
  }) as [{ v: Value; layout: Layout }, { v: Value; layout: Layout }]
  if (read.every(({ v }, i) => v === inputs[i])) return undefined
  const [{ layout: A }, { layout: B }] = read
  return b.one('FusedMatMul', [read[0].v, read[1].v], {
    transA: int(+A.trans),
    transB: int(+B.trans),
    ...(A.transBatch || B.transBatch ? { transBatchA: int(+A.transBatch), transBatchB: int(+B.transBatch) } : {}),
    alpha: float(floatOf(attributes, 'alpha', 1)),
  })
}

/** The batch axes of a factor that lies so. */
const batchOf = ({ shape }: Value, layout: Layout): number[] =>
  permOf(layout, shape.length)
    .slice(0, -2)
    .map((axis) => shape[axis]!)

/** Matrix products. */
export const matmul: Record<string, Operator> = {
  MatMul: {
    infer: (c) => product(c, PLAIN, PLAIN),
    simplify: readingThrough,
    // numpy's rule for vectors: a missing row or column axis is added and then dropped.
    lower: ({ b, inputs: [x, y] }) => {
      const A = x!.shape.length === 1 ? b.reshape(x!, [1, x!.shape[0]!]) : x!
      const B = y!.shape.length === 1 ? b.reshape(y!, [y!.shape[0]!, 1]) : y!
      const out = b.matmul(A, B)
      const shape = [...out.shape]
      if (y!.shape.length === 1) shape.splice(-1, 1)
      if (x!.shape.length === 1) shape.splice(y!.shape.length === 1 ? -1 : -2, 1)
      return [b.reshape(out, shape)]
    },
    gradient: ({ b, inputs: [x, y], grads: [g], wants }) => matmulGradient(b, x!, y!, g!, wants),
    flops: ({ inputs }, [out]) => 2 * sizeOf(out!.shape) * innerOf(inputs[0]!, PLAIN),
  },
  FusedMatMul: {
    infer: (c) => product(c, ...layoutsOf(c)),
    simplify: readingThrough,
    gradient: ({ b, attributes, inputs: [x, y], grads: [g], wants }) => {
      const layouts = layoutsOf({ attributes })
      const alpha = floatOf(attributes, 'alpha', 1)
      const [tA, tB] = layouts.map(({ trans }) => trans) as [boolean, boolean]
      if (layouts.some(({ transBatch }) => transBatch)) {
        const perms = layouts.map((layout, i) => permOf(layout, [x, y][i]!.shape.length))
        const grads = matmulGradient(b, b.transpose(x!, perms[0]!), b.transpose(y!, perms[1]!), g!, wants, alpha)
        return grads.map((d, i) => d && b.transpose(d, inverse(perms[i]!)))
      }
      const dA = () => (tA ? b.fusedMatmul(y!, g!, tB, true, alpha) : b.fusedMatmul(g!, y!, false, !tB, alpha))
      const dB = () => (tB ? b.fusedMatmul(g!, x!, true, tA, alpha) : b.fusedMatmul(x!, g!, !tA, false, alpha))
      const flat = !tA && isFlat(x!, y!)
      const flatWeights = () => (tB ? flatProduct(b, g!, x!, alpha) : flatProduct(b, x!, g!, alpha))
      return [
        wants[0] ? b.unbroadcast(dA(), x!.shape) : undefined,
        wants[1] ? (flat ? flatWeights() : b.unbroadcast(dB(), y!.shape)) : undefined,
      ]
    },
    flops: (c, [out]) => 2 * sizeOf(out!.shape) * innerOf(c.inputs[0]!, layoutsOf(c)[0]),
  },
  Gemm: {
    infer: (c) => {
      const [type] = product(c, turned(flag(c, 'transA')), turned(flag(c, 'transB')))
      if (type!.shape.length !== 2) throw mismatch('Gemm wants matrices')
      if (c.inputs[2]) broadcast(type!.shape, c.inputs[2].shape)
      return [type!]
    },
    simplify: (b, [x, y, z], attributes) => {
      const made = b.producers.get(y!.name)
      if (made?.op !== 'Transpose') return undefined
      const transB = int(1 - intOf(attributes, 'transB', 0))
      return b.one('Gemm', z ? [x, made.inputs[0], z] : [x, made.inputs[0]], { ...attributes, transB })
    },
    gradient: ({ b, attributes, inputs: [x, y, z], grads: [g], wants }) => {
      const [tA, tB] = [flag({ attributes }, 'transA'), flag({ attributes }, 'transB')]
      const alpha = floatOf(attributes, 'alpha', 1)
      const beta = floatOf(attributes, 'beta', 1)
      const dA = () => (tA ? b.gemm(y!, g!, tB, true, alpha) : b.gemm(g!, y!, false, !tB, alpha))
      const dB = () => (tB ? b.gemm(g!, x!, true, tA, alpha) : b.gemm(x!, g!, !tA, false, alpha))
      return [
        wants[0] ? dA() : undefined,
        wants[1] ? dB() : undefined,
        wants[2] ? b.scale(b.unbroadcast(g!, z!.shape), beta) : undefined,
      ]
    },
    flops: (c, [out]) => 2 * sizeOf(out!.shape) * innerOf(c.inputs[0]!, turned(flag(c, 'transA'))),
  },
}
