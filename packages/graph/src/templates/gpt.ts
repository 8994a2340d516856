import { PinGoError } from '@pingo/wire'
import { float, int, ints, type Model } from '../model.ts'
import { tensorOf } from '../tensors.ts'
import { Draft } from './draft.ts'

export interface GptOptions {
  vocabulary: number
  /** Tokens of a sample. */
  context: number
  layers?: number
  heads?: number
  width?: number
  seed?: number
}

/** GPT-2's initial standard deviation (Radford et al. 2019). */
const STD = 0.02
const SQRT_HALF = Math.SQRT1_2
const MASKED = -1e9

/**
 * A GPT: learned positions, pre-LayerNorm blocks, GELU, causal attention, the head tied to the token embedding.
 * `input` int64 [batch, context] → `output` [batch, context, vocabulary] (logits).
 */
export function gpt({ vocabulary, context, layers = 4, heads = 4, width = 128, seed = 0 }: GptOptions): Model {
  if (width % heads !== 0)
    throw new PinGoError(
      'TEMPLATE_INVALID',
      `The template gpt wants a width (${width}) that its heads (${heads}) divide.`,
    )
  const d = new Draft(seed)
  const tokens = d.node('Gather', [d.normal('token.weight', [vocabulary, width], STD), 'input'], 'tokens', {
    axis: int(0),
  })
  let x = d.node('Add', [tokens, d.normal('position.weight', [context, width], STD)], 'embedded')
  const mask = Array.from({ length: context * context }, (_, i) => (i % context > Math.floor(i / context) ? MASKED : 0))
  d.tensor('causal', tensorOf('float32', [context, context], mask))
  d.ints('split_heads', [0, 0, heads, width / heads])
  d.ints('join_heads', [0, 0, width])
  const residual = STD / Math.sqrt(2 * layers)
  for (let i = 0; i < layers; i++) {
    const name = `block${i + 1}`
    x = d.node(
      'Add',
      [x, attention(d, norm(d, x, `${name}.norm1`, width), `${name}.attention`, width, heads, residual)],
      `${name}.attended`,
    )
    const hidden = linear(d, norm(d, x, `${name}.norm2`, width), `${name}.up`, width, 4 * width, STD)
    x = d.node(
      'Add',
      [x, linear(d, gelu(d, hidden, `${name}.gelu`), `${name}.down`, 4 * width, width, residual)],
      `${name}.out`,
    )
  }
  x = norm(d, x, 'norm', width)
  d.node('MatMul', [x, d.node('Transpose', ['token.weight'], 'head', { perm: ints([1, 0]) })], 'output')
  return d.model(
    'gpt',
    [{ name: 'input', dtype: 'int64', shape: ['batch', context] }],
    [{ name: 'output', dtype: 'float32', shape: ['batch', context, vocabulary] }],
  )
}

function norm(d: Draft, x: string, name: string, width: number): string {
  const inputs = [x, d.filled(`${name}.weight`, [width], 1), d.filled(`${name}.bias`, [width], 0)]
  return d.node('LayerNormalization', inputs, `${name}.out`, { axis: int(-1), epsilon: float(1e-5) })
}

function linear(d: Draft, x: string, name: string, from: number, to: number, std: number): string {
  const product = d.node('MatMul', [x, d.normal(`${name}.weight`, [from, to], std)], `${name}.product`)
  return d.node('Add', [product, d.filled(`${name}.bias`, [to], 0)], `${name}.out`)
}

function attention(d: Draft, x: string, name: string, width: number, heads: number, std: number): string {
  const part = (which: string, perm: number[]) => {
    const split = d.node(
      'Reshape',
      [linear(d, x, `${name}.${which}`, width, width, STD), 'split_heads'],
      `${name}.${which}.heads`,
    )
    return d.node('Transpose', [split], `${name}.${which}.split`, { perm: ints(perm) })
  }
  const [q, k, v] = [part('query', [0, 2, 1, 3]), part('key', [0, 2, 3, 1]), part('value', [0, 2, 1, 3])]
  const scale = d.filled(`pingo.fixed/${name}.scale`, [], 1 / Math.sqrt(width / heads))
  const scores = d.node('Mul', [d.node('MatMul', [q, k], `${name}.scores`), scale], `${name}.scaled`)
  const weights = d.node('Softmax', [d.node('Add', [scores, 'causal'], `${name}.masked`)], `${name}.weights`, {
    axis: int(-1),
  })
  const mixed = d.node('Transpose', [d.node('MatMul', [weights, v], `${name}.mixed`)], `${name}.mixed.back`, {
    perm: ints([0, 2, 1, 3]),
  })
  return linear(d, d.node('Reshape', [mixed, 'join_heads'], `${name}.joined`), `${name}.project`, width, width, std)
}

/** Exact GELU, x/2 (1 + erf(x/√2)), spelt out because ONNX has no operator for it before opset 20. */
function gelu(d: Draft, x: string, name: string): string {
  const fixed = (label: string, value: number) => d.filled(`pingo.fixed/${label}`, [], value)
  const erf = d.node('Erf', [d.node('Mul', [x, fixed('sqrt_half', SQRT_HALF)], `${name}.scaled`)], `${name}.erf`)
  const half = d.node('Mul', [d.node('Add', [erf, fixed('one', 1)], `${name}.one`), fixed('half', 0.5)], `${name}.cdf`)
  return d.node('Mul', [x, half], `${name}.out`)
}
