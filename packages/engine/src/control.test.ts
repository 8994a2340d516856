import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { Engine, type TrainBatch, type Trainer, type TrainRequest } from './index.ts'
import { slowFeeds, slowGraph } from './testing/graphs.ts'
import { unary } from './testing/onnx.ts'
import { linearProgram } from './testing/programs.ts'
import { float32 } from './testing/tensors.ts'

const linux = process.platform === 'linux'
/** Steps of some milliseconds. */
const FEATURES = 4096
const BATCH = 1024

const batch: TrainBatch = {
  samples: BATCH,
  tensors: { x: new Float32Array(FEATURES * BATCH).fill(1e-3), target: new Float32Array(BATCH) },
}

const request = (changes: Partial<TrainRequest> = {}): TrainRequest => ({
  theta: new Float32Array(FEATURES).fill(0.1),
  buffers: Float32Array.of(0),
  steps: 1_000_000,
  learningRate: { from: 1e-3, to: 1e-3 },
  batch: async () => batch,
  ...changes,
})

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Resolves once something is so; the deadline is for a machine that others load. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !holds(); await pause(5))
    if (performance.now() > end) assert.fail(`it never came that ${what}`)
}

describe('the pace of an engine', () => {
  let engine: Engine
  let trainer: Trainer
  before(async () => {
    engine = await Engine.start()
    trainer = await engine.openTrainer(linearProgram(FEATURES, BATCH))
  })
  after(() => engine.close())

  it('parks at a step boundary with nothing lost, and goes on to the same bits', async () => {
    engine.pace(1)
    const whole = await trainer.train(request({ steps: 30 })).result
    let steps = 0
    const training = trainer.train(request({ steps: 30, onStep: (progress) => (steps = progress.steps) }))
    await until('it trains', () => steps >= 3)
    engine.pace(0)
    await until('it is parked', () => engine.parked)
    const parkedAt = steps
    await pause(100)
    assert.ok(parkedAt < 30, 'it was parked in the middle')
    assert.equal(steps, parkedAt)
    engine.pace(1)
    assert.equal(engine.parked, false)
    const result = await training.result
    assert.deepEqual(result.theta, whole.theta)
    assert.equal(result.steps, 30)
  })

  it('hands in what is done when a parked lease is stopped, or comes to its soft end', async () => {
    engine.pace(1)
    let steps = 0
    const training = trainer.train(request({ onStep: (progress) => (steps = progress.steps) }))
    await until('it trains', () => steps >= 2)
    engine.pace(0)
    await until('it is parked', () => engine.parked)
    training.stop()
    assert.equal((await training.result).steps, steps)

    const soft = await trainer.train(request({ softMs: 50 })).result
    assert.equal(soft.steps, 0)
    assert.deepEqual(soft.theta, request().theta)
  })

  it('holds back graphs that are to be opened or run, not what tidies up', async () => {
    engine.pace(1)
    const session = await engine.open(unary('Relu', [1]))
    engine.pace(0)
    assert.equal(engine.parked, true)
    let ran = false
    const run = session.run({ input: float32([1], [2]) }).then((result) => {
      ran = true
      return result
    })
    const { steps } = await trainer.saveState()
    assert.ok(steps > 0)
    assert.equal(ran, false)
    engine.pace(0.5)
    assert.deepEqual((await run).output, float32([1], [2]))
  })

  it('refuses what is no share', () => {
    for (const share of [-0.1, 1.1, Number.NaN])
      assert.throws(
        () => engine.pace(share),
        (error) => isPinGoError(error, 'ENGINE_OPTIONS_INVALID'),
      )
  })

  if (linux)
    it('is a share of the CPU, by CPU time, from one moment to the next', async () => {
      engine.pace(1)
      let steps = 0
      const training = trainer.train(request({ onStep: (progress) => (steps = progress.steps) }))
      await until('it trains', () => steps >= 3)
      for (const share of [0.25, 0.5]) {
        engine.pace(share)
        await pause(300)
        const [began, before] = [performance.now(), engine.cpuMs()!]
        await pause(3000)
        const used = (engine.cpuMs()! - before) / (performance.now() - began)
        // Less is no fault of the pace: others load this machine.
        assert.ok(used < share * 1.15 && used > share * 0.3, `${share} became ${used}`)
      }
      training.stop()
      await training.result
    })

  it('does not count as the time of a step', async () => {
    await using hasty = await Engine.start({ runTimeoutMs: 4000, pace: 0 })
    const opening = hasty.openTrainer(linearProgram(FEATURES, BATCH))
    hasty.pace(1)
    const short = await opening
    let steps = 0
    const training = short.train(request({ onStep: (progress) => (steps = progress.steps) }))
    await until('it trains', () => steps >= 2)
    hasty.pace(0)
    await until('it is parked', () => hasty.parked)
    await pause(5000)
    assert.equal(hasty.alive, true)
    hasty.pace(1)
    const parkedAt = steps
    await until('it trains on', () => steps > parkedAt)
    training.stop()
    await training.result
  })
})

if (process.platform !== 'win32')
  describe('a frozen engine', () => {
    it('stands still in the middle of a step, its limits too, and goes on', async () => {
      await using engine = await Engine.start({ runTimeoutMs: 4000 })
      const trainer = await engine.openTrainer(linearProgram(FEATURES, BATCH))
      let steps = 0
      const training = trainer.train(request({ onStep: (progress) => (steps = progress.steps) }))
      await until('it trains', () => steps >= 2)
      assert.equal(engine.freeze(), true)
      assert.equal(engine.frozen, true)
      if (linux)
        await until('it is stopped', () => /^State:\s+T/m.test(readFileSync(`/proc/${engine.pid}/status`, 'utf8')))
      await pause(100)
      const frozenAt = steps
      const used = engine.cpuMs()
      await pause(5000)
      assert.equal(steps, frozenAt)
      assert.equal(engine.cpuMs(), used)
      assert.equal(engine.alive, true)
      engine.thaw()
      await until('it goes on', () => steps > frozenAt)
      training.stop()
      await training.result
    })

    it('can be closed and killed', async () => {
      for (const end of ['close', 'kill'] as const) {
        const engine = await Engine.start({ runTimeoutMs: 1000 })
        const session = await engine.open(slowGraph(2000))
        const run = session.run(slowFeeds()).catch((error) => error.code)
        engine.freeze()
        engine[end]()
        assert.equal(await run, end === 'kill' ? 'ENGINE_KILLED' : 'ENGINE_CLOSED')
        await engine.close()
        assert.equal(engine.freeze(), false)
      }
    })
  })
