import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Page } from 'playwright-core'
import { benchmarkModels } from '../testing/benchmark-models.ts'
import { BrowserStage } from '../testing/browser/stage.ts'
import { trainNatively } from '../testing/native.ts'

/** Greatest difference of a step's loss between the browser and Node, absolute; losses begin at ln 10 = 2.3. */
const TOLERANCE = 1e-4

const nativeLosses = async (name: keyof typeof benchmarkModels, steps: number) =>
  (await trainNatively(benchmarkModels[name](), steps)).losses

function agree(losses: number[], native: number[]): void {
  assert.equal(losses.length, native.length)
  for (const [i, loss] of losses.entries())
    assert.ok(Math.abs(loss - native[i]!) <= TOLERANCE, `step ${i + 1}: ${loss} in the browser, ${native[i]} in Node`)
}

describe('the engine in a browser', { timeout: 120_000 }, () => {
  let stage: BrowserStage
  let page: Page
  before(async () => {
    stage = await BrowserStage.open()
    page = await stage.page('plain')
  })
  after(() => stage?.[Symbol.asyncDispose]())

  it('trains model A along the native curve, on a page without isolation, and to the same bits twice', async () => {
    const native = await nativeLosses('mlp', 30)
    const { isolated, first, same } = await page.evaluate(async () => {
      const first = await pingo.train('mlp', 30)
      const second = await pingo.train('mlp', 30)
      const same = first.theta.every((value, i) => Object.is(value, second.theta[i]))
      return { isolated: crossOriginIsolated, first: { ...first, theta: first.theta.length }, same }
    })
    assert.equal(isolated, false)
    agree(first.losses, native)
    assert.ok(first.losses.at(-1)! < first.losses[0]! - 0.5, `it learned: ${first.losses}`)
    assert.equal(first.theta, 535_818)
    assert.equal(same, true)
  })

  it('trains the convolutional model along the native curve', async () => {
    const native = await nativeLosses('cnn', 8)
    agree(await page.evaluate(async () => (await pingo.train('cnn', 8)).losses), native)
  })

  it('uses threads where the page is cross-origin isolated, and one where it is not', async () => {
    const isolated = await stage.page('isolated')
    try {
      const threaded = await isolated.evaluate(async () => {
        const { losses, threads } = await pingo.train('mlp', 5, { threads: 2 })
        return { losses, threads, isolated: crossOriginIsolated }
      })
      assert.deepEqual([threaded.threads, threaded.isolated], [2, true])
      agree(threaded.losses, await nativeLosses('mlp', 5))
    } finally {
      await isolated.close()
    }
    const warned = await page.evaluate(async () => {
      const warnings: string[] = []
      const logger = { debug() {}, warn: (_: unknown, text: string) => warnings.push(text) }
      await using engine = await pingo.BrowserEngine.start({ threads: 2, wasmPaths: '/ort/', logger })
      return { warnings, threads: engine.info.threads }
    })
    assert.equal(warned.threads, 1)
    assert.match(warned.warnings[0]!, /not cross-origin isolated/)
  })

  it('finds its own WebAssembly where the bundler put it, when it is not told where', async () => {
    const info = await page.evaluate(async () => {
      await using engine = await pingo.BrowserEngine.start()
      const threaded = await pingo.BrowserEngine.start({ threads: 2 }).then(
        String,
        (error: { code: string }) => error.code,
      )
      return { ...engine.info, threaded }
    })
    assert.equal(info.threaded, 'ENGINE_OPTIONS_INVALID')
    assert.equal(info.runtime, 'onnxruntime-web')
    assert.match(info.version, /^\d+\.\d+\.\d+/)
  })

  it('leases end as in Node: whole, at a stop, after softMs, at a divergence that names its step', async () => {
    const seen = await page.evaluate(async () => {
      await using engine = await pingo.BrowserEngine.start({ wasmPaths: '/ort/' })
      const program = pingo.linearProgram()
      const trainer = await engine.openTrainer(program)
      const asked: number[] = []
      const batch = (rows = 4) => ({
        samples: rows,
        tensors: { x: Float32Array.from({ length: rows * 3 }, (_, k) => Math.sin(k)), target: new Float32Array(rows) },
      })
      const request = {
        theta: Float32Array.of(0.1, -0.2, 0.3),
        buffers: Float32Array.of(0),
        steps: 40,
        learningRate: { from: 0.1, to: 0.1 },
        batch: async (i: number) => {
          asked.push(i)
          return i === 39 ? batch(2) : batch()
        },
      }
      const whole = await trainer.train(request).result
      const inOrder = asked.every((i, at) => i === at) && asked.length === 40
      const stopped = trainer.train({
        ...request,
        steps: 100_000,
        onStep: ({ steps }) => steps === 3 && stopped.stop(),
        batch: async () => batch(),
      })
      const partial = await stopped.result
      const soft = await trainer.train({ ...request, steps: 1e6, batch: async () => batch(), softMs: 30 }).result
      const code = (error: { code: string; details?: { step?: number } }) => [error.code, error.details?.step]
      const diverged = await trainer
        .train({ ...request, steps: 1000, learningRate: { from: 1e9, to: 1e9 }, batch: async () => batch() })
        .result.then(() => 'no error', code)
      const misfit = await trainer
        .train({ ...request, batch: async () => ({ samples: 4, tensors: { x: new Float32Array(1) } }) })
        .result.then(() => 'no error', code)
      const again = await trainer.train(request).result
      return {
        whole: { steps: whole.steps, samples: whole.samples, seen: whole.buffers[0] },
        kept: request.theta.length,
        inOrder,
        partial: partial.steps,
        soft: soft.steps,
        diverged,
        misfit,
        again: again.steps,
      }
    })
    assert.deepEqual(seen.whole, { steps: 40, samples: 158, seen: 158 })
    assert.equal(seen.kept, 3, 'what was handed in is not moved away')
    assert.equal(seen.inOrder, true)
    assert.ok(seen.partial >= 3 && seen.partial < 1000, `stopped after ${seen.partial} steps`)
    assert.ok(seen.soft > 0 && seen.soft < 1e6, `ended softly after ${seen.soft} steps`)
    assert.equal(seen.diverged[0], 'TRAINING_DIVERGED')
    assert.ok(Number(seen.diverged[1]) > 1)
    assert.equal(seen.misfit[0], 'BATCH_MISMATCH')
    assert.equal(seen.again, 40)
  })

  it('is killed in the middle of a lease, by kill and by its signal', async () => {
    const codes = await page.evaluate(async () => {
      const end = async (how: (engine: { kill(): void }, abort: AbortController) => void) => {
        const abort = new AbortController()
        const engine = await pingo.BrowserEngine.start({ wasmPaths: '/ort/', signal: abort.signal })
        const trainer = await engine.openTrainer(pingo.linearProgram())
        const { result } = trainer.train({
          theta: new Float32Array(3),
          buffers: new Float32Array(1),
          steps: 1e6,
          learningRate: { from: 0.1, to: 0.1 },
          batch: async () => ({ samples: 4, tensors: { x: new Float32Array(12), target: new Float32Array(4) } }),
          onStep: () => how(engine, abort),
        })
        const code = await result.then(
          () => 'no error',
          (error: { code: string }) => error.code,
        )
        const late = await engine.open(pingo.unary('Neg')).then(
          () => 'no error',
          (error: { code: string }) => error.code,
        )
        return [code, late, engine.alive]
      }
      return [await end((engine) => engine.kill()), await end((_, abort) => abort.abort())]
    })
    assert.deepEqual(codes, [
      ['ENGINE_KILLED', 'ENGINE_KILLED', false],
      ['ENGINE_ABORTED', 'ENGINE_ABORTED', false],
    ])
  })

  it('screens graphs on the page, runs those that pass, and says so when its files are not there', async () => {
    const seen = await page.evaluate(async () => {
      const code = (error: { code: string; hint?: string }) => [error.code, error.hint]
      await using engine = await pingo.BrowserEngine.start({ wasmPaths: '/ort/' })
      const session = await engine.open(pingo.unary('Neg', [2]))
      // A view into something larger: the rest of it stays where it is.
      const data = new Float32Array(1000).subarray(10, 12)
      data.set([1, -2])
      const { output } = await session.run({ input: { dtype: 'float32', shape: [2], data } })
      const refused = await engine.open(pingo.unary('Loop')).then(() => ['no error'], code)
      const lost = await pingo.BrowserEngine.start({ wasmPaths: '/nowhere/' }).then(() => ['no error'], code)
      return { output: [...(output!.data as Float32Array)], kept: data.length, refused: refused[0], lost }
    })
    assert.deepEqual(seen.output, [-1, 2])
    assert.equal(seen.kept, 2)
    assert.equal(seen.refused, 'GRAPH_REFUSED')
    assert.equal(seen.lost[0], 'ENGINE_START_FAILED')
    assert.match(seen.lost[1]!, /wasmPaths/)
  })
})
