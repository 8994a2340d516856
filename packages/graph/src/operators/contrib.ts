import { PinGoError } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { float, floatOf, int, intOf, string, stringOf } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { activation } from './activation.ts'
import { additive, attend, causalMask, joinHeads, rotary, splitHeads } from './attention.ts'
import { convolution } from './convolution.ts'
import { matmul } from './matmul.ts'
import { normalisation } from './normalisation.ts'

const unsupported = (why: string, hint: string) => new PinGoError('GRAPH_UNSUPPORTED', why, { hint })
const noCache = (...values: (Value | undefined)[]) => {
  if (values.some(Boolean)) throw unsupported('a cache of keys and values is not supported', 'Export without a cache.')
}

const gelu = (c: LowerContext, x: Value, tanh: boolean) =>
  activation.Gelu!.lower!({ ...c, inputs: [x], attributes: tanh ? { approximate: string('tanh') } : {} })

/** x + skip (+ bias), normalised over the last axis; the fourth output is the sum itself. */
function skip(c: LowerContext, bias: Value | undefined, normalise: (sum: Value) => Value): (Value | undefined)[] {
  if (c.node.outputs[1] || c.node.outputs[2])
    throw unsupported('its mean and deviation outputs are not supported', 'Use the first and the last output alone.')
  const { b } = c
  const sum = b.add(c.inputs[0]!, c.inputs[1]!)
  const whole = bias ? b.add(sum, bias) : sum
  return [normalise(whole), undefined, undefined, whole]
}

function layerNormalised(b: GraphBuilder, x: Value, gamma: Value, beta: Value | undefined, epsilon: number): Value {
  const attributes = { axis: int(-1), epsilon: float(epsilon) }
  return b.one('LayerNormalization', beta ? [x, gamma, beta] : [x, gamma], attributes)
}

/** A key mask [B, S] (not 0: counts) as something to add to scores [B, H, S, S]; other forms are refused. */
function keyMask(b: GraphBuilder, mask: Value | undefined): Value[] {
  if (!mask) return []
  if (mask.shape.length !== 2)
    throw unsupported(`a mask of rank ${mask.shape.length} is not supported`, 'Use a mask [batch, length] or none.')
  return [
    additive(
      b,
      b.reshape(mask.dtype === 'float32' ? b.cast(mask, 'bool') : mask, [mask.shape[0]!, 1, 1, mask.shape[1]!]),
    ),
  ]
}

/** Softmax attention over heads that lie in the last axis of q, k, v [B, S, H·D]. */
function heads(c: LowerContext, qkv: readonly [Value, Value, Value], masks: Value[]): Value {
  const { b, attributes } = c
  const count = intOf(attributes, 'num_heads', 0)
  const [q, k, v] = qkv.map((x) => splitHeads(b, x, count)) as [Value, Value, Value]
  if (intOf(attributes, 'unidirectional', 0)) masks.push(causalMask(b, q.shape[2]!, k.shape[2]!))
  // 0 stands for the usual scale.
  const scale = floatOf(attributes, 'scale', 0) || 1 / Math.sqrt(q.shape[3]!)
  return joinHeads(b, attend(b, [q, k, v], { scale, masks }))
}

/** An activation that an optimiser fused into the node before it. */
function activated(c: LowerContext, x: Value): Value {
  const name = stringOf(c.attributes, 'activation', '')
  if (!name) return x
  const params = c.attributes.activation_params
  const list = params?.type === 'floats' ? params.value : []
  if (['Relu', 'Sigmoid', 'Tanh'].includes(name)) return c.b.one(name, [x])
  const alpha = list[0] ?? floatOf(c.attributes, 'activation_alpha', name === 'HardSigmoid' ? 0.2 : 0.01)
  const beta = list[1] ?? floatOf(c.attributes, 'activation_beta', 0.5)
  if (name === 'LeakyRelu') return c.b.one(name, [x], { alpha: float(alpha) })
  if (name === 'Clip') return c.b.one(name, [x, c.b.scalar(alpha), c.b.scalar(beta)])
  if (name === 'HardSigmoid')
    return c.b.one('Clip', [c.b.add(c.b.scale(x, alpha), c.b.scalar(beta)), c.b.scalar(0), c.b.scalar(1)])
  throw unsupported(`the fused activation '${name}' is not supported`, 'Export the model before optimising it.')
}

/**
 * ONNX Runtime's own operators (domain com.microsoft) that exporters and its optimiser write, as what they are made of
 * (onnxruntime/docs/ContribOperators.md).
 */
export const contrib: Record<string, Operator> = {
  FusedMatMul: matmul.FusedMatMul!,
  Gelu: activation.Gelu!,
  BiasGelu: { lower: (c) => gelu(c, c.b.add(c.inputs[0]!, c.inputs[1]!), false) },
  FastGelu: { lower: (c) => gelu(c, c.inputs[1] ? c.b.add(c.inputs[0]!, c.inputs[1]) : c.inputs[0]!, true) },
  QuickGelu: {
    lower: ({ b, attributes, inputs: [x] }) => [
      b.mul(x!, b.one('Sigmoid', [b.scale(x!, floatOf(attributes, 'alpha', 1.702))])),
    ],
  },
  SkipLayerNormalization: {
    lower: (c) =>
      skip(c, c.inputs[4], (x) =>
        layerNormalised(c.b, x, c.inputs[2]!, c.inputs[3], floatOf(c.attributes, 'epsilon', 1e-12)),
      ),
  },
  SkipSimplifiedLayerNormalization: {
    lower: (c) =>
      skip(c, c.inputs[3], (x) => normalisation.RMSNormalization!.lower!({ ...c, inputs: [x, c.inputs[2]] })[0]!),
  },
  RotaryEmbedding: {
    lower: (c) => {
      const [x, ids, cos, sin] = c.inputs as [Value, Value, Value, Value]
      if (floatOf(c.attributes, 'scale', 1) !== 1) throw unsupported('a scale other than 1 is not supported', 'Use 1.')
      // One position id is where the first of the sequence stands.
      const length = x.shape.length === 3 ? x.shape[1]! : x.shape[2]!
      const { b } = c
      const count = () =>
        b.constant({ dtype: 'int64', shape: [1, length], data: BigInt64Array.from({ length }, (_, i) => BigInt(i)) })
      const at = ids.shape.length === 1 ? b.add(count(), b.reshape(ids, [1, 1])) : ids
      return rotary(c, x, at, cos, sin)
    },
  },
  MultiHeadAttention: {
    lower: (c) => {
      const [q, k, v, bias, mask, added, pastKey, pastValue] = c.inputs as [Value, ...(Value | undefined)[]]
      noCache(pastKey, pastValue)
      if (!k || !v || q.shape.length !== 3 || k.shape.length !== 3)
        throw unsupported('packed queries, keys and values are not supported', 'Give three inputs [B, S, H·D].')
      const { b } = c
      let at = 0
      const biased = (x: Value) => {
        const from = at
        at += x.shape[2]!
        return bias ? b.add(x, b.slice(bias, [0], [from], [at])) : x
      }
      const masks = [...keyMask(b, mask), ...(added ? [added] : [])]
      return [heads(c, [biased(q), biased(k), biased(v)], masks)]
    },
  },
  Attention: {
    lower: (c) => {
      const [x, weight, bias, mask, past, added] = c.inputs as [Value, Value, ...(Value | undefined)[]]
      noCache(past, c.inputs[6])
      if (intOf(c.attributes, 'do_rotary', 0)) throw unsupported('do_rotary is not supported', 'Use RotaryEmbedding.')
      const { b } = c
      const given = c.attributes.qkv_hidden_sizes
      const third = weight.shape[1]! / 3
      const sizes = given?.type === 'ints' ? given.value : [third, third, third]
      const projected = b.matmul(x, weight)
      const all = bias ? b.add(projected, bias) : projected
      const [q, k, v] = b.emit('Split', [all, b.ints(sizes)], { axis: int(2) }) as [Value, Value, Value]
      return [heads(c, [q, k, v], [...keyMask(b, mask), ...(added ? [added] : [])])]
    },
  },
  FusedConv: {
    lower: (c) => {
      const [x, w, bias, added] = c.inputs as [Value, Value, Value | undefined, Value | undefined]
      const y = convolution.Conv!.lower!({ ...c, inputs: [x, w, bias] })[0]!
      return [activated(c, added ? c.b.add(y, added) : y)]
    },
  },
  FusedGemm: {
    lower: (c) => {
      const { alpha, beta, transA, transB } = c.attributes
      const plain = Object.entries({ alpha, beta, transA, transB }).filter(([, a]) => a)
      return [activated(c, c.b.one('Gemm', c.inputs, Object.fromEntries(plain) as LowerContext['attributes']))]
    },
  },
}
