import { type Attributes, float, int, ints, string } from '../model.ts'
import { tensorOf } from '../tensors.ts'
import { constants, type SingleCase } from './single.ts'
import { reduce, resize, unary } from './single-makers.ts'

const { ints: list, floats, bools } = constants

const small = (...ops: string[]): SingleCase[] =>
  ops.map((op) => ({ op, inputs: [[2, 3]], small: true, epsilon: 4e-3 }))
const recurrent = (
  op: string,
  gates: number,
  attributes: Attributes = {},
  directions = 1,
  more: SingleCase['inputs'] = [],
): SingleCase => ({
  op,
  inputs: [[3, 2, 2], [directions, gates * 3, 2], [directions, gates * 3, 3], [directions, 2 * gates * 3], ...more],
  attributes: { hidden_size: int(3), ...attributes },
  outputs: op === 'LSTM' ? 3 : 2,
})
const direction = (name: string) => ({ direction: string(name) })
const activations = (...value: string[]): Attributes => ({ activations: { type: 'strings', value } })
const heads = (n: number) => ({ num_heads: int(n) })
const contrib = (op: string, inputs: SingleCase['inputs'], attributes: Attributes = {}): SingleCase => ({
  op,
  domain: 'com.microsoft',
  inputs,
  attributes,
})
const lengths = tensorOf('int32', [2], [3, 2])
const scores = { reduction: string('mean') }

/** Operators that are written with others, and rarer ones: compared with central differences, and with onnxruntime's own kernels. */
export const rareCases: SingleCase[] = [
  ...unary('Atan', 'Sinh', 'Cosh', 'Asinh'),
  ...small('Tan', 'Asin', 'Acos', 'Atanh'),
  { op: 'Acosh', inputs: [[2, 3]], positive: true, shift: 1 },
  { op: 'Shrink', inputs: [[3, 4]], attributes: { lambd: float(0.4), bias: float(0.1) }, epsilon: 1e-4 },
  { op: 'Mod', inputs: [[2, 3], { ...floats(0.7), shape: [] }], attributes: { fmod: int(1) }, epsilon: 1e-4 },
  { op: 'Mod', inputs: [floats(2.5, -1.3, 4.1), [3]], attributes: { fmod: int(1) }, positive: true, epsilon: 1e-4 },
  ...reduce('ReduceProd', 1),
  ...reduce('ReduceProd', 0, -1),
  { op: 'TopK', inputs: [[3, 5], list(2)], spare: 1, epsilon: 1e-3 },
  { op: 'TopK', inputs: [[5, 2], list(3)], attributes: { axis: int(0), largest: int(0) }, spare: 1, epsilon: 1e-3 },
  {
    op: 'GatherND',
    inputs: [[2, 3, 2], tensorOf('int64', [2, 2, 1], [0, 2, 1, 1])],
    attributes: { batch_dims: int(1) },
  },
  ...['max', 'min'].map(
    (how): SingleCase => ({
      op: 'ScatterElements',
      inputs: [[3, 2], tensorOf('int64', [2, 2], [0, 2, 0, 0]), [2, 2]],
      attributes: { reduction: string(how) },
      opset: 18,
      epsilon: 1e-3,
    }),
  ),
  { op: 'Compress', inputs: [[3, 4], bools([3], 1, 0, 1)], attributes: { axis: int(0) } },
  { op: 'Compress', inputs: [[2, 2], bools([4], 0, 1, 1, 0)] },
  { op: 'ReverseSequence', inputs: [[3, 2, 2], tensorOf('int64', [2], [3, 2])] },
  {
    op: 'MaxUnpool',
    inputs: [[1, 1, 2, 2], tensorOf('int64', [1, 1, 2, 2], [0, 3, 9, 14])],
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
  },
  { op: 'LRN', inputs: [[2, 5, 2, 2]], attributes: { size: int(3), alpha: float(0.3) } },
  { op: 'LpPool', inputs: [[1, 2, 5]], attributes: { kernel_shape: ints([3]), p: int(3) }, positive: true, opset: 18 },
  {
    op: 'LpPool',
    inputs: [[1, 2, 4, 4]],
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
    opset: 18,
  },
  { op: 'GlobalLpPool', inputs: [[2, 2, 3, 2]] },
  { op: 'MeanVarianceNormalization', inputs: [[2, 3, 2, 2]] },
  { op: 'CenterCropPad', inputs: [[3, 4], list(5, 3)], opset: 18 },
  { op: 'Col2Im', inputs: [[1, 8, 6], list(3, 4), list(2, 2)], opset: 18 },
  {
    op: 'Col2Im',
    inputs: [[1, 4, 6], list(4, 5), list(2, 2)],
    attributes: { strides: ints([2, 2]), pads: ints([0, 1, 0, 0]) },
    opset: 18,
  },
  {
    op: 'SoftmaxCrossEntropyLoss',
    inputs: [[3, 4], tensorOf('int64', [3], [1, 3, 0]), floats(1, 2, 0.5, 1.5)],
    attributes: scores,
  },
  {
    op: 'SoftmaxCrossEntropyLoss',
    inputs: [[2, 3, 2], tensorOf('int64', [2, 2], [1, -1, 0, 2])],
    attributes: { ...scores, ignore_index: int(-1) },
  },
  {
    op: 'NegativeLogLikelihoodLoss',
    inputs: [[2, 3, 2], tensorOf('int64', [2, 2], [1, 1, 0, 2])],
    attributes: { reduction: string('sum') },
  },
  {
    op: 'NegativeLogLikelihoodLoss',
    inputs: [[3, 4], tensorOf('int64', [3], [1, 3, 0])],
    attributes: { reduction: string('none') },
  },
  recurrent('RNN', 1),
  recurrent('RNN', 1, { ...direction('reverse'), ...activations('Softsign') }, 1, [undefined, [1, 2, 3]]),
  recurrent(
    'RNN',
    1,
    {
      ...direction('bidirectional'),
      ...activations('Affine', 'ScaledTanh'),
      activation_alpha: { type: 'floats', value: [0.5, 1.2] },
      activation_beta: { type: 'floats', value: [0.1, 0.8] },
    },
    2,
    [lengths],
  ),
  recurrent('GRU', 3),
  recurrent('GRU', 3, { linear_before_reset: int(1) }, 1, [undefined, [1, 2, 3]]),
  recurrent('GRU', 3, { ...direction('bidirectional'), linear_before_reset: int(1) }, 2, [lengths, [2, 2, 3]]),
  recurrent('LSTM', 4),
  recurrent('LSTM', 4, direction('reverse'), 1, [lengths, [1, 2, 3], [1, 2, 3]]),
  recurrent('LSTM', 4, direction('bidirectional'), 2, [undefined, [2, 2, 3], [2, 2, 3]]),
  recurrent('LSTM', 4, { layout: int(1) }, 1, [undefined, [3, 1, 3], [3, 1, 3]]),
  {
    op: 'Attention',
    inputs: [
      [1, 2, 3, 2],
      [1, 2, 4, 2],
      [1, 2, 4, 3],
    ],
    opset: 23,
  },
  {
    op: 'Attention',
    inputs: [
      [2, 3, 8],
      [2, 3, 4],
      [2, 3, 4],
      [3, 3],
    ],
    attributes: { q_num_heads: int(4), kv_num_heads: int(2), is_causal: int(1), scale: float(0.4) },
    opset: 23,
  },
  {
    op: 'Attention',
    inputs: [[1, 1, 3, 2], [1, 1, 3, 2], [1, 1, 3, 2], bools([3, 3], 1, 0, 1, 1, 1, 0, 0, 1, 1)],
    opset: 23,
  },
  {
    op: 'Attention',
    inputs: [
      [1, 1, 3, 2],
      [1, 1, 3, 2],
      [1, 1, 3, 2],
    ],
    attributes: { softcap: float(0.7) },
    opset: 23,
  },
  { op: 'RotaryEmbedding', inputs: [[1, 2, 3, 4], [5, 2], [5, 2], tensorOf('int64', [1, 3], [4, 0, 1])], opset: 23 },
  {
    op: 'RotaryEmbedding',
    inputs: [
      [2, 3, 12],
      [2, 3, 2],
      [2, 3, 2],
    ],
    attributes: { interleaved: int(1), rotary_embedding_dim: int(4), ...heads(2) },
    opset: 23,
  },
  {
    op: 'GridSample',
    inputs: [
      [2, 2, 3, 4],
      [2, 2, 3, 2],
    ],
    small: true,
    epsilon: 1e-3,
  },
  {
    op: 'GridSample',
    inputs: [
      [1, 2, 3, 3],
      [1, 2, 2, 2],
    ],
    attributes: { padding_mode: string('border'), align_corners: int(1), mode: string('linear') },
    opset: 20,
    epsilon: 1e-3,
  },
  {
    op: 'GridSample',
    inputs: [[1, 2, 3, 3], tensorOf('float32', [1, 2, 2, 2], [0.1, -0.9, 0.4, 1.4, -0.3, 0.2, 0.7, -0.6])],
    attributes: { mode: string('nearest') },
  },
  { op: 'AffineGrid', inputs: [[2, 2, 3], list(2, 1, 3, 4)], opset: 20 },
  { op: 'AffineGrid', inputs: [[1, 3, 4], list(1, 1, 2, 3, 2)], attributes: { align_corners: int(1) }, opset: 20 },
  { op: 'Pad', inputs: [[2, 4], list(1, 3, 1, 4)], attributes: { mode: string('wrap') }, opset: 19 },
  contrib('Gelu', [[2, 3]]),
  contrib('BiasGelu', [[2, 3], [3]]),
  contrib('FastGelu', [[2, 3], [3]]),
  contrib('QuickGelu', [[2, 3]]),
  { op: 'SimplifiedLayerNormalization', inputs: [[2, 4], [4]] },
  contrib('SkipLayerNormalization', [[2, 2, 4], [2, 2, 4], [4], [4], [4]]),
  contrib('SkipSimplifiedLayerNormalization', [[2, 2, 4], [2, 2, 4], [4], [4]]),
  contrib('RotaryEmbedding', [[1, 3, 8], scalarIds(2), [5, 2], [5, 2]]),
  contrib('MultiHeadAttention', [[2, 3, 4], [2, 2, 4], [2, 2, 6], [14], undefined, [1, 1, 3, 2]], heads(2)),
  contrib('Attention', [[2, 3, 4], [4, 12], [12], tensorOf('int32', [2, 3], [1, 1, 0, 1, 1, 1])], {
    ...heads(2),
    unidirectional: int(1),
  }),
  contrib(
    'FusedMatMul',
    [
      [2, 3, 2],
      [2, 3, 4],
    ],
    { transA: int(1), alpha: float(0.5) },
  ),
  contrib('FusedConv', [[1, 2, 4], [3, 2, 2], [3]], { activation: string('Tanh') }),
  contrib('FusedGemm', [[2, 3], [4, 3], [4]], { transB: int(1), activation: string('Sigmoid') }),
  resize([1, 2, 3, 3], [1, 1, 2, 2], { mode: string('cubic') }),
  resize([1, 1, 4, 4], [1, 1, 0.5, 0.75], { mode: string('cubic'), antialias: int(1) }, 18),
  resize([1, 1, 3, 4], [1, 1, 2, 1.5], { mode: string('cubic'), exclude_outside: int(1), cubic_coeff_a: float(-0.5) }),
  resize([1, 1, 5, 6], [1, 1, 0.4, 0.5], { mode: string('linear'), antialias: int(1) }, 18),
  resize([2, 3, 4], [2, 1, 0.5], { mode: string('linear') }),
  resize([1, 1, 2, 3, 2], [1, 1, 2, 2, 2], {
    mode: string('linear'),
    coordinate_transformation_mode: string('align_corners'),
  }),
  {
    op: 'Resize',
    inputs: [[1, 2, 4], undefined, undefined, list(6)],
    attributes: { axes: ints([2]), mode: string('linear') },
    opset: 18,
  },
]

function scalarIds(start: number) {
  return tensorOf('int64', [1], [start])
}
