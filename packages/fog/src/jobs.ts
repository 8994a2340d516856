import { EventEmitter } from 'node:events'
import type { ReadableDataset } from '@pingo/data'
import type { CommittedRound } from '@pingo/training'
import {
  isFinal,
  type JobEvent,
  type JobState,
  type JobView,
  type LedgerEntry,
  lossKindOf,
  type MetricValues,
  PinGoError,
  type ProgramManifest,
  type RoundView,
  type Share,
  sizeOf,
  type TrainingView,
} from '@pingo/wire'
import { peerOf } from './core/index.ts'
import type { Database, JobRow } from './database.ts'
import { Speed } from './speed.ts'
import { trainingView } from './training-view.ts'

/** A job in memory: its durable row, the manifests it names, and what is only worth knowing while it runs. */
export interface Job {
  row: JobRow
  program: ProgramManifest
  /** Samples of the training data. */
  samples: number
  /** Absent when they were private and the job has ended: then nobody here can read them. */
  train: ReadableDataset | undefined
  test: ReadableDataset | undefined
  training: TrainingView
  shares: Share[]
  rounds: number
  samplesDone: number
  lastRound: RoundView | undefined
  /** The newest round that was evaluated on test data. */
  lastTest: Tested | undefined
  speed: Speed
  /** Progress that contributors reported of leases that are still out, by lease. */
  inFlight: Map<string, { contributor: string; samples: number }>
  nextSeq: number
}

type Tested = { metric: number; loss: number; metrics?: MetricValues }

export const parametersOf = (program: ProgramManifest): number =>
  program.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
export const buffersOf = (program: ProgramManifest): number =>
  program.buffers.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
export const totalSamplesOf = (samples: number, epochs: number): number => Math.max(1, Math.floor(samples * epochs))

/** The jobs of a fog node: their rows, their views and their event streams. */
export class Jobs {
  readonly #jobs = new Map<string, Job>()
  readonly #emitter = new EventEmitter().setMaxListeners(0)
  readonly #db: Database
  readonly #clock: () => number

  constructor(db: Database, clock: () => number) {
    this.#db = db
    this.#clock = clock
  }

  /** Takes a job into memory, as a new one or after a restart. */
  add(
    row: JobRow,
    program: ProgramManifest,
    data: { samples: number; train?: ReadableDataset; test?: ReadableDataset },
  ): Job {
    const lastRound = this.#db.rounds(row.id, 1)[0]
    const tested = this.#db.rounds(row.id, 50).findLast((round) => round.testMetric !== undefined)
    const job: Job = {
      row,
      program,
      samples: data.samples,
      train: data.train,
      test: data.test,
      training: trainingView(row.submission, program),
      shares: this.#db.shares(row.id),
      rounds: lastRound?.round ?? 0,
      samplesDone: lastRound?.samplesDone ?? 0,
      lastRound,
      lastTest: tested && { metric: tested.testMetric!, loss: tested.testLoss!, metrics: tested.testMetrics },
      speed: new Speed(),
      inFlight: new Map(),
      nextSeq: this.#db.lastEventSeq(row.id) + 1,
    }
    this.#jobs.set(row.id, job)
    return job
  }

  /** @throws PinGoError JOB_UNKNOWN */
  get(id: string): Job {
    const job = this.#jobs.get(id)
    if (!job)
      throw new PinGoError('JOB_UNKNOWN', `There is no job '${id}' on this fog node.`, {
        hint: 'pingo job list shows the jobs.',
      })
    return job
  }

  has(id: string): boolean {
    return this.#jobs.has(id)
  }

  all(): Job[] {
    return [...this.#jobs.values()]
  }

  /** Changes a job's state durably and tells its followers. */
  setState(job: Job, state: JobState, reason?: string, changes: Partial<JobRow> = {}): void {
    if (isFinal(job.row.state)) return
    const now = this.#clock()
    Object.assign(job.row, changes, { state, reason })
    if (state === 'running') job.row.startedAt ??= now
    if (isFinal(state)) job.row.endedAt = now
    this.#db.transaction(() => {
      this.#db.saveJob(job.row)
      this.#publish(job, { type: 'state', job: this.view(job) })
    })
  }

  log(job: Job, level: 'info' | 'warn' | 'error', message: string): void {
    this.#publish(job, { type: 'log', level, message })
  }

  /** Writes a committed round: to be called inside the transaction that saves the job's snapshot. */
  commit(job: Job, committed: CommittedRound, nameOf: (contributor: string) => string): void {
    const { row, program } = job
    const at = this.#clock()
    const view: RoundView = {
      round: committed.round,
      at,
      millis: committed.millis,
      samples: committed.samples,
      samplesDone: committed.samplesDone,
      samplesPerSecond: committed.samplesPerSecond,
      loss: committed.loss,
      metric: committed.metric / program.predictionsPerSample,
      learningRate: committed.learningRate,
      checkpoint: committed.base.cid,
      shares: sharesOf(committed).map((share) => ({ ...share, name: nameOf(share.contributor) })),
      excluded: committed.excluded.map(({ contributor, reason }) => ({ contributor: peerOf(contributor), reason })),
    }
    for (const entry of ledgerEntries(committed)) this.#db.appendLedger(row.id, entry)
    for (const { contributor, samples } of view.shares) this.#db.creditContributor(contributor, samples)
    this.#db.saveRound(row.id, view)
    this.#db.saveJob(row)
    job.rounds = committed.round
    job.samplesDone = committed.samplesDone
    job.lastRound = view
    job.shares = this.#db.shares(row.id)
    this.#publish(job, { type: 'round', round: view })
  }

  /** Adds the result of evaluating a round's checkpoint; followers get the round again, with its test figures. */
  evaluated(job: Job, round: number, test: Tested): void {
    job.lastTest = test
    const view = this.#db.round(job.row.id, round)
    if (!view) return
    const complete = { ...view, testMetric: test.metric, testLoss: test.loss, testMetrics: test.metrics }
    this.#db.transaction(() => {
      this.#db.saveRound(job.row.id, complete)
      this.#publish(job, { type: 'round', round: complete })
    })
    if (job.lastRound?.round === round) job.lastRound = complete
  }

  noteProgress(job: Job, lease: string, contributor: string, samples: number): void {
    job.inFlight.set(lease, { contributor, samples })
  }

  /** Reads the speed window of all running jobs and sends their followers a progress event (not stored). */
  tick(): void {
    const at = this.#clock()
    for (const job of this.#jobs.values()) {
      if (job.row.state !== 'running') continue
      job.speed.note(at, job.samplesDone + inFlightSamples(job))
      if (this.#emitter.listenerCount(job.row.id) > 0)
        this.#emitter.emit(job.row.id, {
          type: 'progress',
          seq: job.nextSeq - 1,
          at,
          job: this.view(job),
        } satisfies JobEvent)
    }
  }

  subscribe(id: string, listener: (event: JobEvent) => void): () => void {
    this.#emitter.on(id, listener)
    return () => this.#emitter.off(id, listener)
  }

  view(job: Job): JobView {
    const { row, program, lastRound } = job
    const total = totalSamplesOf(job.samples, row.submission.epochs)
    const inFlight = inFlightSamples(job)
    const running = row.state === 'running'
    const elapsed = row.endedAt && row.startedAt ? row.endedAt - row.startedAt : undefined
    const perSecond = running
      ? job.speed.perSecond || lastRound?.samplesPerSecond || 0
      : elapsed
        ? (job.samplesDone / elapsed) * 1000
        : 0
    const left = Math.max(0, total - job.samplesDone - inFlight)
    return {
      id: row.id,
      name: row.submission.name,
      state: row.state,
      reason: row.reason,
      submittedAt: row.submittedAt,
      startedAt: row.startedAt,
      endedAt: row.endedAt,
      program: row.submission.program.cid,
      train: row.submission.train.cid,
      test: row.submission.test?.cid,
      metricName: program.metric,
      lossName: lossKindOf(program.loss),
      parameters: parametersOf(program),
      batch: program.batch,
      epochs: row.submission.epochs,
      training: job.training,
      rounds: job.rounds,
      samplesDone: job.samplesDone,
      samplesTotal: total,
      samplesPerSecond: perSecond,
      samplesInFlight: inFlight,
      loss: lastRound?.loss,
      metric: lastRound?.metric,
      testMetric: job.lastTest?.metric,
      testLoss: job.lastTest?.loss,
      testMetrics: job.lastTest?.metrics,
      contributors: running
        ? new Set([...job.inFlight.values()].map(({ contributor }) => contributor)).size
        : job.shares.length,
      etaMs: running && perSecond > 0 ? (left / perSecond) * 1000 : undefined,
      shares: job.shares,
      result: row.result,
      private: row.private,
    }
  }

  #publish(job: Job, body: DistributiveOmit<JobEvent, 'seq' | 'at'>): void {
    const event = { ...body, seq: job.nextSeq++, at: this.#clock() } as JobEvent
    this.#db.appendEvent(job.row.id, event)
    queueMicrotask(() => this.#emitter.emit(job.row.id, event)) // after the transaction that it may be part of
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

function inFlightSamples(job: Job): number {
  let sum = 0
  for (const { samples } of job.inFlight.values()) sum += samples
  return sum
}

/** What each contributor's slices have in a round together. */
function sharesOf({ shares, included }: CommittedRound): (CommittedRound['shares'][number] & { millis: number })[] {
  const millisOf = (slice: string) =>
    included.filter(({ contributor }) => contributor === slice).reduce((sum, { millis }) => sum + millis, 0)
  const byPeer = new Map<string, CommittedRound['shares'][number] & { millis: number }>()
  for (const share of shares) {
    const contributor = peerOf(share.contributor)
    const before = byPeer.get(contributor)
    byPeer.set(contributor, {
      ...share,
      contributor,
      samples: (before?.samples ?? 0) + share.samples,
      updates: (before?.updates ?? 0) + share.updates,
      millis: (before?.millis ?? 0) + millisOf(share.contributor),
    })
  }
  return [...byPeer.values()]
}

/** A line for each contiguous run of batches. */
function ledgerEntries(committed: CommittedRound): LedgerEntry[] {
  return committed.included.flatMap(({ lease, contributor, update, ranges }) =>
    ranges.map(({ from, to, samples }) => ({
      round: committed.round,
      lease,
      contributor: peerOf(contributor),
      from,
      to,
      samples,
      update,
    })),
  )
}
