import { PinGoError } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { floatOf, int, intOf } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { mismatch, range, shapeText } from '../shape.ts'
import { tensorOf } from '../tensors.ts'

const unsupported = (why: string, hint: string) => new PinGoError('GRAPH_UNSUPPORTED', why, { hint })

/** What is added to scores that must not count: low enough for a softmax to give exactly 0, and finite. */
const NEVER = -1e9

/** [B, S, H·D] as [B, H, S, D]. */
export function splitHeads(b: GraphBuilder, x: Value, heads: number): Value {
  const [batch, length, width] = x.shape as [number, number, number]
  if (!(heads > 0) || width % heads) throw mismatch(`${width} values cannot be shared by ${heads} heads`)
  return b.transpose(b.reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3])
}

/** [B, H, S, D] as [B, S, H·D]. */
export function joinHeads(b: GraphBuilder, x: Value): Value {
  const [batch, heads, length, size] = x.shape as [number, number, number, number]
  return b.reshape(b.transpose(x, [0, 2, 1, 3]), [batch, length, heads * size])
}

/** 0 on and below the diagonal of [rows, columns], never above. */
export function causalMask(b: GraphBuilder, rows: number, columns: number): Value {
  const list = range(rows * columns).map((i) => (i % columns > Math.floor(i / columns) ? NEVER : 0))
  return b.constant(tensorOf('float32', [rows, columns], list))
}

/** A mask as something to add: bool and integers say what counts, floats are added as they are. */
export const additive = (b: GraphBuilder, mask: Value): Value =>
  mask.dtype === 'float32'
    ? mask
    : b.where(mask.dtype === 'bool' ? mask : b.cast(mask, 'bool'), b.scalar(0), b.scalar(NEVER))

/**
 * softmax(scale · Q Kᵀ + masks) V (Vaswani et al. 2017) for Q, K, V [B, H, S, D]; keys and values of fewer heads are shared by as many
 * queries' heads in a row (Ainslie et al. 2023).
 */
export function attend(
  b: GraphBuilder,
  [q, k, v]: readonly [Value, Value, Value],
  { scale, masks = [], cap = 0 }: { scale: number; masks?: Value[]; cap?: number },
): Value {
  const shared = q.shape[1]! / k.shape[1]!
  if (!Number.isInteger(shared)) throw mismatch(`${q.shape[1]} heads of queries cannot share ${k.shape[1]} of keys`)
  const repeated = (x: Value): Value => {
    if (shared === 1) return x
    const [batch, heads, length, size] = x.shape as [number, number, number, number]
    const wide = b.expand(b.reshape(x, [batch, heads, 1, length, size]), [batch, heads, shared, length, size])
    return b.reshape(wide, [batch, heads * shared, length, size])
  }
  let scores = b.fusedMatmul(q, repeated(k), false, true, scale)
  if (cap > 0) scores = b.scale(b.one('Tanh', [b.scale(scores, 1 / cap)]), cap)
  for (const mask of masks) scores = b.add(scores, mask)
  return b.matmul(b.one('Softmax', [scores], { axis: int(3) }), repeated(v))
}

/** ONNX's Attention (opset 23): [B, H, S, D], or [B, S, H·D] with the heads as attributes. */
function attention(c: LowerContext): (Value | undefined)[] {
  const { b, attributes } = c
  const [Q, K, V, mask, pastKey, pastValue] = c.inputs as [Value, Value, Value, ...(Value | undefined)[]]
  if (pastKey || pastValue || c.node.outputs.slice(1).some(Boolean))
    throw unsupported('a cache of keys and values is not supported', 'Export the model for training: without a cache.')
  const flat = Q.shape.length === 3
  if (!flat && Q.shape.length !== 4) throw mismatch(`it wants [B, H, S, D] or [B, S, H·D], not ${shapeText(Q.shape)}`)
  const queryHeads = intOf(attributes, 'q_num_heads', 0)
  const [q, k, v] = flat
    ? [
        splitHeads(b, Q, queryHeads),
        splitHeads(b, K, intOf(attributes, 'kv_num_heads', queryHeads)),
        splitHeads(b, V, intOf(attributes, 'kv_num_heads', queryHeads)),
      ]
    : [Q, K, V]
  const masks: Value[] = []
  if (mask) masks.push(additive(b, mask))
  if (intOf(attributes, 'is_causal', 0)) masks.push(causalMask(b, q!.shape[2]!, k!.shape[2]!))
  const cap = floatOf(attributes, 'softcap', 0)
  if (cap > 0 && masks.length)
    throw unsupported('softcap together with a mask is not supported', 'Write the attention with MatMul and Softmax.')
  const scale = floatOf(attributes, 'scale', 1 / Math.sqrt(q!.shape[3]!))
  const y = attend(b, [q!, k!, v!], { scale, masks, cap })
  return [flat ? joinHeads(b, y) : y]
}

/**
 * Rotates pairs of the first `dims` of D by the angles of their positions (Su et al. 2021): halves of a head, or neighbours when
 * interleaved.
 * @param x [B, H, S, D]; @param cos, sin [B or 1, S, dims/2]
 */
export function rotated(b: GraphBuilder, x: Value, cos: Value, sin: Value, dims: number, interleaved: boolean): Value {
  const [batch, heads, length, size] = x.shape as [number, number, number, number]
  const half = dims / 2
  const turn = dims === size ? x : b.slice(x, [3], [0], [dims])
  const angle = (v: Value) => b.reshape(v, [v.shape[0]!, 1, length, half])
  const [c, s] = [angle(cos), angle(sin)]
  const pairs = interleaved ? b.reshape(turn, [batch, heads, length, half, 2]) : undefined
  const part = (i: number) =>
    pairs
      ? b.reshape(b.slice(pairs, [4], [i], [i + 1]), [batch, heads, length, half])
      : b.slice(turn, [3], [i * half], [(i + 1) * half])
  const [first, second] = [part(0), part(1)]
  const real = b.sub(b.mul(c, first), b.mul(s, second))
  const imaginary = b.add(b.mul(s, first), b.mul(c, second))
  const column = (v: Value) => b.reshape(v, [batch, heads, length, half, 1])
  const done = interleaved
    ? b.reshape(b.concat([column(real), column(imaginary)], 4), [batch, heads, length, dims])
    : b.concat([real, imaginary], 3)
  return dims === size ? done : b.concat([done, b.slice(x, [3], [dims], [size])], 3)
}

/** Rotary embedding of [B, H, S, D] or [B, S, H·D]; caches are [positions, D/2], or [B, S, D/2] without position ids. */
export function rotary(c: LowerContext, x: Value, ids: Value | undefined, cosCache: Value, sinCache: Value): Value[] {
  const { b, attributes } = c
  const flat = x.shape.length === 3
  const dims = intOf(attributes, 'rotary_embedding_dim', 0)
  const heads = intOf(attributes, 'num_heads', 0)
  if (flat && !heads && !dims && !cosCache.shape.length) throw mismatch('it does not say its number of heads')
  const size = dims || 2 * cosCache.shape.at(-1)!
  const wide = flat ? splitHeads(b, x, heads || x.shape[2]! / size) : x
  const length = wide.shape[2]!
  const at = (cache: Value) => {
    const half = cache.shape.at(-1)!
    if (!ids) return b.reshape(cache, [cache.shape.length === 3 ? cache.shape[0]! : 1, length, half])
    const picked = b.one('Gather', [cache, ids], { axis: int(0) })
    return b.reshape(picked, [ids.shape.length === 2 ? ids.shape[0]! : 1, length, half])
  }
  const y = rotated(b, wide, at(cosCache), at(sinCache), size, intOf(attributes, 'interleaved', 0) === 1)
  return [flat ? joinHeads(b, y) : y]
}

/** Attention and what goes with it as single nodes. */
export const attentions: Record<string, Operator> = {
  Attention: { lower: attention },
  RotaryEmbedding: {
    lower: (c) => {
      const [x, cos, sin, ids] = c.inputs as [Value, Value, Value, Value | undefined]
      return rotary(c, x, ids, cos, sin)
    },
  },
}
