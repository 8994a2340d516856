import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Model, templates } from '@pingo/graph'
import { isPinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { shuffled } from './fit-data.ts'
import { Engine, type FitOptions, type FitTensors, fit, readCheckpoint, writeCheckpoint } from './index.ts'

const SAMPLES = 90
/** Three clouds of points in four dimensions. */
function clouds(samples = SAMPLES): FitTensors {
  const target = Int32Array.from({ length: samples }, (_, i) => i % 3)
  const input = Float32Array.from({ length: samples * 4 }, (_, k) => {
    const i = Math.floor(k / 4)
    return ((k % 4) % 3 === target[i]! ? 2 : -1) + Math.sin(12.9898 * k) / 2
  })
  return {
    input: { dtype: 'float32', shape: [samples, 4], data: input },
    target: { dtype: 'int32', shape: [samples], data: target },
  }
}

/** An MLP with dropout and batch statistics in the middle: weights, buffers, noise and optimiser's state all take part. */
function model(): Model {
  const plain = templates.mlp({ inputs: [4], classes: 3, hidden: [8], seed: 4 })
  const relu = plain.graph.nodes.find(({ op }) => op === 'Relu')!
  const ones = (value: number): Tensor => ({ dtype: 'float32', shape: [8], data: new Float32Array(8).fill(value) })
  const node = (op: string, inputs: string[], output: string) => ({
    name: op,
    op,
    domain: '',
    inputs,
    outputs: [output],
    attributes: {},
  })
  const ratio: Tensor = { dtype: 'float32', shape: [], data: Float32Array.of(0.2) }
  const yes: Tensor = { dtype: 'bool', shape: [], data: Uint8Array.of(1) }
  const nodes = plain.graph.nodes.flatMap((n) =>
    n === relu
      ? [
          node('BatchNormalization', [n.inputs[0]!, 'bn.weight', 'bn.bias', 'bn.mean', 'bn.var'], 'normal'),
          node('Dropout', ['normal', 'ratio', 'yes'], 'dropped'),
          { ...n, inputs: ['dropped'] },
        ]
      : [n],
  )
  const initializers = new Map([
    ...plain.graph.initializers,
    ['bn.weight', ones(1)],
    ['bn.bias', ones(0)],
    ['bn.mean', ones(0)],
    ['bn.var', ones(1)],
    ['ratio', ratio],
    ['yes', yes],
  ] as [string, Tensor][])
  return { ...plain, graph: { ...plain.graph, nodes, initializers } }
}

const settings = {
  data: clouds(),
  loss: 'cross_entropy',
  optimizer: { kind: 'adamw', weightDecay: 0.01, clip: 1 },
  batch: 16,
  epochs: 3,
  learningRate: 0.02,
  seed: 5,
} satisfies FitOptions

const same = (a: Uint8Array, b: Uint8Array) => assert.ok(Buffer.from(a).equals(b), 'the checkpoints differ')

describe('fit', () => {
  it('trains a model from arrays: the loss falls, the samples are learnt, the model holds the weights', async () => {
    const seen: number[] = []
    const result = await fit(model(), {
      ...settings,
      epochs: 20,
      validation: clouds(30),
      onProgress: ({ step }) => seen.push(step),
    })
    assert.equal(result.steps, 20 * 6)
    assert.deepEqual(
      seen,
      Array.from({ length: 120 }, (_, i) => i + 1),
    )
    assert.equal(result.history.length, 20)
    assert.equal(result.metric, 'accuracy')
    assert.ok(result.history.every(({ samples }) => samples === SAMPLES))
    const [first, last] = [result.history[0]!, result.history.at(-1)!]
    assert.ok(last.loss < first.loss / 2, `${first.loss} to ${last.loss}`)
    assert.ok(last.validation!.metric > 0.95 && last.validation!.loss < first.validation!.loss)
    const { weights } = readCheckpoint(result.checkpoint)
    assert.ok(weights.size >= 8)
    for (const [name, { data }] of weights) assert.deepEqual(result.model.graph.initializers.get(name)!.data, data)
  })

  it('gives the same bits when it is resumed in the middle of an epoch', async () => {
    const saved = new Map<number, Uint8Array>()
    const whole = await fit(model(), {
      ...settings,
      checkpointEvery: 4,
      onCheckpoint: (bytes, step) => void saved.set(step, bytes),
    })
    assert.deepEqual([...saved.keys()], [4, 8, 12, 16])
    for (const step of [4, 12, 16]) {
      const rest = await fit(model(), { ...settings, resume: saved.get(step)! })
      assert.equal(rest.steps, whole.steps)
      same(rest.checkpoint, whole.checkpoint)
    }
    assert.equal((await fit(model(), { ...settings, resume: whole.checkpoint })).history.length, 0)
  })

  it('ends at the next step when its signal aborts, and goes on from there to the same bits', async () => {
    const stop = new AbortController()
    const part = await fit(model(), {
      ...settings,
      epochs: 3,
      onProgress: ({ step }) => step === 5 && stop.abort(),
      signal: stop.signal,
    })
    assert.ok(part.stopped && part.steps >= 5 && part.steps < 18, `${part.steps}`)
    const rest = await fit(model(), { ...settings, resume: part.checkpoint })
    assert.equal(rest.stopped, false)
    same(rest.checkpoint, (await fit(model(), settings)).checkpoint)
  })

  it('takes batches as they come, of a function for each epoch, and resumes among them', async () => {
    const { input, target } = clouds()
    const slice = ({ dtype, shape, data }: Tensor, from: number, to: number): Tensor => {
      const width = sizeOf(shape.slice(1))
      return { dtype, shape: [to - from, ...shape.slice(1)], data: data.subarray(from * width, to * width) }
    }
    const bounds = [0, 16, 30, 46, 62, 78, 90]
    async function* data(epoch: number) {
      // The second epoch is shorter.
      for (let i = 0; i + 1 < bounds.length - epoch; i++)
        yield { input: slice(input!, bounds[i]!, bounds[i + 1]!), target: slice(target!, bounds[i]!, bounds[i + 1]!) }
    }
    const streamed = { ...settings, data, epochs: 2, schedule: 'constant' } satisfies FitOptions
    const saved = new Map<number, Uint8Array>()
    const whole = await fit(model(), {
      ...streamed,
      checkpointEvery: 1,
      onCheckpoint: (bytes, step) => void saved.set(step, bytes),
    })
    assert.equal(whole.steps, 11)
    assert.deepEqual(
      whole.history.map(({ samples }) => samples),
      [90, 78],
    )
    for (const step of [3, 6, 8])
      same((await fit(model(), { ...streamed, resume: saved.get(step)! })).checkpoint, whole.checkpoint)
    const once = await fit(model(), { ...streamed, data: data(0), epochs: 1 })
    assert.equal(once.steps, 6)
    await assert.rejects(fit(model(), { ...streamed, data: data(0) }), /read once only/)
    await assert.rejects(fit(model(), { ...streamed, schedule: 'cosine' }), /schedule has no end/)
  })

  it('works in an engine of its caller, which it leaves open', async () => {
    await using engine = await Engine.start()
    await fit(model(), { ...settings, steps: 2, engine })
    assert.equal((await fit(model(), { ...settings, steps: 3, engine })).steps, 3)
    assert.ok(engine.alive)
  })

  it('names mistakes', async () => {
    const { input, target } = clouds()
    const bad = async (o: Partial<FitOptions>, code: string, text: RegExp) =>
      assert.rejects(fit(model(), { ...settings, ...o }), (e) => isPinGoError(e, code) && text.test(e.message))
    await bad({ data: { input: input! } }, 'FIT_DATA_INVALID', /no tensor 'target'/)
    await bad({ data: { target: target! } }, 'FIT_DATA_INVALID', /no input/)
    await bad(
      { data: { input: input!, target: { ...target!, shape: [45, 2] } } },
      'FIT_DATA_INVALID',
      /'input' has 90 samples, 'target' has 45/,
    )
    await bad({ data: { input: { ...input!, shape: [90, 5] }, target: target! } }, 'FIT_DATA_INVALID', /360 elements/)
    await bad({ epochs: 0 }, 'FIT_OPTIONS_INVALID', /epochs is 0/)
    await bad({ learningRate: Number.NaN }, 'FIT_OPTIONS_INVALID', /learningRate is NaN/)
    await bad({ resume: Uint8Array.of(1, 2) }, 'CHECKPOINT_MALFORMED', /no checkpoint/)
    const { checkpoint } = await fit(model(), { ...settings, steps: 1 })
    await bad({ resume: checkpoint, optimizer: { kind: 'sgd' } }, 'CHECKPOINT_MISMATCH', /holds 'optimizer\./)
    const read = readCheckpoint(checkpoint)
    read.weights.delete('bn.weight')
    await bad({ resume: writeCheckpoint(read) }, 'CHECKPOINT_MISMATCH', /does not hold 'bn.weight'/)
    await bad({ learningRate: 1e30, optimizer: { kind: 'sgd' }, epochs: 50 }, 'TRAINING_DIVERGED', /It began in/)
  })
})

it('the order of samples is a permutation that follows from seed and epoch', () => {
  const order = shuffled(1000, 1, 0)
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, i) => i),
  )
  assert.deepEqual(shuffled(1000, 1, 0), order)
  for (const other of [shuffled(1000, 2, 0), shuffled(1000, 1, 1)]) {
    const fixed = other.filter((x, i) => x === order[i]).length
    assert.ok(fixed < 10, `${fixed} of 1000 in the same place`)
  }
})
