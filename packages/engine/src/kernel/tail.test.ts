import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildProgram, type Model, optimizerScalars, templates } from '@pingo/graph'
import { type OptimizerInput, sizeOf, type Tensor } from '@pingo/wire'
import { Engine } from '../index.ts'
import { admit } from '../screen.ts'
import { cutTail } from './tail.ts'

const BATCH = 8
const STEPS = 4
const RATE = 0.02

/** A weight of one element is a matrix all the same: decay is for it too. */
const built = (optimizer: OptimizerInput, hidden = [10, 7]) =>
  buildProgram(templates.mlp({ inputs: [6], classes: 3, hidden }), {
    loss: 'cross_entropy',
    optimizer,
    batch: BATCH,
    inputs: [{ name: 'input', column: 'x', dtype: 'float32', shape: [6] }],
    target: { name: 'target', column: 'y', dtype: 'int32', shape: [] },
  })
type Built = ReturnType<typeof built>

const batchOf = (i: number) => ({
  input: Float32Array.from({ length: BATCH * 6 }, (_, k) => Math.sin(k * 1.7 + i)),
  target: Int32Array.from({ length: BATCH }, (_, k) => (k + i) % 3),
})

const flat = ({ parameters, initial }: Built) =>
  Float32Array.from(parameters.flatMap(({ name }) => [...(initial.get(name)!.data as Float32Array)]))

/** The whole step graph by a session that knows nothing of kernels. */
async function byGraph(engine: Engine, program: Built): Promise<Float32Array> {
  const session = await engine.open(program.step)
  const scalars = optimizerScalars(program.optimizer)
  const kept = new Map<string, Tensor>([
    ...program.initial,
    ...program.state.map((s): [string, Tensor] => [s.name, { ...s, data: new Float32Array(sizeOf(s.shape)) }]),
  ])
  for (let i = 0; i < STEPS; i++) {
    const { input, target } = batchOf(i)
    const results = await session.run({
      ...Object.fromEntries(kept),
      input: { dtype: 'float32', shape: [BATCH, 6], data: input },
      target: { dtype: 'int32', shape: [BATCH], data: target },
      sample_weight: { dtype: 'float32', shape: [BATCH], data: new Float32Array(BATCH).fill(1) },
      ...Object.fromEntries(
        Object.entries(scalars.at(i + 1, RATE)).map(([name, x]): [string, Tensor] => [
          name,
          { dtype: 'float32', shape: [], data: Float32Array.of(x) },
        ]),
      ),
    })
    for (const name of kept.keys()) kept.set(name, results[`next.${name}`]!)
  }
  await session.close()
  return Float32Array.from(program.parameters.flatMap(({ name }) => [...(kept.get(name)!.data as Float32Array)]))
}

async function byKernels(engine: Engine, program: Built): Promise<Float32Array> {
  const trainer = await engine.openTrainer({ ...program, batch: BATCH })
  const { theta } = await trainer.train({
    theta: flat(program),
    buffers: new Float32Array(0),
    steps: STEPS,
    learningRate: { from: RATE, to: RATE },
    batch: async (i) => ({ samples: BATCH, tensors: batchOf(i) }),
  }).result
  await trainer.close()
  return theta
}

const cut = (program: Built) => {
  const { model, shapes } = admit(program.step)
  const kept = [...program.parameters, ...program.state]
  return cutTail(model, shapes, kept, optimizerScalars(program.optimizer).names)
}

const optimizers: Record<string, OptimizerInput> = {
  sgd: { kind: 'sgd' },
  'sgd with decay': { kind: 'sgd', weightDecay: 0.1 },
  momentum: { kind: 'sgd', momentum: 0.9 },
  'momentum with decay': { kind: 'sgd', momentum: 0.9, weightDecay: 0.5 },
  nesterov: { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.01 },
  adam: { kind: 'adam', weightDecay: 0.1 },
  adamw: { kind: 'adamw', weightDecay: 0.1 },
  'adamw, clipped': { kind: 'adamw', weightDecay: 0.1, clip: 0.05 },
  'adamw, elements clipped': { kind: 'adamw', clipValue: 0.01 },
  lion: { kind: 'lion', weightDecay: 0.1 },
  'adamw in groups': { kind: 'adamw', weightDecay: 0.1, groups: [{ match: ['*bias*'], rate: 0.1 }] },
  muon: { kind: 'muon' },
  adafactor: { kind: 'adafactor' },
}

test('every optimiser steps to the bits of its graph when its elementwise end runs as kernels', async () => {
  await using engine = await Engine.start()
  for (const [name, optimizer] of Object.entries(optimizers)) {
    for (const hidden of [
      [10, 7],
      [1, 1],
    ]) {
      const program = built(optimizer, hidden)
      assert.deepEqual(await byKernels(engine, program), await byGraph(engine, program), `${name}, ${hidden}`)
    }
  }
})

test('an elementwise optimiser leaves nothing but gradients to the graph', () => {
  const program = built({ kind: 'adamw', weightDecay: 0.1 })
  const { model, tail } = cut(program)!
  assert.equal(tail.kernels.length, program.parameters.length)
  assert.deepEqual(
    tail.cuts.map(({ shape }) => sizeOf(shape)).sort(),
    program.parameters.map(({ shape }) => sizeOf(shape)).sort(),
  )
  const written = tail.kernels.flatMap(({ writes }) => writes.map(({ name }) => name))
  assert.deepEqual(written.sort(), [...program.parameters, ...program.state].map(({ name }) => name).sort())
  const outputs = model.graph.outputs.map(({ name }) => name)
  assert.deepEqual(
    outputs.filter((name) => name.startsWith('next.')),
    [],
  )
  assert.ok(!model.graph.inputs.some(({ name }) => name.startsWith('optimizer.')), 'the state is no input any more')
})

test('gradients are handed over before they are given another shape, which would copy them', () => {
  const { model, tail } = cut(built({ kind: 'adam' }))!
  const shaped = new Set(model.graph.nodes.flatMap(({ op, outputs }) => (op === 'Reshape' ? outputs : [])))
  assert.ok(tail.kernels.length > 0)
  assert.deepEqual(
    tail.cuts.filter(({ name }) => shaped.has(name)),
    [],
  )
})

test('a clipping factor is handed over as a scalar, and the gradients as they were before it', () => {
  const { tail } = cut(built({ kind: 'sgd', clip: 1 }))!
  const scalars = tail.cuts.filter(({ shape }) => shape.length === 0)
  assert.equal(scalars.length, 1)
  assert.ok(tail.kernels.every((kernel) => kernel.scalars.includes(scalars[0]!.name)))
})

test('where nothing elementwise leads to what is kept there is nothing to cut', () => {
  const program = built({ kind: 'sgd' })
  const { model, shapes } = admit(program.step)
  assert.equal(cutTail(model, shapes, [], []), undefined)
})

test('a gradient that is read straight off the batch stays in the graph', async () => {
  const value = (name: string) => ({ name, dtype: 'float32' as const, shape: ['batch', 4] })
  const model: Model = {
    irVersion: 8,
    opset: 17,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'product',
      nodes: [{ name: 'product', op: 'Mul', domain: '', inputs: ['x', 'w'], outputs: ['y'], attributes: {} }],
      inputs: [value('x')],
      outputs: [value('y')],
      initializers: new Map([['w', { dtype: 'float32', shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) }]]),
    },
  }
  const column = { name: 'x', column: 'x', dtype: 'float32' as const, shape: [4] }
  const options = { loss: 'mse' as const, batch: 1, inputs: [column], target: { ...column, name: 't', column: 't' } }
  const program = buildProgram(model, { ...options, optimizer: { kind: 'sgd' } })
  await using engine = await Engine.start()
  const trainer = await engine.openTrainer({ ...program, batch: 1 })
  const { theta } = await trainer.train({
    theta: Float32Array.of(1, 2, 3, 4),
    buffers: new Float32Array(0),
    steps: 1,
    learningRate: { from: 1, to: 1 },
    batch: async () => ({ samples: 1, tensors: { x: Float32Array.of(1, 1, 2, 0), t: Float32Array.of(0, 2, 6, 5) } }),
  }).result
  // d/dw of the mean of (xw - t)²: x (xw - t) / 2.
  assert.deepEqual([...theta], [0.5, 2, 3, 4])
})
