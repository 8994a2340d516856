import { type OptimizerInput, sizeOf, type Tensor } from '@pingo/wire'
import { buildProgram, type Model, optimizerScalars } from '../index.ts'
import type { Node } from '../model.ts'
import { Random } from '../templates/random.ts'
import { tensorOf } from '../tensors.ts'
import { open } from './runtime.ts'

/** Steps of an optimiser on weights whose gradients are given: the loss is linear in them. */
export const STEPS = 4
export const RATE = 0.03
const BATCH = 2

const random = new Random(23)
const normals = (shape: number[]) =>
  tensorOf(
    'float32',
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.normal()),
  )

/** Weights w whose loss is the mean over samples of sum(c w): their gradients are the step's input c, exactly. */
export const shapes: Record<string, number[]> = { wide: [3, 5], tall: [6, 2], kernel: [4, 3, 2, 2], bias: [5] }
export const names = Object.keys(shapes)
const size = names.reduce((sum, name) => sum + sizeOf(shapes[name]!), 0)

function linear(initial: Map<string, Tensor>): Model {
  const node = (op: string, inputs: string[], to: string, attributes: Node['attributes'] = {}): Node => ({
    name: to,
    op,
    domain: '',
    inputs,
    outputs: [to],
    attributes,
  })
  const nodes = names.map((name) => node('Reshape', [name, 'flat'], `${name}.flat`))
  nodes.push(
    node(
      'Concat',
      names.map((name) => `${name}.flat`),
      'all',
      { axis: { type: 'int', value: 0 } },
    ),
    node('Mul', ['input', 'all'], 'products'),
    node('ReduceSum', ['products', 'axis'], 'loss', { keepdims: { type: 'int', value: 0 } }),
  )
  const initializers = new Map(initial)
  initializers.set('flat', tensorOf('int64', [1], [-1])).set('axis', tensorOf('int64', [1], [1]))
  return {
    irVersion: 8,
    opset: 17,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'linear',
      nodes,
      inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', size] }],
      outputs: [{ name: 'loss', dtype: 'float32', shape: ['batch'] }],
      initializers,
    },
  }
}

export const initial = new Map(names.map((name) => [name, normals(shapes[name]!)]))
/** One gradient a step, for all weights in a row. */
const gradients = Array.from({ length: STEPS }, () => normals([size]))
const start: Record<string, number> = {}
names.reduce((at, name) => {
  start[name] = at
  return at + sizeOf(shapes[name]!)
}, 0)
export const gradientOf = (name: string, step: number): number[] =>
  Array.from(gradients[step]!.data.slice(start[name]!, start[name]! + sizeOf(shapes[name]!)) as Float32Array)

/** All weights and states after {@link STEPS} steps at {@link RATE}. */
export async function train(input: OptimizerInput): Promise<Map<string, Tensor>> {
  const program = buildProgram(linear(initial), {
    loss: 'output',
    optimizer: input,
    batch: BATCH,
    inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: [size] }],
    target: { name: 'target', column: 'target', dtype: 'float32', shape: [] },
  })
  const runner = await open(program.step)
  let held = new Map(program.initial)
  for (const { name, shape } of program.state) held.set(name, tensorOf('float32', shape, []))
  const scalars = optimizerScalars(program.optimizer)
  for (let step = 1; step <= STEPS; step++) {
    const rows = Array.from(gradients[step - 1]!.data as Float32Array)
    const out = await runner.run([
      ...held,
      ...Object.entries(scalars.at(step, RATE)).map(([name, value]): [string, Tensor] => [
        name,
        tensorOf('float32', [], [value]),
      ]),
      ['input', tensorOf('float32', [BATCH, size], [...rows, ...rows])],
      ['target', tensorOf('float32', [BATCH], [])],
      ['sample_weight', tensorOf('float32', [BATCH], [1, 1])],
    ])
    held = new Map([...held.keys()].map((name) => [name, out.get(`next.${name}`)!]))
  }
  await runner.close()
  return held
}
