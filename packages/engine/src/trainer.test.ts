import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { Engine, type TrainBatch, type Trainer, type TrainRequest } from './index.ts'
import { unary } from './testing/onnx.ts'
import { linearProgram } from './testing/programs.ts'

const FEATURES = 3
const BATCH = 4

/** Batch `i` of a fixed, endless data set; `samples` real ones. */
function batchOf(i: number, samples = BATCH): TrainBatch {
  const x = Float32Array.from({ length: samples * FEATURES }, (_, k) => Math.sin(1 + k + 7 * i))
  const target = Float32Array.from({ length: samples }, (_, k) => Math.cos(k + 3 * i))
  return { samples, tensors: { x, target } }
}

const request = (changes: Partial<TrainRequest> = {}): TrainRequest => ({
  theta: Float32Array.of(0.1, -0.2, 0.3),
  buffers: Float32Array.of(0),
  steps: 40,
  learningRate: { from: 0.1, to: 0.1 },
  batch: async (i) => batchOf(i),
  ...changes,
})

/** Plain SGD on least squares in float64: what the step graph of `linearProgram` computes. */
function reference({ theta, steps, learningRate }: TrainRequest, batch = (i: number) => batchOf(i)) {
  const { from, to } = learningRate as { from: number; to: number }
  const w = Array.from(theta)
  let lossSum = 0
  for (let i = 0; i < steps; i++) {
    const { tensors, samples } = batch(i)
    const [x, target] = [tensors.x as Float32Array, tensors.target as Float32Array]
    const gradient = w.map(() => 0)
    for (let s = 0; s < samples; s++) {
      const error = w.reduce((sum, wk, k) => sum + wk * x[s * FEATURES + k]!, 0) - target[s]!
      lossSum += error * error
      for (const k of w.keys()) gradient[k]! += (2 * error * x[s * FEATURES + k]!) / samples
    }
    for (const k of w.keys()) w[k]! -= (from + ((to - from) * i) / steps) * gradient[k]!
  }
  return { theta: w, lossSum }
}

function close(actual: ArrayLike<number>, wanted: ArrayLike<number>, tolerance = 1e-5): void {
  assert.equal(actual.length, wanted.length)
  for (let i = 0; i < wanted.length; i++)
    assert.ok(
      Math.abs(actual[i]! - wanted[i]!) <= tolerance * Math.max(1, Math.abs(wanted[i]!)),
      `${actual[i]} is not ${wanted[i]}`,
    )
}

const code = (wanted: string) => (error: unknown) => isPinGoError(error, wanted)

describe('a trainer', () => {
  let engine: Engine
  let trainer: Trainer
  before(async () => {
    engine = await Engine.start()
    trainer = await engine.openTrainer(linearProgram(FEATURES, BATCH))
  })
  after(() => engine.close())

  it('takes the steps of the program: parameters, loss and samples as computed by hand', async () => {
    const asked = request({ learningRate: { from: 0.2, to: 0.02 } })
    const result = await trainer.train(asked).result
    const wanted = reference(asked)
    close(result.theta, wanted.theta)
    close([result.lossSum], [wanted.lossSum])
    close([result.metricSum], [2 * wanted.lossSum])
    assert.deepEqual([result.steps, result.samples], [40, 160])
    assert.deepEqual(result.buffers, Float32Array.of(160))
    assert.ok(result.millis >= result.busyMillis && result.busyMillis > 0)
  })

  it('gives the same bits twice, and leaves the request as it was', async () => {
    const asked = request()
    const [a, b] = [await trainer.train(asked).result, await trainer.train(asked).result]
    assert.deepEqual(
      Buffer.from(a.theta.buffer, a.theta.byteOffset, a.theta.byteLength),
      Buffer.from(b.theta.buffer, b.theta.byteOffset, b.theta.byteLength),
    )
    assert.equal(a.lossSum, b.lossSum)
    assert.deepEqual(asked.theta, request().theta)
  })

  it('counts a short batch by its real samples alone', async () => {
    const short = (i: number) => batchOf(i, i === 3 ? 1 : i === 5 ? 3 : BATCH)
    const asked = request({ steps: 8, batch: async (i) => short(i) })
    const result = await trainer.train(asked).result
    const wanted = reference(asked, short)
    close(result.theta, wanted.theta)
    close([result.lossSum], [wanted.lossSum])
    assert.equal(result.samples, 8 * BATCH - 4)
    // A full array with fewer real samples means the same: what is beyond them is not looked at.
    const wide = await trainer.train({
      ...asked,
      batch: async (i) => {
        const { samples, tensors } = short(i)
        const x = new Float32Array(BATCH * FEATURES).fill(Number.NaN)
        x.set(tensors.x as Float32Array)
        return { samples, tensors: { x, target: tensors.target! } }
      },
    }).result
    assert.deepEqual(wide.theta, result.theta)
  })

  it('tells of every step in order, cumulatively', async () => {
    const seen: number[][] = []
    const result = await trainer.train(
      request({ onStep: ({ steps, samples, loss, msPerStep }) => seen.push([steps, samples, loss, msPerStep]) }),
    ).result
    assert.deepEqual(
      seen.map(([steps, samples]) => [steps, samples]),
      Array.from({ length: 40 }, (_, i) => [i + 1, (i + 1) * BATCH]),
    )
    assert.equal(seen.at(-1)![2], result.lastLoss)
    assert.ok(seen.every(([, , , ms]) => ms! > 0))
  })

  it('asks for batches in order and not many ahead of the steps', async () => {
    const asked: number[] = []
    let [done, ahead] = [0, 0]
    await trainer.train(
      request({
        steps: 200,
        batch: async (i) => {
          asked.push(i)
          ahead = Math.max(ahead, i - done)
          return batchOf(i)
        },
        onStep: ({ steps }) => {
          done = steps
        },
      }),
    ).result
    assert.deepEqual(
      asked,
      Array.from({ length: 200 }, (_, i) => i),
    )
    assert.ok(ahead <= 32, `${ahead} batches ahead`)
  })

  it('stops softly at a step boundary with the partial result, which is that of so many steps', async () => {
    const training = trainer.train(
      request({
        steps: 1_000_000,
        onStep: ({ steps }) => {
          if (steps === 20) training.stop()
        },
      }),
    )
    const result = await training.result
    assert.ok(result.steps >= 20 && result.steps < 1_000_000)
    assert.equal(result.samples, result.steps * BATCH)
    close(result.theta, reference(request({ steps: result.steps })).theta, 1e-4)
    training.stop()
  })

  it('stops softly when it waits for a batch that does not come', async () => {
    const training = trainer.train(request({ batch: () => new Promise(() => {}) }))
    training.stop()
    const result = await training.result
    assert.deepEqual([result.steps, result.samples, result.lossSum, result.lastLoss], [0, 0, 0, 0])
    assert.deepEqual(result.theta, request().theta)
    const late = await trainer.train(
      request({ softMs: 5, batch: (i) => (i < 3 ? Promise.resolve(batchOf(i)) : new Promise(() => {})) }),
    ).result
    assert.ok(late.steps <= 3)
  })

  it('stops after softMs', async () => {
    const result = await trainer.train(request({ steps: 1_000_000_000, softMs: 20 })).result
    assert.ok(result.steps >= 1 && result.steps < 1_000_000_000)
  })

  it('does nothing when no steps are asked for', async () => {
    const result = await trainer.train(request({ steps: 0 })).result
    assert.equal(result.steps, 0)
    assert.deepEqual(result.theta, request().theta)
  })

  it('refuses a request that does not fit, and a second one at the same time', async () => {
    const refused: Partial<TrainRequest>[] = [
      { theta: new Float32Array(2) },
      { buffers: new Float32Array(0) },
      { steps: -1 },
      { steps: 1.5 },
      { learningRate: { from: Number.NaN, to: 0 } },
      { softMs: Number.NaN },
    ]
    for (const changes of refused)
      await assert.rejects(trainer.train(request(changes)).result, code('TRAIN_REQUEST_INVALID'))
    const first = trainer.train(request())
    await assert.rejects(trainer.train(request()).result, code('TRAIN_REQUEST_INVALID'))
    assert.equal((await first.result).steps, 40)
  })

  it('ends with the error of a batch that cannot be had or does not fit, and works on', async () => {
    const lost = new Error('the shard is lost')
    const broken: [TrainRequest['batch'], (error: unknown) => boolean][] = [
      [async (i) => (i < 5 ? batchOf(i) : Promise.reject(lost)), (error) => error === lost],
      [async () => ({ samples: 0, tensors: {} }), code('BATCH_MISMATCH')],
      [async () => ({ samples: 5, tensors: {} }), code('BATCH_MISMATCH')],
      [async (i) => ({ ...batchOf(i), tensors: { x: batchOf(i).tensors.x! } }), code('BATCH_MISMATCH')],
      [
        async (i) => ({ samples: 4, tensors: { ...batchOf(i).tensors, x: new Float32Array(11) } }),
        code('BATCH_MISMATCH'),
      ],
      [
        async (i) => ({ samples: 4, tensors: { ...batchOf(i).tensors, x: new Int32Array(12) } }),
        code('BATCH_MISMATCH'),
      ],
    ]
    for (const [batch, expected] of broken) await assert.rejects(trainer.train(request({ batch })).result, expected)
    assert.equal((await trainer.train(request()).result).steps, 40)
  })

  it('names the step at which training diverges, and works on', async () => {
    const poisoned = async (i: number): Promise<TrainBatch> => {
      const batch = batchOf(i)
      if (i === 6) (batch.tensors.x as Float32Array)[0] = Number.POSITIVE_INFINITY
      return batch
    }
    await assert.rejects(
      trainer.train(request({ batch: poisoned })).result,
      (error) => isPinGoError(error, 'TRAINING_DIVERGED') && error.details?.step === 7 && /step 7/.test(error.message),
    )
    // Diverged in the last update: the loss is still finite, the parameters are not.
    const last = trainer.train(
      request({ steps: 1, theta: Float32Array.of(99, 99, 99), learningRate: { from: 3e38, to: 3e38 } }),
    ).result
    await assert.rejects(last, (error) => isPinGoError(error, 'TRAINING_DIVERGED') && /parameter/.test(error.message))
    assert.equal((await trainer.train(request()).result).steps, 40)
  })

  it('takes its own batches alone, whatever its leases and those of a larger one left on the way', async () => {
    const wide = 20_000
    const large = await engine.openTrainer(linearProgram(wide, 8))
    const x = Float32Array.from({ length: 8 * wide }, (_, k) => Math.sin(k) / wide)
    const target = Float32Array.from({ length: 8 }, (_, k) => Math.cos(k))
    const ask: TrainRequest = {
      theta: new Float32Array(wide),
      buffers: Float32Array.of(0),
      steps: 6,
      learningRate: { from: 1, to: 1 },
      batch: async (i) => ({ samples: 8 - i, tensors: { x: x.subarray(i * wide), target: target.subarray(i) } }),
    }
    const [alone, small] = [await large.train(ask).result, await trainer.train(request()).result]
    for (let round = 0; round < 8; round++) {
      // Stopped with batches under way, or left by a failure in the middle.
      const stopped = large.train({
        ...ask,
        steps: 1_000,
        batch: async () => ({ samples: 8, tensors: { x, target } }),
        onStep: ({ steps }) => {
          if (steps === round) stopped.stop()
        },
      })
      if (round === 0) stopped.stop()
      const failed = trainer.train(
        request({
          batch: async (i) => {
            const batch = batchOf(i)
            if (i === round) (batch.tensors.x as Float32Array)[0] = Number.POSITIVE_INFINITY
            return batch
          },
        }),
      )
      await assert.rejects(failed.result, code('TRAINING_DIVERGED'))
      assert.ok((await stopped.result).steps < 1_000)
      const [a, b] = await Promise.all([large.train(ask).result, trainer.train(request()).result])
      assert.deepEqual(a.theta, alone.theta)
      assert.deepEqual(b.theta, small.theta)
    }
    await large.close()
  })

  it('needs no more memory for more steps', async () => {
    const wide = 500_000
    const trainer = await engine.openTrainer(linearProgram(wide, 1))
    const batch = { samples: 1, tensors: { x: new Float32Array(wide).fill(1e-3), target: Float32Array.of(1) } }
    let ask = request({ theta: new Float32Array(wide), batch: async () => batch, steps: 20 })
    for (let lease = 0; lease < 3; lease++) ask = { ...ask, ...(await trainer.train(ask).result), steps: 20 }
    const { rssBytes } = await engine.memory()
    await trainer.train({ ...ask, steps: 400 }).result
    // A step's batch and results are 8 MB: kept for the collector, those of a few tens of steps would show.
    assert.ok((await engine.memory()).rssBytes - rssBytes < 12 << 20)
    await trainer.close()
  })

  it('runs sessions between its steps', async () => {
    const training = trainer.train(request({ steps: 1_000_000 }))
    const session = await engine.open(unary('Relu', [1]))
    const { output } = await session.run({ input: { dtype: 'float32', shape: [1], data: Float32Array.of(3) } })
    assert.deepEqual(output!.data, Float32Array.of(3))
    training.stop()
    assert.ok((await training.result).steps < 1_000_000)
  })

  it('is refused a program that does not fit its graph', async () => {
    const program = linearProgram(FEATURES, BATCH)
    const unfit = [
      { ...program, batch: 5 },
      { ...program, parameters: [] },
      { ...program, parameters: [{ name: 'w', dtype: 'float32' as const, shape: [4] }] },
      { ...program, buffers: [{ name: 'other', dtype: 'float32' as const, shape: [] }] },
      { ...program, state: [{ name: 'moment', dtype: 'float64' as const, shape: [3] }] },
      { ...program, target: { ...program.target, dtype: 'int32' as const } },
      { ...program, parameters: [...program.parameters, ...program.parameters] },
    ]
    for (const wrong of unfit) await assert.rejects(engine.openTrainer(wrong), code('PROGRAM_INVALID'))
  })

  it('keeps the optimiser going from one train to the next', async () => {
    const own = await engine.openTrainer(linearProgram(FEATURES, BATCH, 'momentum'))
    const whole = await own.train(request({ steps: 12 })).result
    const other = await engine.openTrainer(linearProgram(FEATURES, BATCH, 'momentum'))
    const first = await other.train(request({ steps: 5 })).result
    const { theta, buffers } = first
    const second = await other.train(request({ steps: 7, theta, buffers, batch: async (i) => batchOf(i + 5) })).result
    assert.deepEqual(second.theta, whole.theta)
    assert.deepEqual(second.buffers, whole.buffers)
    await own.close()
    await other.close()
    await assert.rejects(own.train(request()).result, code('ENGINE_CLOSED'))
  })
})

describe("a training's hard end", () => {
  it('comes by its signal: the child is killed', async () => {
    const engine = await Engine.start()
    const trainer = await engine.openTrainer(linearProgram(FEATURES, BATCH))
    const controller = new AbortController()
    const training = trainer.train(
      request({ steps: 1_000_000, signal: controller.signal, onStep: () => controller.abort() }),
    )
    await assert.rejects(training.result, code('ENGINE_ABORTED'))
    assert.equal(engine.alive, false)
    await assert.rejects(trainer.train(request()).result, code('ENGINE_ABORTED'))
    await trainer.close()
    await engine.close()
  })

  it('comes by kill and by a crash', async () => {
    for (const [end, wanted] of [
      [(engine: Engine) => engine.kill(), 'ENGINE_KILLED'],
      [(engine: Engine) => process.kill(engine.pid, 'SIGKILL'), 'ENGINE_CRASHED'],
    ] as const) {
      const engine = await Engine.start()
      const trainer = await engine.openTrainer(linearProgram(FEATURES, BATCH))
      let ended = false
      const training = trainer.train(
        request({
          steps: 1_000_000,
          onStep: () => {
            if (!ended) end(engine)
            ended = true
          },
        }),
      )
      await assert.rejects(training.result, code(wanted))
      await engine.close()
    }
  })

  it('as WebAssembly, training gives the same numbers', async () => {
    const engine = await Engine.start({ runtime: 'wasm' })
    try {
      const trainer = await engine.openTrainer(linearProgram(FEATURES, BATCH))
      const result = await trainer.train(request()).result
      close(result.theta, reference(request()).theta)
      assert.deepEqual(result.buffers, Float32Array.of(160))
    } finally {
      await engine.close()
    }
  })
})
