import type { BatchInput, Tensor } from '@pingo/wire'
import { inferShapes } from '../infer-shapes.ts'
import type { Attributes, Model, Node } from '../model.ts'
import { buildGradients } from '../program.ts'
import { Random } from '../templates/random.ts'
import { tensorOf } from '../tensors.ts'
import { distance, open } from './runtime.ts'

/** One operator as a whole model: its float inputs are weights a, b, c …; the output is compared with numbers by mse. */
export interface SingleCase {
  op: string
  /** A shape: a weight of normal numbers. A tensor: a constant. undefined: absent. */
  inputs: (number[] | Tensor | undefined)[]
  attributes?: Attributes
  opset?: number
  /** Weights are drawn from 0.5 … 2 instead. */
  positive?: boolean
  outputs?: number
  /** Further outputs, which are not compared. */
  spare?: number
  domain?: string
  /** Weights are drawn from -0.9 … 0.9 instead. */
  small?: boolean
  /** Added to the numbers drawn. */
  shift?: number
  /** Step of the differences; smaller where the function bends sharply. */
  epsilon?: number
}

const isTensor = (x: number[] | Tensor): x is Tensor => !Array.isArray(x)

export function modelOf(
  {
    op,
    inputs,
    attributes = {},
    opset = 17,
    positive,
    small,
    outputs = 1,
    spare = 0,
    shift = 0,
    domain = '',
  }: SingleCase,
  seed: number,
): Model {
  const random = new Random(seed)
  const initializers = new Map<string, Tensor>()
  const names = inputs.map((input, i) => {
    if (!input) return ''
    const name = `${String.fromCharCode(97 + i)}`
    const draw = () =>
      shift + (positive ? 0.5 + 1.5 * random.uniform() : small ? 1.8 * random.uniform() - 0.9 : random.normal())
    const size = isTensor(input) ? 0 : input.reduce((a, n) => a * n, 1)
    initializers.set(name, isTensor(input) ? input : tensorOf('float32', input, Array.from({ length: size }, draw)))
    return name
  })
  const node = (type: string, from: string[], to: string[], attrs: Attributes = {}): Node => ({
    name: to[0]!,
    op: type,
    domain: '',
    inputs: from,
    outputs: to,
    attributes: attrs,
  })
  const made = Array.from({ length: outputs }, (_, i) => `y${i}`)
  initializers.set('row', tensorOf('int64', [2], [1, -1]))
  const nodes = [
    { ...node(op, names, [...made, ...Array.from({ length: spare }, (_, i) => `spare${i}`)], attributes), domain },
    ...made.map((y) => node('Reshape', [y, 'row'], [`flat_${y}`])),
  ]
  nodes.push(
    node(
      'Concat',
      made.map((y) => `flat_${y}`),
      ['joined'],
      { axis: { type: 'int', value: 1 } },
    ),
  )
  nodes.push(node('Sin', ['joined'], ['bent']), node('Add', ['bent', 'input'], ['output']))
  return {
    irVersion: 8,
    opset,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'single',
      nodes,
      inputs: [{ name: 'input', dtype: 'float32', shape: [1, 1] }],
      outputs: [{ name: 'output', dtype: 'float32', shape: [1, ''] }],
      initializers,
    },
  }
}

/** Distances between the emitted gradients and central differences of the emitted loss, by weight. */
export async function differences(single: SingleCase, seed: number): Promise<Map<string, number>> {
  const model = modelOf(single, seed)
  const spec = (name: string, shape: number[]): BatchInput => ({ name, column: name, dtype: 'float32', shape })
  const size = Number(inferShapes(model).get('output')!.shape[1])
  const random = new Random(seed + 1)
  const target = tensorOf(
    'float32',
    [1, size],
    Array.from({ length: size }, () => random.normal()),
  )
  const options = { loss: 'mse' as const, batch: 1, inputs: [spec('input', [1])], target: spec('target', [size]) }
  const program = buildGradients(model, options)
  const runner = await open(program.graph)
  const feeds = new Map<string, Tensor>([
    ...program.initial,
    ['input', tensorOf('float32', [1, 1], [0])],
    ['target', target],
    ['sample_weight', tensorOf('float32', [1], [1])],
  ])
  const loss = async () => Number((await runner.run(feeds)).get('loss')!.data[0])
  const result = await runner.run(feeds)
  const far = new Map<string, number>()
  for (const { name } of program.parameters) {
    const { data } = program.initial.get(name)!
    const numeric = new Float64Array(data.length)
    const step = single.epsilon ?? 1e-2
    for (let i = 0; i < data.length; i++) {
      const old = Number(data[i])
      data[i] = old + step
      const high = Number(data[i])
      const up = await loss()
      data[i] = old - step
      const low = Number(data[i])
      numeric[i] = (up - (await loss())) / (high - low)
      data[i] = old
    }
    far.set(name, distance(result.get(`grad.${name}`)!.data, numeric))
  }
  await runner.close()
  return far
}

export const constants = {
  ints: (...values: number[]): Tensor => tensorOf('int64', [values.length], values),
  scalar: (value: number): Tensor => tensorOf('int64', [], [value]),
  floats: (...values: number[]): Tensor => tensorOf('float32', [values.length], values),
  bools: (shape: number[], ...values: number[]): Tensor => tensorOf('bool', shape, values),
}
