import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { buildProgram, type Model, type Node } from '@pingo/graph'
import { type OptimizerInput, OptimizerSchema, type PinGoError, type Tensor, validate } from '@pingo/wire'
import { Engine, type TrainBatch } from './index.ts'

const BATCH = 4
const node = (name: string, op: string, inputs: string[], output: string): Node => ({
  name,
  op,
  domain: '',
  inputs,
  outputs: [output],
  attributes: {},
})
const vector = (values: number[]): Tensor => ({
  dtype: 'float32',
  shape: [values.length],
  data: Float32Array.from(values),
})

/** y = f(x · w) · v on two features; `nodes` go from `product` to `bent`. */
function modelOf(nodes: Node[], more: [string, Tensor][] = []): Model {
  const w: Tensor = { dtype: 'float32', shape: [2, 3], data: Float32Array.of(0.5, 1, 2, 1, 2, 0.5) }
  const v: Tensor = { dtype: 'float32', shape: [3, 1], data: Float32Array.of(1, 1, 1) }
  return {
    irVersion: 8,
    opset: 17,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'g',
      nodes: [
        node('first/MatMul', 'MatMul', ['input', 'w'], 'product'),
        ...nodes,
        node('last/MatMul', 'MatMul', ['bent', 'v'], 'output'),
      ],
      inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', 2] }],
      outputs: [{ name: 'output', dtype: 'float32', shape: ['batch', 1] }],
      initializers: new Map([['w', w], ['v', v], ...more]),
    },
  }
}

describe('training that diverges', () => {
  let engine: Engine
  before(async () => {
    engine = await Engine.start()
  })
  after(() => engine.close())

  /** Trains until it fails; features are `at(step)` everywhere, from step 1 on. */
  async function failureOf(
    model: Model,
    {
      rate = 1e-3,
      steps = 6,
      at = () => 1,
      optimizer = { kind: 'sgd' },
      again = true,
    }: { rate?: number; steps?: number; at?: (step: number) => number; optimizer?: OptimizerInput; again?: boolean },
  ): Promise<PinGoError> {
    const program = buildProgram(model, {
      loss: 'mse',
      optimizer,
      batch: BATCH,
      inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: [2] }],
      target: { name: 'target', column: 'target', dtype: 'float32', shape: [1] },
    })
    const trainer = await engine.openTrainer({
      ...program,
      batch: BATCH,
      optimizer: validate(OptimizerSchema, optimizer, 'optimizer'),
    })
    const theta = Float32Array.from(
      program.parameters.flatMap(({ name }) => [...(program.initial.get(name)!.data as Float32Array)]),
    )
    const batch = async (i: number): Promise<TrainBatch> => ({
      samples: BATCH,
      tensors: { input: new Float32Array(2 * BATCH).fill(at(i + 1)), target: new Float32Array(BATCH) },
    })
    const run = (n: number, learningRate: number) =>
      trainer.train({
        theta,
        buffers: new Float32Array(0),
        steps: n,
        learningRate: { from: learningRate, to: learningRate },
        batch,
      }).result
    try {
      const error = await run(steps, rate).then(
        () => assert.fail('it did not diverge'),
        (e: PinGoError) => e,
      )
      assert.equal(error.code, 'TRAINING_DIVERGED', error.message)
      // The trainer is as good as new.
      if (again) assert.equal((await run(1, 0)).steps, 1)
      return error
    } finally {
      await trainer.close()
    }
  }
  const log = modelOf([node('encoder/Log', 'Log', ['product'], 'bent')])

  it('names the logarithm of a negative number: step, node, operator, tensor', async () => {
    const error = await failureOf(log, { at: (step) => (step === 3 ? -1 : 1) })
    assert.deepEqual(error.details, { step: 3, node: 'encoder/Log', phase: 'forward', op: 'Log', tensor: 'bent' })
    assert.match(
      error.message,
      /began in step 3 at the node 'encoder\/Log' \(Log\): 'bent' holds NaN in 12 of 12 elements, made of finite numbers of up to 2\.99/,
    )
  })

  it('names the node whose gradient overflows while the loss is finite', async () => {
    // d sqrt(|product|) at 0 is infinite.
    const root = modelOf([node('abs', 'Abs', ['product'], 'size'), node('root', 'Sqrt', ['size'], 'bent')])
    const error = await failureOf(root, { at: (step) => (step === 2 ? 0 : 1) })
    assert.equal(error.details?.step, 2)
    assert.equal(error.details?.node, 'root')
    assert.equal(error.details?.phase, 'backward')
  })

  for (const optimizer of [{ kind: 'sgd' }, { kind: 'sgd', momentum: 0.9 }, { kind: 'adamw' }] as const)
    it(`a learning rate that is too high: the update or what it overflowed is named (${JSON.stringify(optimizer)})`, async () => {
      const error = await failureOf(modelOf([node('square', 'Mul', ['product', 'product'], 'bent')]), {
        rate: 1e20,
        steps: 50,
        optimizer,
      })
      assert.ok(Number(error.details?.step) >= 1 && Number(error.details?.step) <= 50, error.message)
      assert.match(error.message, /It began in/)
      assert.ok(error.details?.tensor, error.message)
    })

  it('a batch that holds what is not a number is named, not the model', async () => {
    const error = await failureOf(log, { at: (step) => (step === 4 ? Number.NaN : 1) })
    assert.deepEqual(error.details, { step: 4, node: '', phase: '', op: '', tensor: 'input' })
    assert.match(error.message, /batch of step 4 brought it: 'input' holds NaN in 8 of 8/)
  })

  it('the infinities of a mask are not blamed', async () => {
    const masked = modelOf(
      [
        node('mask', 'Add', ['product', 'mask'], 'scores'),
        { ...node('softmax', 'Softmax', ['scores'], 'weights'), attributes: { axis: { type: 'int', value: -1 } } },
        node('scaled', 'Mul', ['weights', 'product'], 'mixed'),
        node('late/Log', 'Log', ['mixed'], 'bent'),
      ],
      [['mask', vector([0, 0, Number.NEGATIVE_INFINITY])]],
    )
    const error = await failureOf(masked, { steps: 1, again: false })
    assert.equal(error.details?.node, 'late/Log', error.message)
  })
})
