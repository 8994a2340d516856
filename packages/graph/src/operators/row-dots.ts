import type { GraphBuilder, Operation } from '../builder.ts'
import { floatOf } from '../model.ts'
import type { Value } from '../operator.ts'
import { sameShape } from '../shape.ts'
import { inverse, layoutsOf, permOf } from './matmul.ts'

const isProduct = ({ op }: Operation) => op === 'MatMul' || op === 'FusedMatMul'

/**
 * Σⱼ yᵢⱼ gᵢⱼ along the last axis, which stays. Where g = dO Vᵀ comes from a product O = y V, as the weights of an attention do, that is Σ dO O: sums over a head's
 * size instead of over all tokens (Dao et al. 2022, "FlashAttention", B.2).
 */
export function rowDots(b: GraphBuilder, y: Value, g: Value): Value {
  const made = b.producers.get(g.name)
  const plain = () => b.sum(b.mul(g, y), [y.shape.length - 1], true)
  if (!made || !isProduct(made)) return plain()
  const [dO, V] = made.inputs as [Value, Value]
  const [layout, back] = layoutsOf(made)
  const rank = y.shape.length
  if (layout.trans || dO.shape.length !== rank) return plain()
  const product = b.operations.find((o) => {
    if (!isProduct(o) || o.inputs[0]?.name !== y.name || o.inputs[1]?.name !== V.name) return false
    const [own, other] = layoutsOf(o)
    return !own.trans && !own.transBatch && other.transBatch === back.transBatch && other.trans !== back.trans
  })
  const O = product?.outputs[0]
  if (!O || O.shape.at(-1)! >= y.shape.at(-1)!) return plain()
  // As dO lies: where it is joined with other heads, O is, too.
  const perm = permOf(layout, rank)
  const lying = b.transpose(O, inverse(perm))
  if (!sameShape(lying.shape, dO.shape)) return plain()
  const sums = b.sum(b.mul(dO, lying), [rank - 1], true)
  return b.scale(b.transpose(sums, perm), alphaOf(made) / alphaOf(product))
}

const alphaOf = ({ attributes }: Operation) => floatOf(attributes, 'alpha', 1)
