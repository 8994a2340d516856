import assert from 'node:assert/strict'
import { test } from 'node:test'
import { supportedOperators } from './index.ts'
import { type Attributes, float, int, ints, string } from './model.ts'
import { contribOperators, operators } from './operators/index.ts'
import { tensorOf } from './tensors.ts'
import { rareCases } from './testing/rare-cases.ts'
import { constants, differences, type SingleCase } from './testing/single.ts'
import { reduce, resize, unary } from './testing/single-makers.ts'

/** Greatest relative distance of a float32 central difference from the true derivative. */
const TOLERANCE = 5e-3
const { ints: list, scalar, floats, bools } = constants

const positive = (...ops: string[]): SingleCase[] => ops.map((op) => ({ op, inputs: [[2, 3]], positive: true }))
const binary = (...ops: string[]): SingleCase[] =>
  ops.flatMap((op) => [
    {
      op,
      inputs: [
        [2, 3],
        [2, 3],
      ],
      positive: true,
    },
    {
      op,
      inputs: [
        [2, 1, 3],
        [4, 1],
      ],
      positive: true,
    },
    { op, inputs: [[1], [2, 2]], positive: true },
  ])
const conv = (x: number[], w: number[], attributes: Attributes = {}, bias = true): SingleCase => ({
  op: 'Conv',
  inputs: bias ? [x, w, [w[0]!]] : [x, w],
  attributes,
})
const transposed = (x: number[], w: number[], attributes: Attributes = {}): SingleCase => ({
  op: 'ConvTranspose',
  inputs: [x, w],
  attributes,
})
const pool = (op: string, x: number[], attributes: Attributes): SingleCase => ({
  op,
  inputs: [x],
  attributes,
  epsilon: 1e-3,
})
const cases: SingleCase[] = [
  ...unary(
    'Neg',
    'Abs',
    'Exp',
    'Sin',
    'Cos',
    'Erf',
    'Tanh',
    'Sigmoid',
    'Softplus',
    'Relu',
    'LeakyRelu',
    'Elu',
    'Selu',
    'Celu',
    'Softsign',
  ),
  ...unary('HardSigmoid', 'HardSwish', 'Mish', 'Identity', 'Dropout', 'ThresholdedRelu'),
  ...positive('Sqrt', 'Log', 'Reciprocal'),
  { op: 'Gelu', inputs: [[2, 3]], opset: 20 },
  { op: 'Gelu', inputs: [[2, 3]], opset: 20, attributes: { approximate: string('tanh') } },
  {
    op: 'PRelu',
    inputs: [
      [2, 3, 2],
      [3, 1],
    ],
    epsilon: 1e-3,
  },
  {
    op: 'Clip',
    inputs: [[3, 4], floats(-0.5), floats(0.7)].map((x) => (Array.isArray(x) ? x : { ...x, shape: [] })),
    epsilon: 1e-3,
  },
  { op: 'Clip', inputs: [[3, 4]], attributes: { min: float(-0.2) }, opset: 11, epsilon: 1e-3 },
  ...binary('Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow'),
  {
    op: 'Mod',
    inputs: [[2, 3], { ...floats(10), shape: [] }],
    attributes: { fmod: int(1) },
  },
  { op: 'Pow', inputs: [[2, 3], { ...floats(2), shape: [] }] },
  { op: 'Pow', inputs: [[2, 3], { ...floats(3), shape: [] }] },
  { op: 'Pow', inputs: [[2, 3], { ...floats(-1.5), shape: [] }], positive: true },
  { op: 'Sum', inputs: [[2, 3], [3], [1, 1]] },
  { op: 'Mean', inputs: [[2, 3], [3]] },
  { op: 'Where', inputs: [bools([2, 1], 1, 0), [2, 3], [3]] },
  {
    op: 'MatMul',
    inputs: [
      [2, 3],
      [3, 4],
    ],
  },
  {
    op: 'MatMul',
    inputs: [
      [2, 2, 3],
      [3, 2],
    ],
  },
  {
    op: 'MatMul',
    inputs: [
      [2, 2, 3],
      [1, 3, 2],
    ],
  },
  {
    op: 'MatMul',
    inputs: [
      [3, 2],
      [2, 2, 2],
    ],
  },
  { op: 'MatMul', inputs: [[3], [3, 2]] },
  { op: 'MatMul', inputs: [[2, 2, 3], [3]] },
  { op: 'MatMul', inputs: [[3], [3]] },
  ...[0, 1].flatMap((a) =>
    [0, 1].map(
      (b): SingleCase => ({
        op: 'Gemm',
        inputs: [a ? [3, 2] : [2, 3], b ? [4, 3] : [3, 4], a ? [4] : [2, 1]],
        attributes: { transA: int(a), transB: int(b), alpha: float(0.5), beta: float(1.5) },
      }),
    ),
  ),
  conv([2, 2, 5], [3, 2, 3]),
  conv([1, 1, 5, 4], [2, 1, 3, 3], { pads: ints([1, 1, 1, 1]) }),
  conv([1, 2, 6, 5], [2, 2, 3, 2], { strides: ints([2, 1]), pads: ints([1, 0, 0, 1]) }, false),
  conv([1, 40, 3, 3], [2, 40, 2, 2]),
  conv([1, 4, 5, 5], [4, 1, 3, 3], { group: int(4), dilations: ints([2, 1]), pads: ints([2, 1, 2, 1]) }),
  conv([2, 4, 4, 4], [6, 2, 2, 2], { group: int(2), strides: ints([2, 2]), auto_pad: string('SAME_UPPER') }),
  conv([1, 2, 5, 5], [2, 2, 2, 2], { auto_pad: string('SAME_LOWER'), strides: ints([3, 2]) }),
  conv([1, 1, 3, 3, 3], [2, 1, 2, 2, 2]),
  transposed([1, 2, 4], [2, 3, 3], { strides: ints([2]), pads: ints([1, 1]), output_padding: ints([1]) }),
  transposed([1, 2, 3, 3], [2, 2, 2, 3], { strides: ints([2, 2]) }),
  transposed([1, 4, 3, 2], [4, 1, 3, 3], { group: int(2), dilations: ints([1, 2]), pads: ints([1, 1, 0, 1]) }),
  transposed([1, 2, 3, 3], [2, 1, 3, 3], { strides: ints([2, 2]), output_shape: ints([6, 6]) }),
  transposed([1, 2, 3, 3], [2, 1, 3, 3], { strides: ints([2, 2]), auto_pad: string('SAME_UPPER') }),
  pool('MaxPool', [1, 2, 5, 4], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  pool('MaxPool', [1, 2, 5, 5], { kernel_shape: ints([3, 2]), strides: ints([2, 1]), pads: ints([1, 0, 1, 1]) }),
  pool('MaxPool', [1, 2, 6, 5], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), ceil_mode: int(1) }),
  pool('MaxPool', [1, 1, 7], { kernel_shape: ints([2]), dilations: ints([2]), auto_pad: string('VALID') }),
  pool('AveragePool', [1, 2, 4, 5], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  pool('AveragePool', [1, 2, 5, 5], { kernel_shape: ints([3, 3]), strides: ints([2, 1]), pads: ints([1, 1, 1, 1]) }),
  pool('AveragePool', [1, 2, 5, 5], {
    kernel_shape: ints([3, 3]),
    strides: ints([2, 2]),
    pads: ints([1, 1, 1, 1]),
    count_include_pad: int(1),
  }),
  pool('AveragePool', [1, 2, 6, 5], { kernel_shape: ints([3, 2]), strides: ints([2, 2]), ceil_mode: int(1) }),
  pool('GlobalAveragePool', [2, 2, 3, 3], {}),
  pool('GlobalMaxPool', [2, 2, 3], {}),
  { op: 'BatchNormalization', inputs: [[4, 3], [3], [3], floats(0, 0, 0), floats(1, 1, 1)] },
  { op: 'BatchNormalization', inputs: [[2, 2, 2, 3], [2], [2], floats(0, 0), floats(1, 1)] },
  { op: 'LayerNormalization', inputs: [[3, 4], [4], [4]] },
  {
    op: 'LayerNormalization',
    inputs: [
      [2, 3, 4],
      [3, 4],
    ],
    attributes: { axis: int(1) },
  },
  { op: 'InstanceNormalization', inputs: [[2, 2, 3, 2], [2], [2]] },
  { op: 'GroupNormalization', inputs: [[2, 4, 3], [4], [4]], attributes: { num_groups: int(2) }, opset: 21 },
  { op: 'GroupNormalization', inputs: [[2, 4, 3], [2], [2]], attributes: { num_groups: int(2) }, opset: 18 },
  { op: 'RMSNormalization', inputs: [[3, 4], [4]], opset: 23 },
  { op: 'LpNormalization', inputs: [[3, 4]], attributes: { axis: int(1) } },
  { op: 'Softmax', inputs: [[2, 3, 2]], attributes: { axis: int(1) } },
  { op: 'Softmax', inputs: [[2, 3, 2]], opset: 11 },
  { op: 'LogSoftmax', inputs: [[2, 3]] },
  { op: 'Reshape', inputs: [[2, 6], list(0, -1, 2)] },
  { op: 'Flatten', inputs: [[2, 3, 2]], attributes: { axis: int(2) } },
  { op: 'Squeeze', inputs: [[2, 1, 3]], attributes: { axes: ints([1]) }, opset: 12 },
  { op: 'Squeeze', inputs: [[1, 2, 1, 3]] },
  { op: 'Unsqueeze', inputs: [[2, 3], list(0, -1)] },
  { op: 'Unsqueeze', inputs: [[2, 3]], attributes: { axes: ints([1]) }, opset: 11 },
  { op: 'Transpose', inputs: [[2, 3, 2]], attributes: { perm: ints([2, 0, 1]) } },
  { op: 'Transpose', inputs: [[2, 3, 2]] },
  {
    op: 'Concat',
    inputs: [
      [2, 3],
      [2, 1],
      [2, 2],
    ],
    attributes: { axis: int(-1) },
  },
  { op: 'Concat', inputs: [floats(1, 2), [3]], attributes: { axis: int(0) } },
  { op: 'Split', inputs: [[2, 5], list(2, 3)], attributes: { axis: int(1) }, outputs: 2 },
  { op: 'Split', inputs: [[2, 4]], attributes: { axis: int(1) }, outputs: 2, opset: 11 },
  { op: 'Split', inputs: [[2, 5]], attributes: { axis: int(1), num_outputs: int(2) }, outputs: 2, opset: 18 },
  { op: 'Slice', inputs: [[4, 5], list(1, 0), list(3, 9)] },
  { op: 'Slice', inputs: [[5, 5], list(0, 4), list(5, -9), list(0, 1), list(2, -1)] },
  { op: 'Slice', inputs: [[3, 8], list(-2), list(-9), list(-1), list(-3)] },
  { op: 'Slice', inputs: [[2, 7], list(1), list(7), list(1), list(3)] },
  { op: 'Pad', inputs: [[2, 3], list(1, 0, 0, 2)] },
  { op: 'Pad', inputs: [[2, 4], list(0, -1, 1, 2)] },
  { op: 'Pad', inputs: [[2, 4], list(1, 3, 1, 2)], attributes: { mode: string('reflect') } },
  { op: 'Pad', inputs: [[2, 3], list(1, 0, 2, 2)], attributes: { mode: string('edge') } },
  { op: 'Pad', inputs: [[2, 3], list(1, 1), undefined, list(-1)], opset: 18 },
  { op: 'Expand', inputs: [[2, 1], list(3, 1, 4)] },
  { op: 'Tile', inputs: [[2, 3], list(2, 2)] },
  { op: 'DepthToSpace', inputs: [[1, 8, 2, 1]], attributes: { blocksize: int(2) } },
  { op: 'DepthToSpace', inputs: [[1, 8, 2, 1]], attributes: { blocksize: int(2), mode: string('CRD') } },
  { op: 'SpaceToDepth', inputs: [[1, 2, 4, 2]], attributes: { blocksize: int(2) } },
  { op: 'Gather', inputs: [[4, 3], tensorOf('int64', [2, 2], [0, 3, 3, 1])] },
  { op: 'Gather', inputs: [[2, 4, 3], tensorOf('int64', [2, 2], [0, 3, 3, 1])], attributes: { axis: int(1) } },
  { op: 'Gather', inputs: [[2, 4], scalar(-1)], attributes: { axis: int(1) } },
  { op: 'GatherElements', inputs: [[2, 3], tensorOf('int64', [2, 2], [0, 2, 1, 1])], attributes: { axis: int(1) } },
  { op: 'GatherND', inputs: [[2, 3, 2], tensorOf('int64', [2, 2], [0, 2, 1, 1])] },
  { op: 'ScatterND', inputs: [[4, 2], tensorOf('int64', [2, 1], [3, 1]), [2, 2]] },
  {
    op: 'ScatterND',
    inputs: [[4, 2], tensorOf('int64', [2, 1], [3, 3]), [2, 2]],
    attributes: { reduction: string('add') },
    opset: 18,
  },
  { op: 'ScatterElements', inputs: [[3, 2], tensorOf('int64', [2, 2], [0, 2, 1, 0]), [2, 2]] },
  ...[
    'ReduceSum',
    'ReduceMean',
    'ReduceMax',
    'ReduceMin',
    'ReduceProd',
    'ReduceL1',
    'ReduceL2',
    'ReduceSumSquare',
    'ReduceLogSum',
    'ReduceLogSumExp',
  ].flatMap((op) => [...reduce(op, 1), ...reduce(op, 0, -1), ...reduce(op)]),
  { op: 'CumSum', inputs: [[2, 4], scalar(1)] },
  { op: 'CumSum', inputs: [[3, 2], scalar(0)], attributes: { exclusive: int(1), reverse: int(1) } },
  { op: 'Trilu', inputs: [[3, 3]], attributes: { upper: int(0) } },
  { op: 'Trilu', inputs: [[2, 3, 4], scalar(1)] },
  ...['ij,jk->ik', 'ij,jk'].map(
    (e): SingleCase => ({
      op: 'Einsum',
      inputs: [
        [2, 3],
        [3, 2],
      ],
      attributes: { equation: string(e) },
    }),
  ),
  {
    op: 'Einsum',
    inputs: [
      [2, 3, 2],
      [2, 2, 2],
    ],
    attributes: { equation: string('bij,bjk->bk') },
    epsilon: 1e-3,
  },
  {
    op: 'Einsum',
    inputs: [
      [2, 2, 3],
      [4, 3],
    ],
    attributes: { equation: string('...i, ji -> ...j') },
  },
  { op: 'Einsum', inputs: [[2, 3]], attributes: { equation: string('ij->j') } },
  resize([1, 2, 2, 3], [1, 1, 2, 2], {
    mode: string('nearest'),
    coordinate_transformation_mode: string('asymmetric'),
    nearest_mode: string('floor'),
  }),
  resize([1, 1, 4, 3], [1, 1, 0.5, 1], { mode: string('nearest') }),
  resize([1, 1, 2, 3], [1, 1, 2, 1.5], { mode: string('linear') }),
  resize([1, 1, 2, 3], [1, 1, 2, 2], {
    mode: string('linear'),
    coordinate_transformation_mode: string('align_corners'),
  }),
  resize([1, 2, 3], [1, 1, 2], {
    mode: string('linear'),
    coordinate_transformation_mode: string('pytorch_half_pixel'),
  }),
  // Many channels over few positions: the gradient by the input is scattered.
  conv([2, 2, 2, 3], [48, 2, 3, 3], { pads: ints([1, 1, 1, 1]) }),
  conv([1, 2, 5, 4], [160, 2, 2, 1], { strides: ints([3, 2]), dilations: ints([2, 1]), pads: ints([1, 0, 0, 2]) }),
  conv([3, 2, 5], [40, 2, 3], { strides: ints([2]) }),
  conv([1, 3, 2, 2], [32, 3, 1, 1], {}, false),
]

/** Convolutions whose outputs are of the input's size: the gradient by the weights shifts whole images. */
const shiftedCases: SingleCase[] = [
  conv([2, 4, 5, 6], [3, 4, 3, 3], { pads: ints([1, 1, 1, 1]) }),
  conv([1, 5, 6, 7], [2, 5, 2, 4], { pads: ints([1, 1, 0, 2]) }, false),
  conv([1, 4, 6, 6], [2, 4, 3, 3], { pads: ints([2, 2, 2, 2]), dilations: ints([2, 2]) }),
  conv([2, 11, 9], [3, 11, 3], { pads: ints([1, 1]) }),
  conv([1, 2, 4, 3, 4], [2, 2, 3, 3, 3], { pads: ints([1, 1, 1, 1, 1, 1]) }),
]

for (const [i, single] of [...cases, ...rareCases, ...shiftedCases].entries()) {
  const shapes = single.inputs.map((x) => (x ? (Array.isArray(x) ? `[${x}]` : 'const') : '-')).join(' ')
  const attributes = Object.entries(single.attributes ?? {}).map(([k, a]) => `${k}=${a.value}`)
  test(`the gradient of ${single.op} ${shapes} ${attributes.join(' ')} agrees with central differences`, async () => {
    const far = await differences(single, i)
    assert.ok(far.size > 0)
    for (const [name, d] of far) assert.ok(d <= TOLERANCE, `${name}: ${d} (seed ${i})`)
  })
}

test('every operator that has a gradient or is written with others is compared here', () => {
  const covered = new Set([...cases, ...rareCases].map(({ op }) => op))
  const elsewhere = new Set([
    'Bernoulli',
    'FusedMatMul',
    'Cast',
    'CastLike',
    'Upsample',
    'Constant',
    'Shape',
    'Size',
    'EyeLike',
  ])
  const open = supportedOperators.filter((op) => {
    const rule = operators.get(op)!
    return (rule.gradient || rule.lower) && !rule.stopsGradient && !covered.has(op) && !elsewhere.has(op)
  })
  assert.deepEqual(open, [])
  assert.deepEqual(
    [...contribOperators.keys()].filter((op) => !covered.has(op)),
    [],
  )
})
