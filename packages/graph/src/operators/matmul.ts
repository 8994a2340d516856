import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { floatOf, intOf } from '../model.ts'
import type { InferContext, Operator, Type, Value } from '../operator.ts'
import { broadcast, mismatch, range, shapeText } from '../shape.ts'

/** Shape of A·B with optional transposes of the last two axes. */
function product({ inputs }: InferContext, transA: boolean, transB: boolean): Type[] {
  const [a, b] = [inputs[0]!.shape, inputs[1]!.shape]
  if (a.length < 2 || b.length < 2) throw mismatch('both factors need at least two axes')
  const [m, k] = transA ? [a.at(-1)!, a.at(-2)!] : [a.at(-2)!, a.at(-1)!]
  const [k2, n] = transB ? [b.at(-1)!, b.at(-2)!] : [b.at(-2)!, b.at(-1)!]
  if (k !== k2) throw mismatch(`${shapeText(a)} times ${shapeText(b)} has inner sizes ${k} and ${k2}`)
  return [{ dtype: inputs[0]!.dtype, shape: [...broadcast(a.slice(0, -2), b.slice(0, -2)), m, n] }]
}

const innerOf = (x: Value, trans: boolean) => x.shape.at(trans ? -2 : -1)!

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
function transposedProduct(b: GraphBuilder, A: Value, B: Value, g: Value): Value {
  if (isTransposed(b, A)) return b.matmul(exchanged(b, A), g)
  if (isTransposed(b, B) && isTransposed(b, g)) return exchanged(b, b.matmul(exchanged(b, g), A))
  return b.fusedMatmul(A, g, true, false)
}

/** dA and dB of A·B. A 2-D weight gets one flat product instead of a batch of them that is summed. */
function matmulGradient(
  b: GraphBuilder,
  A: Value,
  B: Value,
  g: Value,
  wants: readonly boolean[],
): (Value | undefined)[] {
  const flat = B.shape.length === 2 && A.shape.length > 2
  const dA = () => b.unbroadcast(b.fusedMatmul(g, B, false, true), A.shape)
  const dB = () => {
    if (!flat) return b.unbroadcast(transposedProduct(b, A, B, g), B.shape)
    const rows = sizeOf(A.shape.slice(0, -1))
    return b.gemm(b.reshape(A, [rows, A.shape.at(-1)!]), b.reshape(g, [rows, g.shape.at(-1)!]), true, false)
  }
  return [wants[0] ? dA() : undefined, wants[1] ? dB() : undefined]
}

const flag = (c: { attributes: InferContext['attributes'] }, name: string) => intOf(c.attributes, name, 0) === 1

/** Matrix products. */
export const matmul: Record<string, Operator> = {
  MatMul: {
    infer: (c) => product(c, false, false),
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
    flops: ({ inputs }, [out]) => 2 * sizeOf(out!.shape) * innerOf(inputs[0]!, false),
  },
  FusedMatMul: {
    infer: (c) => product(c, flag(c, 'transA'), flag(c, 'transB')),
    gradient: ({ b, attributes, inputs: [x, y], grads: [g], wants }) => {
      const [tA, tB] = [flag({ attributes }, 'transA'), flag({ attributes }, 'transB')]
      const alpha = floatOf(attributes, 'alpha', 1)
      const dA = () => (tA ? b.fusedMatmul(y!, g!, tB, true, alpha) : b.fusedMatmul(g!, y!, false, !tB, alpha))
      const dB = () => (tB ? b.fusedMatmul(g!, x!, true, tA, alpha) : b.fusedMatmul(x!, g!, !tA, false, alpha))
      return [
        wants[0] ? b.unbroadcast(dA(), x!.shape) : undefined,
        wants[1] ? b.unbroadcast(dB(), y!.shape) : undefined,
      ]
    },
    flops: (c, [out]) => 2 * sizeOf(out!.shape) * innerOf(c.inputs[0]!, flag(c, 'transA')),
  },
  Gemm: {
    infer: (c) => {
      const [type] = product(c, flag(c, 'transA'), flag(c, 'transB'))
      if (type!.shape.length !== 2) throw mismatch('Gemm wants matrices')
      if (c.inputs[2]) broadcast(type!.shape, c.inputs[2].shape)
      return [type!]
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
    flops: (c, [out]) => 2 * sizeOf(out!.shape) * innerOf(c.inputs[0]!, flag(c, 'transA')),
  },
}
