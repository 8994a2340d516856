import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tensor } from '@pingo/wire'
import fc from 'fast-check'
import { buildGradients, type LossKind, type Model, parseModel } from './index.ts'
import { int, type Node } from './model.ts'
import { tensorOf } from './tensors.ts'
import { fromTensor, interpret, type Ref } from './testing/interpreter/index.ts'
import { count, size } from './testing/interpreter/tensor.ts'
import { centralDifferences, relative } from './testing/numeric/differences.ts'
import { Draw } from './testing/numeric/draw.ts'
import { meanLoss, pointwise } from './testing/numeric/losses.ts'
import { distance, runOnce } from './testing/runtime.ts'

/** Loss and gradients of the emitted program in double precision: constants alone are rounded to float32. */
const TOLERANCE = 1e-6
const numRuns = Number(process.env.PINGO_NUM_RUNS ?? 20)

interface LossCase {
  /** Shape of the model's output; the batch is its first axis. */
  shape: number[]
  target: Tensor
  classAxis: number
  /** Activation that the model may end in, which the loss passes by. */
  last: string | undefined
}

/** Class ids against [N, C], [N, …, C] or [N, C, …]; sizes that tell the axes apart. */
function classes(d: Draw): LossCase {
  const n = d.int(1, 3)
  const c = d.int(2, 5)
  const [shape, classAxis] = d.pick<[number[], number]>(
    [[n, c], 1],
    [[n, d.pick(6, 7), c], 2],
    [[n, c, 6], 1],
    [[n, c, 6, d.pick(7, 8)], 1],
  )
  const positions = shape.filter((_, i) => i !== classAxis)
  const ids = count(size(positions)).map(() => d.int(0, c - 1))
  const last = d.pick(undefined, 'Softmax', 'LogSoftmax')
  return { shape, classAxis, target: tensorOf(d.pick('int32', 'int64', 'uint8'), positions, ids), last }
}

const numbers = (d: Draw): LossCase => {
  const shape = [d.int(1, 4), ...d.shape(0, 2, 3)]
  // The target may have the same numbers in another shape.
  const given = d.flag() ? shape : [shape[0]!, size(shape.slice(1))]
  return { shape, classAxis: 1, target: tensorOf('float32', given, d.numbers(size(shape))), last: undefined }
}

const bits = (d: Draw): LossCase => {
  const { shape } = numbers(d)
  const values = count(size(shape)).map(() => d.int(0, 1))
  return {
    shape,
    classAxis: 1,
    target: tensorOf(d.pick('float32', 'uint8'), shape, values),
    last: d.pick(undefined, 'Sigmoid'),
  }
}

/** How each loss is drawn; a new kind does not compile without an entry. */
const cases: Record<LossKind, (d: Draw) => LossCase> = { cross_entropy: classes, bce: bits, mse: numbers }

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
  const weights = count(batch).map(() => d.pick(0, 1, 1, 1, 0.25, 2.5))
  const program = buildGradients(model, {
    loss: kind,
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
    return meanLoss(kind, { output, target, classAxis: c.classAxis }, weights)
  }
  const text = `${kind} of [${c.shape}]${c.last ? ` behind ${c.last}` : ''} against ${c.target.dtype}[${c.target.shape}], weights ${weights}`
  const near = (what: string, far: number, limit: number) =>
    assert.ok(far <= limit, `${what} of ${text}: off by ${far}`)
  near('the loss', relative(double.get('loss')!.data, [loss(exact)], 0.1), TOLERANCE)
  near('the loss by the runtime', distance(single.get('loss')!.data, [loss(exact)]), 1e-5)
  assert.deepEqual(program.parameters.map(({ name }) => name).sort(), ['a', 'b'])
  for (const { name } of program.parameters) {
    const numeric = centralDifferences(loss, exact, name)
    near(`grad.${name}`, relative(double.get(`grad.${name}`)!.data, numeric, 0.01), TOLERANCE)
    near(`grad.${name} by the runtime`, relative(single.get(`grad.${name}`)!.data as Float32Array, numeric, 0.01), 1e-4)
  }
}

for (const kind of Object.keys(pointwise) as LossKind[])
  test(`${kind}: the program's loss and gradients are those of its definition, sample weights included`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), (g) => check(kind, new Draw(g))),
      { numRuns },
    )
  })
