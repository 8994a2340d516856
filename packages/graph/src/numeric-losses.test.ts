import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LOSS_KINDS, type LossKind, type LossSettings, type Tensor } from '@pingo/wire'
import fc from 'fast-check'
import { buildGradients, type Model, parseModel } from './index.ts'
import { int, type Node } from './model.ts'
import { tensorOf } from './tensors.ts'
import { fromTensor, interpret, type Ref } from './testing/interpreter/index.ts'
import { count, size } from './testing/interpreter/tensor.ts'
import { centralDifferences, relative } from './testing/numeric/differences.ts'
import { Draw } from './testing/numeric/draw.ts'
import { meanLoss } from './testing/numeric/losses.ts'
import { runs } from './testing/numeric/runs.ts'
import { runOnce } from './testing/runtime.ts'

/** Loss and gradients of the emitted program in double precision: constants alone are rounded to float32. */
const TOLERANCE = 1e-6

interface LossCase {
  /** Shape of the model's output; the batch is its first axis. */
  shape: number[]
  target: Tensor
  classAxis: number
  /** Activation that the model may end in, which the loss passes by. */
  last: string | undefined
  settings: LossSettings
}

/** Shapes of logits: [N, C], [N, …, C] or [N, C, …], with sizes that tell the axes apart. */
function logits(d: Draw): { shape: number[]; classAxis: number } {
  const [n, c] = [d.int(1, 3), d.int(2, 5)]
  return d.pick(
    { shape: [n, c], classAxis: 1 },
    { shape: [n, d.pick(6, 7), c], classAxis: 2 },
    { shape: [n, c, 6], classAxis: 1 },
    { shape: [n, c, 6, d.pick(7, 8)], classAxis: 1 },
  )
}

/** Positive numbers that add up to 1 along the last axis or, as a loss need not care, do not. */
const probabilities = (d: Draw, shape: number[]) =>
  tensorOf('float32', shape, d.numbers(size(shape), { low: 0.05, high: 0.9 }))

function classes(d: Draw): LossCase {
  const { shape, classAxis } = logits(d)
  const last = d.pick(undefined, 'Softmax', 'LogSoftmax')
  const smoothing = d.flag() ? {} : { smoothing: d.pick(0.1, 0.5) }
  if (d.int(0, 2) === 0) {
    // Without a last activation to tell, the classes of probabilities lie on axis 1.
    const axis = last ? classAxis : 1
    const target = probabilities(d, shape)
    return { shape, classAxis: axis, target, last, settings: { kind: 'cross_entropy', ...smoothing } }
  }
  const rows = shape.filter((_, i) => i !== classAxis)
  const c = shape[classAxis]!
  const ignoreIndex = d.flag() ? undefined : d.pick(0, c - 1, -100)
  const ids = count(size(rows)).map(() => (ignoreIndex === -100 && d.int(0, 3) === 0 ? -100 : d.int(0, c - 1)))
  const dtype = ignoreIndex === -100 ? d.pick('int32', 'int64') : d.pick('int32', 'int64', 'uint8')
  const settings = {
    kind: 'cross_entropy' as const,
    ...smoothing,
    ...(ignoreIndex === undefined ? {} : { ignoreIndex }),
  }
  return { shape, classAxis, target: tensorOf(dtype, rows, ids), last, settings }
}

function numbers(d: Draw, settings: LossSettings): LossCase {
  const shape = [d.int(1, 4), ...d.shape(0, 2, 3)]
  // The target may have the same numbers in another shape.
  const given = d.flag() ? shape : [shape[0]!, size(shape.slice(1))]
  return { shape, classAxis: 1, target: tensorOf('float32', given, d.numbers(size(shape))), last: undefined, settings }
}

function bits(d: Draw): LossCase {
  const shape = [d.int(1, 4), ...d.shape(0, 2, 3)]
  const values = count(size(shape)).map(() => d.int(0, 1))
  const columns = size(shape.slice(1))
  const positiveWeight = d.pick<number | number[] | undefined>(
    undefined,
    2.5,
    d.numbers(columns, { low: 0.5, high: 3 }),
  )
  return {
    shape,
    classAxis: 1,
    target: tensorOf(d.pick('float32', 'uint8'), shape, values),
    last: d.pick(undefined, 'Sigmoid'),
    settings: { kind: 'bce', ...(positiveWeight === undefined ? {} : { positiveWeight }) },
  }
}

function divergence(d: Draw): LossCase {
  const last = d.pick(undefined, 'Softmax', 'LogSoftmax')
  const { shape, classAxis } = logits(d)
  const axis = last ? classAxis : shape.length - 1
  return { shape, classAxis: axis, target: probabilities(d, shape), last, settings: { kind: 'kl' } }
}

function directions(d: Draw): LossCase {
  const shape = [d.int(1, 3), ...d.shape(0, 1, 3), d.int(2, 4)]
  const target = tensorOf('float32', shape, d.numbers(size(shape)))
  return { shape, classAxis: 1, target, last: undefined, settings: { kind: 'cosine' } }
}

/** How each loss is drawn; a new kind does not compile without an entry. */
const cases: Record<LossKind, (d: Draw) => LossCase> = {
  cross_entropy: classes,
  bce: bits,
  mse: (d) => numbers(d, { kind: 'mse' }),
  l1: (d) => numbers(d, { kind: 'l1' }),
  huber: (d) => numbers(d, { kind: 'huber', ...(d.flag() ? { delta: d.pick(0.5, 2) } : {}) }),
  smooth_l1: (d) => numbers(d, { kind: 'smooth_l1', ...(d.flag() ? { beta: d.pick(0.5, 2) } : {}) }),
  kl: divergence,
  cosine: directions,
  output: (d) => numbers(d, { kind: 'output' }),
}

/** Error at which a loss has a kink: no differences are taken there. */
const kinks: Partial<Record<LossKind, (settings: LossSettings) => number>> = {
  l1: () => 0,
  huber: (settings) => (settings as { delta?: number }).delta ?? 1,
  smooth_l1: (settings) => (settings as { beta?: number }).beta ?? 1,
}

/** output = last(input * a + b), whose weights are as many as the outputs of a sample. */
function modelOf({ shape, classAxis, last }: LossCase, d: Draw): Model {
  const inner = shape.slice(1)
  const weight = () => tensorOf('float32', inner, d.numbers(size(inner)))
  const node = (op: string, inputs: string[], output: string): Node => ({
    name: output,
    op,
    domain: '',
    inputs,
    outputs: [output],
    attributes: op.endsWith('Softmax') ? { axis: int(classAxis) } : {},
  })
  const end = last ? 'logits' : 'output'
  const nodes = [node('Mul', ['input', 'a'], 'scaled'), node('Add', ['scaled', 'b'], end)]
  if (last) nodes.push(node(last, ['logits'], 'output'))
  return {
    irVersion: 8,
    opset: 17,
    producer: 'pingo',
    metadata: {},
    graph: {
      name: 'loss',
      nodes,
      inputs: [{ name: 'input', dtype: 'float32', shape }],
      outputs: [{ name: 'output', dtype: 'float32', shape }],
      initializers: new Map([
        ['a', weight()],
        ['b', weight()],
      ]),
    },
  }
}

async function check(kind: LossKind, d: Draw): Promise<void> {
  const c = cases[kind](d)
  const batch = c.shape[0]!
  const model = modelOf(c, d)
  const input = tensorOf('float32', c.shape, d.numbers(size(c.shape)))
  // Padding has weight 0; other weights need not be 1.
  const drawn = count(batch).map(() => d.pick(0, 1, 1, 1, 0.25, 2.5))
  // Where a sample may see others (a loss of the model's own), padding stands at the end, and real samples are repeated in its place.
  const weights = kind === 'output' ? [...drawn.filter((w) => w > 0), ...drawn.filter((w) => w === 0)] : drawn
  const program = buildGradients(model, {
    loss: c.settings,
    batch,
    inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: c.shape.slice(1) }],
    target: { name: 'target', column: 'target', dtype: c.target.dtype as 'int32', shape: c.target.shape.slice(1) },
  })
  const feeds = new Map<string, Tensor>([
    ...program.initial,
    ['input', input],
    ['target', c.target],
    ['sample_weight', tensorOf('float32', [batch], weights)],
  ])
  const exact = new Map([...feeds].map(([name, tensor]) => [name, fromTensor(tensor)]))
  const double = interpret(parseModel(program.graph), exact)
  const single = await runOnce(program.graph, feeds)
  const target = fromTensor(c.target)
  const loss = (values: ReadonlyMap<string, Ref>) => {
    const output = interpret(model, values).get(c.last ? 'logits' : 'output')!
    return meanLoss({ output, target, classAxis: c.classAxis, settings: c.settings }, weights)
  }
  if (kinks[kind]) {
    const output = interpret(model, exact).get('output')!
    const near = (point: number) => output.data.some((x, i) => Math.abs(Math.abs(x - target.data[i]!) - point) < 0.02)
    fc.pre(!near(kinks[kind](c.settings)))
  }
  const text = `${JSON.stringify(c.settings)} of [${c.shape}]${c.last ? ` behind ${c.last}` : ''} against ${c.target.dtype}[${c.target.shape}], weights ${weights}`
  const near = (what: string, far: number, limit: number) =>
    assert.ok(far <= limit, `${what} of ${text}: off by ${far}`)
  near('the loss', relative(double.get('loss')!.data, [loss(exact)], 0.1), TOLERANCE)
  near('the loss by the runtime', relative(single.get('loss')!.data as Float32Array, [loss(exact)], 0.1), 1e-5)
  assert.deepEqual(program.parameters.map(({ name }) => name).sort(), ['a', 'b'])
  for (const { name } of program.parameters) {
    const numeric = centralDifferences(loss, exact, name)
    near(`grad.${name}`, relative(double.get(`grad.${name}`)!.data, numeric, 0.01), TOLERANCE)
    near(`grad.${name} by the runtime`, relative(single.get(`grad.${name}`)!.data as Float32Array, numeric, 0.01), 1e-4)
  }
}

for (const kind of LOSS_KINDS)
  test(`${kind}: the program's loss and gradients are those of its definition, sample weights included`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), (g) => check(kind, new Draw(g))),
      runs(),
    )
  })
