import { int, ints } from '../model.ts'
import { tensorOf } from '../tensors.ts'
import { type Activation, activate } from './activation.ts'
import { dropped, linear } from './basic.ts'
import type { Initial } from './initial.ts'
import { badSetting, type Layer, layer, misfit, type Net, numbersOnly, type Signal, whole } from './net.ts'
import { layerNormed, rmsNormed } from './normalisation.ts'

/** What a masked score is lowered by. */
const MASKED = -1e9
/** GPT-2's and BERT's initial standard deviation (Radford et al. 2019, Devlin et al. 2018). */
const USUAL: Initial = { normal: 0.02 }
/** Base of the angles of Su et al. 2021. */
const ROTARY_BASE = 10_000

export interface AttentionOptions {
  /** Must divide the width. */
  heads: number
  /** True: a token sees none behind itself. Default false. */
  causal?: boolean
  /** True: queries and keys are turned by their position (Su et al. 2021); no positionalEmbedding() is needed then. Default false. */
  rotary?: boolean
  /** Default true. */
  bias?: boolean
  /** Part of the attention weights dropped while training. Default 0. */
  dropout?: number
  /** Default: normal, 0.02. */
  initial?: Initial
  /** Of the last projection. Default: `initial`. */
  outputInitial?: Initial
  name?: string
}

/**
 * Multi-head self-attention (Vaswani et al. 2017): [tokens, width] → [tokens, width]. Weights under `NAME.query`, `.key`, `.value` and
 * `.project`, each `weight` [width, width] and `bias` [width].
 */
export const attention = (o: AttentionOptions): Layer =>
  layer('attention', o.name, (net, x, name) => attended(net, x, name, o))

function attended(net: Net, x: Signal, name: string, o: AttentionOptions): Signal {
  const { heads, initial = USUAL } = o
  const [tokens, width] = sequenceOf(x, name)
  whole(name, 'its number of heads', heads)
  if (width % heads) throw misfit(name, x, `a width that ${heads} heads divide`, `Choose heads that divide ${width}.`)
  const size = width / heads
  if (o.rotary && size % 2)
    throw badSetting(name, `a head is ${size} wide`, 'rotary turns pairs: let heads be even wide.')
  const part = (which: string, perm: number[]) => {
    const { value } = linear(net, x, `${name}.${which}`, width, initial, o.bias)
    const split = net.node('Reshape', [value, net.list(0, 0, heads, size)], `${name}.${which}.heads`)
    return net.node('Transpose', [split], `${name}.${which}.split`, { perm: ints(perm) })
  }
  let query = part('query', [0, 2, 1, 3])
  let key = part('key', o.rotary ? [0, 2, 1, 3] : [0, 2, 3, 1])
  const value = part('value', [0, 2, 1, 3])
  if (o.rotary) {
    query = rotated(net, query, `${name}.query`, tokens, size)
    key = net.node('Transpose', [rotated(net, key, `${name}.key`, tokens, size)], `${name}.key.turned`, {
      perm: ints([0, 1, 3, 2]),
    })
  }
  const product = net.node('MatMul', [query, key], `${name}.scores`)
  let scores = net.node('Mul', [product, net.scalar(1 / Math.sqrt(size))], `${name}.scaled`)
  if (o.causal) scores = net.node('Add', [scores, causalMask(net, tokens)], `${name}.masked`)
  const soft = net.node('Softmax', [scores], `${name}.weights`, { axis: int(-1) })
  const weights = dropped(net, { ...x, value: soft }, `${name}.dropout`, o.dropout ?? 0).value
  const mixed = net.node('MatMul', [weights, value], `${name}.mixed`)
  const back = net.node('Transpose', [mixed], `${name}.mixed.back`, { perm: ints([0, 2, 1, 3]) })
  const joined = net.node('Reshape', [back, net.list(0, 0, width)], `${name}.joined`)
  return linear(net, { ...x, value: joined }, `${name}.project`, width, o.outputInitial ?? initial, o.bias)
}

/** [tokens, tokens]: 0 up to the token itself, a very low number behind it. */
const causalMask = (net: Net, tokens: number) =>
  net.fixed(`causal/${tokens}`, () => {
    const late = (i: number) => i % tokens > Math.floor(i / tokens)
    return tensorOf(
      'float32',
      [tokens, tokens],
      Float32Array.from({ length: tokens * tokens }, (_, i) => (late(i) ? MASKED : 0)),
    )
  })

/** x cos + (−second half, first half) sin, per position and pair of a head: [N, heads, tokens, size]. */
function rotated(net: Net, x: string, name: string, tokens: number, size: number): string {
  const half = size / 2
  const table = (label: 'cos' | 'sin') =>
    net.fixed(`rotary/${label}_${tokens}_${size}`, () => {
      const angle = (i: number) => Math.floor(i / size) / ROTARY_BASE ** (((i % size) % half) / half)
      return tensorOf(
        'float32',
        [tokens, size],
        Float32Array.from({ length: tokens * size }, (_, i) => Math[label](angle(i))),
      )
    })
  const slice = (from: number, to: number, label: string) =>
    net.node('Slice', [x, net.list(from), net.list(to), net.list(3)], `${name}.${label}`)
  const [first, second] = [slice(0, half, 'first'), slice(half, size, 'second')]
  const turned = net.node('Concat', [net.node('Neg', [second], `${name}.negative`), first], `${name}.half`, {
    axis: int(3),
  })
  const along = net.node('Mul', [x, table('cos')], `${name}.along`)
  return net.node('Add', [along, net.node('Mul', [turned, table('sin')], `${name}.across`)], `${name}.rotated`)
}

export interface TransformerBlockOptions extends AttentionOptions {
  /** Width of the inner layer. Default: 4 times the width. */
  hidden?: number
  /** Default gelu. */
  activation?: Activation
  /** Default layer. */
  norm?: 'layer' | 'rms'
}

/**
 * A pre-norm transformer block: x + attention(norm(x)), then x + down(activation(up(norm(x)))): [tokens, width] → [tokens, width].
 * Weights under `NAME.norm1`, `.attention`, `.norm2`, `.up` and `.down`. `dropout` acts on the attention weights and behind both parts.
 */
export const transformerBlock = (o: TransformerBlockOptions): Layer =>
  layer('block', o.name, (net, x, name) => {
    const { initial = USUAL, outputInitial = initial, dropout = 0, bias } = o
    const [, width] = sequenceOf(x, name)
    const norm = o.norm === 'rms' ? rmsNormed : layerNormed
    const add = (past: Signal, part: Signal, label: string): Signal => {
      const kept = dropped(net, part, `${name}.${label}.dropout`, dropout)
      return { ...past, value: net.node('Add', [past.value, kept.value], `${name}.${label}`) }
    }
    const middle = add(x, attended(net, norm(net, x, `${name}.norm1`), `${name}.attention`, o), 'attended')
    const up = linear(net, norm(net, middle, `${name}.norm2`), `${name}.up`, o.hidden ?? 4 * width, initial, bias)
    const bent = activate(net, up, `${name}.${o.activation ?? 'gelu'}`, o.activation ?? 'gelu')
    return add(middle, linear(net, bent, `${name}.down`, width, outputInitial, bias), 'out')
  })

function sequenceOf(x: Signal, name: string): [tokens: number, width: number] {
  numbersOnly(name, x)
  if (x.shape.length !== 2)
    throw misfit(
      name,
      x,
      'a sequence [tokens, width]',
      'Put embedding(), patchEmbedding() or reshape([tokens, width]) in front.',
    )
  return x.shape as [number, number]
}
