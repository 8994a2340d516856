/**
 * The models that benches and reference curves train, with weights that any framework can make again ({@link uniforms}): every tensor
 * of rank 2 and more is uniform within ±1/√fan-in (PyTorch's default for its layers), gains are 1, biases 0.
 */
import { type LossKind, type Model, templates, withWeights } from '@pingo/graph'
import { type BatchInput, type Optimizer, OptimizerSchema, sizeOf, type Tensor } from '@pingo/wire'
import { Draft } from '../../../graph/src/layers/draft.ts'
import { float, int, ints } from '../../../graph/src/model.ts'
import { uniforms } from './hashed.ts'

export interface BenchmarkModel {
  name: string
  model: Model
  loss: LossKind
  optimizer: Optimizer
  learningRate: number
  batch: number
  inputs: BatchInput[]
  /** Class ids below `classes`, one a sample or one a position. */
  target: BatchInput
  classes: number
}

const adam = OptimizerSchema.parse({ kind: 'adam' })
const adamw = (weightDecay: number): Optimizer => OptimizerSchema.parse({ kind: 'adamw', weightDecay })

const images = (shape: number[], classes = 10) => ({
  loss: 'cross_entropy' as const,
  inputs: [{ name: 'input', column: 'input', dtype: 'float32' as const, shape }],
  target: { name: 'target', column: 'target', dtype: 'int32' as const, shape: [] },
  classes,
})

const tokens = (context: number, vocabulary: number) => ({
  loss: 'cross_entropy' as const,
  inputs: [{ name: 'input', column: 'input', dtype: 'int32' as const, shape: [context] }],
  target: { name: 'target', column: 'target', dtype: 'int32' as const, shape: [context] },
  classes: vocabulary,
})

/** Model A: 784-512-256-10, ReLU, batch 128, Adam; 535,818 parameters. */
export const mlp = (): BenchmarkModel => ({
  name: 'mlp',
  model: hashedWeights(templates.mlp({ inputs: [784], classes: 10, hidden: [512, 256] })),
  optimizer: adam,
  learningRate: 1e-3,
  batch: 128,
  ...images([784]),
})

/** Model B: two 3×3 convolutions of 32 and 64 channels, each with ReLU and 2×2 max-pooling, 3136-128-10, batch 64, Adam; 421,642. */
export const cnn = (): BenchmarkModel => ({
  name: 'cnn',
  model: hashedWeights(templates.cnn({ shape: [1, 28, 28], classes: 10 })),
  optimizer: adam,
  learningRate: 1e-3,
  batch: 64,
  ...images([1, 28, 28]),
})

/** Model C: a GPT of 4 layers, width 128, 4 heads, context 64, vocabulary 65, tied head, batch 12, AdamW; 809,856. */
export const gpt = (): BenchmarkModel => ({
  name: 'gpt',
  model: hashedWeights(templates.gpt({ vocabulary: 65, context: 64 })),
  optimizer: adamw(0.1),
  learningRate: 1e-3,
  batch: 12,
  ...tokens(64, 65),
})

/** ResNet-18 for 32×32 images (He et al. 2016; a 3×3 stem without pooling), BatchNormalization, batch 16, momentum; 11,173,962. */
export function resnet18(): BenchmarkModel {
  const net = new Net()
  let x = net.normalised(net.conv('input', 'stem', 3, 64, 3, 1), 'stem.norm', 64)
  x = net.node('Relu', [x], 'stem.relu')
  let from = 64
  for (const [stage, width] of [64, 128, 256, 512].entries())
    for (const block of [0, 1]) {
      const name = `stage${stage + 1}.block${block + 1}`
      const stride = stage > 0 && block === 0 ? 2 : 1
      let y = net.normalised(net.conv(x, `${name}.conv1`, from, width, 3, stride), `${name}.norm1`, width)
      y = net.node('Relu', [y], `${name}.relu1`)
      y = net.normalised(net.conv(y, `${name}.conv2`, width, width, 3, 1), `${name}.norm2`, width)
      const short =
        stride === 1 && from === width
          ? x
          : net.normalised(net.conv(x, `${name}.short`, from, width, 1, stride), `${name}.norm3`, width)
      x = net.node('Relu', [net.node('Add', [y, short], `${name}.sum`)], `${name}.out`)
      from = width
    }
  x = net.node('Flatten', [net.node('GlobalAveragePool', [x], 'pooled')], 'flat', { axis: int(1) })
  net.node('Gemm', [x, net.weight('head.weight', [512, 10], 512), net.filled('head.bias', [10], 0)], 'output')
  return {
    name: 'resnet18',
    model: net.model(
      'resnet18',
      [{ name: 'input', dtype: 'float32', shape: ['batch', 3, 32, 32] }],
      [{ name: 'output', dtype: 'float32', shape: ['batch', 10] }],
    ),
    optimizer: OptimizerSchema.parse({ kind: 'sgd', momentum: 0.9, weightDecay: 5e-4 }),
    learningRate: 0.01,
    batch: 16,
    ...images([3, 32, 32]),
  }
}

/** Two LSTM layers of 256 over 64 tokens of 65, embedding 128, a dense head, batch 16, Adam; 946,625 with both of ONNX's biases. */
export function lstm(): BenchmarkModel {
  const [vocabulary, context, embedding, hidden] = [65, 64, 128, 256]
  const net = new Net()
  let x = net.node('Gather', [net.weight('token.weight', [vocabulary, embedding], vocabulary), 'input'], 'tokens', {
    axis: int(0),
  })
  x = net.node('Transpose', [x], 'time_first', { perm: ints([1, 0, 2]) })
  net.ints('direction', [1])
  for (const [i, width] of [embedding, hidden].entries()) {
    const name = `lstm${i + 1}`
    const weights = [
      net.weight(`${name}.input`, [1, 4 * hidden, width], hidden),
      net.weight(`${name}.recurrent`, [1, 4 * hidden, hidden], hidden),
      net.filled(`${name}.bias`, [1, 8 * hidden], 0),
    ]
    const y = net.node('LSTM', [x, ...weights], `${name}.states`, { hidden_size: int(hidden) })
    x = net.node('Squeeze', [y, 'direction'], `${name}.out`)
  }
  x = net.node('Transpose', [x], 'batch_first', { perm: ints([1, 0, 2]) })
  net.linear(x, 'head', hidden, vocabulary, 'output')
  return {
    name: 'lstm',
    model: net.model(
      'lstm',
      [{ name: 'input', dtype: 'int64', shape: ['batch', context] }],
      [{ name: 'output', dtype: 'float32', shape: ['batch', context, vocabulary] }],
    ),
    optimizer: adam,
    learningRate: 2e-3,
    batch: 16,
    ...tokens(context, vocabulary),
  }
}

/**
 * ViT-tiny (DeiT-Ti of Touvron et al. 2021 for 32×32 images): patches of 4, class token, width 192, 3 heads, 12 pre-norm layers with
 * one projection for query, key and value, erf GELU, batch 16, AdamW; 5,362,762.
 */
export function vitTiny(): BenchmarkModel {
  const [width, heads, layers, patches] = [192, 3, 12, 64]
  const net = new Net()
  net.ints('as_patches', [0, width, patches])
  let x = net.node('Reshape', [net.conv('input', 'patch', 3, width, 4, 4, 0, true), 'as_patches'], 'patches')
  x = net.node('Transpose', [x], 'patches.rows', { perm: ints([0, 2, 1]) })
  const first = net.node('Shape', [x], 'patches.batch', { start: int(0), end: int(1) })
  const size = net.node('Concat', [first, net.ints('one_token', [1, width])], 'class.shape', { axis: int(0) })
  const token = net.node('Expand', [net.weight('class.token', [1, 1, width], width), size], 'class.rows')
  x = net.node('Concat', [token, x], 'rows', { axis: int(1) })
  x = net.node('Add', [x, net.weight('position.weight', [1, patches + 1, width], width)], 'embedded')
  net.ints('split_heads', [0, 0, 3, heads, width / heads])
  net.ints('join_heads', [0, 0, width])
  for (let i = 0; i < layers; i++) {
    const name = `block${i + 1}`
    const mixed = net.attention(net.layerNorm(x, `${name}.norm1`, width), `${name}.attention`, width, heads)
    x = net.node('Add', [x, mixed], `${name}.attended`)
    const up = net.linear(net.layerNorm(x, `${name}.norm2`, width), `${name}.up`, width, 4 * width)
    const down = net.linear(net.gelu(up, `${name}.gelu`), `${name}.down`, 4 * width, width)
    x = net.node('Add', [x, down], `${name}.out`)
  }
  x = net.layerNorm(x, 'norm', width)
  x = net.node('Gather', [x, net.index('class.at', 0)], 'class', { axis: int(1) })
  net.node('Gemm', [x, net.weight('head.weight', [width, 10], width), net.filled('head.bias', [10], 0)], 'output')
  return {
    name: 'vit_tiny',
    model: net.model(
      'vit_tiny',
      [{ name: 'input', dtype: 'float32', shape: ['batch', 3, 32, 32] }],
      [{ name: 'output', dtype: 'float32', shape: ['batch', 10] }],
    ),
    optimizer: adamw(0.05),
    learningRate: 1e-4,
    batch: 16,
    ...images([3, 32, 32]),
  }
}

/** By name. */
export const benchmarkModels = { mlp, cnn, gpt, resnet18, lstm, vit_tiny: vitTiny }

/** Layers over {@link Draft}, with hashed weights. */
class Net extends Draft {
  weight(name: string, shape: number[], fanIn: number): string {
    return this.tensor(name, { dtype: 'float32', shape, data: uniforms(name, sizeOf(shape), 1 / Math.sqrt(fanIn)) })
  }

  index(name: string, value: number): string {
    return this.tensor(name, { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(value)) })
  }

  conv(
    x: string,
    name: string,
    from: number,
    to: number,
    kernel: number,
    stride: number,
    pad = kernel >> 1,
    bias = false,
  ): string {
    const weights = [this.weight(`${name}.weight`, [to, from, kernel, kernel], from * kernel * kernel)]
    if (bias) weights.push(this.filled(`${name}.bias`, [to], 0))
    return this.node('Conv', [x, ...weights], `${name}.out`, {
      kernel_shape: ints([kernel, kernel]),
      pads: ints([pad, pad, pad, pad]),
      strides: ints([stride, stride]),
    })
  }

  normalised(x: string, name: string, channels: number): string {
    const one = (which: string, value: number) => this.filled(`${name}.${which}`, [channels], value)
    const inputs = [x, one('weight', 1), one('bias', 0), one('mean', 0), one('variance', 1)]
    return this.node('BatchNormalization', inputs, `${name}.out`, { epsilon: float(1e-5), momentum: float(0.9) })
  }

  layerNorm(x: string, name: string, width: number): string {
    const inputs = [x, this.filled(`${name}.weight`, [width], 1), this.filled(`${name}.bias`, [width], 0)]
    return this.node('LayerNormalization', inputs, `${name}.out`, { axis: int(-1), epsilon: float(1e-5) })
  }

  linear(x: string, name: string, from: number, to: number, output = `${name}.out`): string {
    const product = this.node('MatMul', [x, this.weight(`${name}.weight`, [from, to], from)], `${name}.product`)
    return this.node('Add', [product, this.filled(`${name}.bias`, [to], 0)], output)
  }

  attention(x: string, name: string, width: number, heads: number): string {
    const joint = this.node(
      'Reshape',
      [this.linear(x, `${name}.qkv`, width, 3 * width), 'split_heads'],
      `${name}.heads`,
    )
    const part = (which: string, at: number, perm: number[]) => {
      const rows = this.node('Gather', [joint, this.index(`${name}.${which}.at`, at)], `${name}.${which}.rows`, {
        axis: int(2),
      })
      return this.node('Transpose', [rows], `${name}.${which}`, { perm: ints(perm) })
    }
    const [q, k, v] = [part('query', 0, [0, 2, 1, 3]), part('key', 1, [0, 2, 3, 1]), part('value', 2, [0, 2, 1, 3])]
    const scale = this.filled(`pingo.fixed/${name}.scale`, [], 1 / Math.sqrt(width / heads))
    const scores = this.node('Mul', [this.node('MatMul', [q, k], `${name}.scores`), scale], `${name}.scaled`)
    const shares = this.node('Softmax', [scores], `${name}.shares`, { axis: int(-1) })
    const mixed = this.node('Transpose', [this.node('MatMul', [shares, v], `${name}.mixed`)], `${name}.mixed.back`, {
      perm: ints([0, 2, 1, 3]),
    })
    return this.linear(this.node('Reshape', [mixed, 'join_heads'], `${name}.joined`), `${name}.project`, width, width)
  }

  gelu(x: string, name: string): string {
    const fixed = (label: string, value: number) => this.filled(`pingo.fixed/${label}`, [], value)
    const scaled = this.node('Mul', [x, fixed('sqrt_half', Math.SQRT1_2)], `${name}.scaled`)
    const sum = this.node('Add', [this.node('Erf', [scaled], `${name}.erf`), fixed('one', 1)], `${name}.one`)
    return this.node('Mul', [x, this.node('Mul', [sum, fixed('half', 0.5)], `${name}.cdf`)], `${name}.out`)
  }
}

/** A template with hashed weights in place of its normal ones; gains, biases and constants stay. */
function hashedWeights(model: Model): Model {
  const weights = new Map<string, Tensor>()
  for (const [name, { dtype, shape }] of model.graph.initializers)
    if (dtype === 'float32' && name.endsWith('.weight') && shape.length >= 2) {
      const fanIn = shape.length === 2 ? shape[0]! : sizeOf(shape.slice(1))
      weights.set(name, { dtype, shape, data: uniforms(name, sizeOf(shape), 1 / Math.sqrt(fanIn)) })
    }
  return withWeights(model, weights)
}
