import { type Dataset, openDataset } from '@pingo/data'
import { Engine, type Session } from '@pingo/engine'
import { mergeStats, metricsOf } from '@pingo/graph'
import type { FileStore } from '@pingo/storage'
import { arrayOf, type BatchInput, type ProgramManifest, type Tensor, type TypedArray } from '@pingo/wire'
import { type Base, unflatten } from './base.ts'
import type { Job } from './jobs.ts'

export interface Evaluation {
  loss: number
  metric: number
  /** Further metrics by name, where the program counts for them. */
  metrics?: Record<string, number>
  samples: number
  /** Time that it took, without opening graph and data, ms. */
  millis: number
}

/** Evaluates checkpoints on a job's test data, in an engine child of its own that is closed after a while without use. */
export class Evaluator {
  readonly #files: FileStore
  #engine: Promise<Engine> | undefined
  #open: { job: string; session: Session; data: Dataset } | undefined
  #queue: Promise<unknown> = Promise.resolve()

  constructor(files: FileStore) {
    this.#files = files
  }

  /** Mean loss and metric on the first `limit` test samples (test data are shuffled when imported). One at a time. */
  evaluate(job: Job, base: Base, limit = Number.POSITIVE_INFINITY, signal?: AbortSignal): Promise<Evaluation> {
    const run = this.#queue.then(() => this.#evaluate(job, base, limit, signal))
    this.#queue = run.catch(() => undefined)
    return run
  }

  /** Closes what is open of a job's data. */
  async forget(job: string): Promise<void> {
    const run = this.#queue.then(async () => {
      if (this.#open?.job !== job) return
      this.#open.data.close()
      await this.close()
    })
    this.#queue = run.catch(() => undefined)
    await run
  }

  /** Ends the child; a later evaluation starts a new one. */
  async close(): Promise<void> {
    const engine = this.#engine
    this.#engine = undefined
    this.#open = undefined
    await (await engine?.catch(() => undefined))?.close()
  }

  async #evaluate(job: Job, base: Base, limit: number, signal?: AbortSignal): Promise<Evaluation> {
    try {
      const { session, data } = await this.#session(job)
      const { program } = job
      const samples = Math.min(limit, data.samples)
      const weights = {
        ...Object.fromEntries(unflatten(base.theta, program.parameters)),
        ...Object.fromEntries(unflatten(base.buffers, program.buffers)),
      }
      let [loss, metric] = [0, 0]
      let stats: Float64Array | undefined
      const start = performance.now()
      for (let from = 0; from < samples; from += program.batch) {
        const indices = Array.from({ length: Math.min(program.batch, samples - from) }, (_, i) => from + i)
        const feeds = await batchFeeds(program, data, indices)
        const wanted = ['loss_sum', 'metric_sum', ...(program.stats ? ['metric_stats'] : [])]
        const out = await session.run({ ...weights, ...feeds }, wanted, signal)
        loss += Number(out.loss_sum!.data[0])
        metric += Number(out.metric_sum!.data[0])
        if (program.stats) stats = mergeStats(program.stats, stats, out.metric_stats!.data as Float32Array)
      }
      return {
        loss: loss / samples,
        metric: metric / (samples * program.predictionsPerSample),
        metrics: program.stats && stats && metricsOf(program.stats, stats),
        samples,
        millis: performance.now() - start,
      }
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async #session(job: Job): Promise<{ session: Session; data: Dataset }> {
    if (this.#open?.job === job.row.id) return this.#open
    await this.#open?.session.close()
    this.#engine ??= Engine.start()
    const graph = await this.#files.readAll(job.program.evaluate.cid)
    const session = await (await this.#engine).open(graph)
    const data = openDataset(job.test!.manifest, job.test!.read)
    this.#open = { job: job.row.id, session, data }
    return this.#open
  }
}

/** A batch as feeds of a program's graph: rows padded by zeros up to the static batch, and the weights that mask them. */
async function batchFeeds(program: ProgramManifest, data: Dataset, indices: number[]): Promise<Record<string, Tensor>> {
  const inputs = [...program.inputs, program.target]
  const columns = await data.batch(indices, inputs)
  const weight = new Float32Array(program.batch).fill(1, 0, indices.length)
  const feeds = inputs.map((input) => [input.name, padded(input, columns[input.name]!, program.batch)])
  return { ...Object.fromEntries(feeds), sample_weight: { dtype: 'float32', shape: [program.batch], data: weight } }
}

function padded(input: BatchInput, rows: TypedArray, batch: number): Tensor {
  const size = batch * input.shape.reduce((product, n) => product * n, 1)
  const data = rows.length === size ? rows : new arrayOf[input.dtype](size)
  if (data !== rows) (data as Uint8Array).set(rows as Uint8Array)
  return { dtype: input.dtype, shape: [batch, ...input.shape], data }
}
