import { sampleOrder } from '@pingo/data/reading'
import type { TrainBatch, Training } from '@pingo/engine'
import { batchSeed } from '@pingo/graph'
import { encodeDelta, latestUpdateMs } from '@pingo/training'
import {
  bytesView,
  type Lease,
  PinGoError,
  type ProgramManifest,
  readSafetensors,
  type Signer,
  seal,
  UPDATE_TYPE,
  type Update,
  type UpdateAnswer,
} from '@pingo/wire'
import type { ReadFile, Workbench } from './program.ts'

/** What a lease run takes of it: a browser has its own. */
export type LeaseBench = Pick<Workbench, 'prepare'>

/**
 * Fetching and opening a job for the first time may eat up a round: training still gets this part of it, and the fog node's
 * grace waits. Later leases find everything open.
 */
const LEAST_TRAINING_SHARE = 0.5
/** Where sending takes long by the owner's limit, training gets this part of a round at least. */
const LEAST_SHARE_BEFORE_UPLOAD = 0.25
/** An update's bytes beside its delta and buffers: names, numbers, the signature. */
const ENVELOPE_BYTES = 1024

/** Work that a killed process may lose, ms. */
const KEEP_MS = 10_000

type Trained = Pick<
  Awaited<Training['result']>,
  'theta' | 'buffers' | 'steps' | 'samples' | 'lossSum' | 'metricSum' | 'millis'
>

/** A lease's rates lie in a line over its steps. */
const rateOf = ({ learningRate: { from, to } }: Lease, step: number, steps: number): number =>
  from + ((to - from) * step) / steps

export interface LeaseProgress {
  state: 'fetching' | 'training' | 'submitting'
  steps: number
  samples: number
  loss?: number
}

/** What became of a lease. */
export type LeaseOutcome = { kind: 'submitted'; answer: UpdateAnswer; samples: number } | { kind: 'nothing-done' }

/** One lease from its arrival to the fog node's answer. `stop` ends the training at the next step and submits what is done. */
export class LeaseRun {
  readonly lease: Lease
  readonly progress: LeaseProgress = { state: 'fetching', steps: 0, samples: 0 }
  /** ms since epoch. */
  readonly startedAt: number
  readonly #clock: () => number
  /** Of its update. */
  sentBytes = 0
  #training: Training | undefined
  #stopped = false

  constructor(lease: Lease, clock: () => number) {
    this.lease = lease
    this.#clock = clock
    this.startedAt = clock()
  }

  /** When the lease is void, ms since epoch by this machine's clock. */
  get deadline(): number {
    return this.startedAt + this.lease.ttlMs
  }

  stop(): void {
    this.#stopped = true
    this.#training?.stop()
  }

  async run(o: {
    read: ReadFile
    bench: LeaseBench
    identity: Signer
    send: (body: Uint8Array, deadline: number) => Promise<UpdateAnswer>
    signal: AbortSignal
    /** How long an update of so many bytes is under way at the owner's rate, ms; undefined: too long. Absent: there is no rate. */
    uploadMs?: (bytes: number) => number | undefined
    /** Keeps the update of what is done so far, in leases that last longer than `keepMs` (10 s): as much is lost at most when the process is killed. */
    keep?: (body: Uint8Array, deadline: number) => Promise<void>
    keepMs?: number
  }): Promise<LeaseOutcome> {
    const { lease } = this
    const { program, trainer, data } = await o.bench.prepare(lease, o.signal)
    const batches = lease.ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i))
    const order = sampleOrder({ samples: lease.order.samples, seed: lease.order.seed })
    // of its own: an order knows the window that it was last asked for
    const orderAhead = sampleOrder({ samples: lease.order.samples, seed: lease.order.seed })
    const inputs = [...program.inputs, program.target]
    const range = (step: number): [from: number, to: number] => {
      const from = batches[step]! * program.batch
      return [from, Math.min(from + program.batch, lease.order.total)]
    }
    const ahead = Math.floor(data.lookahead / program.batch)
    const batchAt = async (step: number): Promise<TrainBatch> => {
      const [from, to] = range(step)
      if (ahead > 0 && step + ahead < batches.length) data.prefetch(orderAhead.indices(...range(step + ahead)))
      const tensors = await data.batch(order.indices(from, to), inputs)
      return { tensors, samples: to - from, seed: batchSeed(lease.order.seed, batches[step]!) }
    }
    // what is missing is fetched before the clock of the training starts
    const [base, first] = await Promise.all([this.#readBase(o.read, o.signal), batchAt(0)])
    if (this.#stopped) return { kind: 'nothing-done' }

    const forUpload = this.#trainingMsBeforeUpload(program, o.uploadMs)
    this.progress.state = 'training'
    const trained = (done: Trained): Promise<Uint8Array> =>
      seal(o.identity, UPDATE_TYPE, {
        job: lease.job,
        round: lease.round,
        lease: lease.id,
        fence: lease.fence,
        base: lease.base.cid,
        steps: done.steps,
        samples: done.samples,
        lossSum: done.lossSum,
        metricSum: done.metricSum,
        millis: done.millis,
        codec: lease.codec,
        delta: encodeDelta(base.theta, done.theta),
        buffers: bytesView(done.buffers),
      } satisfies Update)
    const softMs = Math.min(
      forUpload,
      Math.max(lease.softMs * LEAST_TRAINING_SHARE, lease.softMs - (this.#clock() - this.startedAt)),
    )
    const parts = o.keep ? Math.ceil(softMs / (o.keepMs ?? KEEP_MS)) : 1
    const endsAt = this.#clock() + softMs
    let done: Trained = { ...base, steps: 0, samples: 0, lossSum: 0, metricSum: 0, millis: 0 }
    for (let part = 0; part < parts && done.steps < batches.length && !this.#stopped; part++) {
      const { theta, buffers, steps: before, samples, lossSum, metricSum, millis } = done
      const sent: TrainBatch[] = []
      this.#training = trainer.train({
        theta,
        buffers,
        steps: batches.length - before,
        learningRate: (i) => rateOf(lease, before + i, batches.length),
        softMs: Math.max(1, (endsAt - this.#clock()) / (parts - part)),
        signal: o.signal,
        batch: async (i) => {
          const batch = before + i === 0 ? first : await batchAt(before + i)
          sent.push(batch)
          return batch
        },
        onStep: (now) => {
          Object.assign(this.progress, { steps: before + now.steps, samples: samples + now.samples, loss: now.loss })
          letGo(sent.shift()!)
        },
      })
      const more = await this.#training.result
      if (more.steps === 0) continue
      done = {
        theta: more.theta,
        buffers: more.buffers,
        steps: before + more.steps,
        samples: samples + more.samples,
        lossSum: lossSum + more.lossSum,
        metricSum: metricSum + more.metricSum,
        millis: millis + more.millis,
      }
      // what cannot be kept is only not kept
      if (part < parts - 1 && !this.#stopped) await o.keep?.(await trained(done), this.deadline).catch(() => undefined)
    }
    if (done.steps === 0) return { kind: 'nothing-done' }

    this.progress.state = 'submitting'
    const body = await trained(done)
    this.sentBytes = body.byteLength
    const answer = await o.send(body, this.deadline)
    return { kind: 'submitted', answer, samples: done.samples }
  }

  /**
   * Training ends so early that the update, sent at the owner's rate, is there at the round's soft end; for a large one a round waits a while longer.
   * @throws PinGoError BANDWIDTH_TOO_LOW: it would come too late to count
   */
  #trainingMsBeforeUpload(program: ProgramManifest, uploadMs?: (bytes: number) => number | undefined): number {
    const { softMs } = this.lease
    const delta = elements(program.parameters) * (1 + 4 / 256) // int8 and a scale for each 256
    const takesMs = uploadMs?.(delta + elements(program.buffers) * 4 + ENVELOPE_BYTES)
    if (!uploadMs || takesMs === 0) return Number.POSITIVE_INFINITY
    const least = softMs * LEAST_SHARE_BEFORE_UPLOAD
    if (takesMs !== undefined && least + takesMs <= latestUpdateMs(this.lease))
      return Math.max(least, softMs - (this.#clock() - this.startedAt) - takesMs)
    throw new PinGoError(
      'BANDWIDTH_TOO_LOW',
      'At the rate that the owner lends, an update of this model cannot be sent before its round ends.',
      { hint: 'Lend more bandwidth; until then this machine trains smaller models.' },
    )
  }

  async #readBase(read: ReadFile, signal: AbortSignal): Promise<{ theta: Float32Array; buffers: Float32Array }> {
    const { tensors } = readSafetensors(await read(this.lease.base, signal))
    return { theta: tensors.get('theta')!.data as Float32Array, buffers: tensors.get('buffers')!.data as Float32Array }
  }
}

/** A batch's memory is free once its step is done, not when a collector finds it: tens of megabytes a second go through. */
function letGo({ tensors }: TrainBatch): void {
  for (const { buffer } of Object.values(tensors))
    if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0)
}

const elements = (tensors: readonly { shape: readonly number[] }[]) =>
  tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0)
