import { randomBytes } from 'node:crypto'
import type { ReadableDataset } from '@pingo/data'
import type { FileStore } from '@pingo/storage'
import { createJob } from '@pingo/training'
import {
  type FileRef,
  type Identity,
  isFinal,
  type JobGrant,
  type JobSubmission,
  type JobView,
  type Ledger,
  PinGoError,
  sentence,
} from '@pingo/wire'
import type { Logger } from 'pino'
import { decodeBase } from './base.ts'
import type { Database, JobRow } from './database.ts'
import type { Evaluation, Evaluator } from './evaluator.ts'
import { writeResult } from './finish.ts'
import type { Grants } from './grants.ts'
import { type Job, type Jobs, totalSamplesOf } from './jobs.ts'
import type { Scheduler } from './scheduler.ts'
import { type Checked, checkSubmission, initialBase, readDataset, readProgram, settingsOf } from './submit.ts'
import { sendWebhook } from './webhook.ts'

/** Test samples on which a round's checkpoint is evaluated, for the curve; the finished model is evaluated on all. */
const LIVE_TEST_SAMPLES = 1_000
/** Evaluating takes at most one part in so many of the time. */
const LIVE_TEST_SHARE = 15
/** Rounds whose updates and checkpoints are kept, so that the merge can be audited. */
const KEPT_ROUNDS = 2
/** Files of past rounds are removed when so many have gathered. */
const SWEEP_AT_FILES = 64

export type Outcome = { state: 'done' | 'stopped' | 'failed'; reason?: string }

export interface JobDeskParts {
  db: Database
  jobs: Jobs
  files: FileStore
  evaluator: Evaluator
  grants: Grants
  identity: Identity
  clock: () => number
  logger: Logger
  signal: AbortSignal
}

/** The life of jobs beside their rounds: taken in, evaluated, finished, picked up after a restart. */
export class JobDesk {
  readonly #o: JobDeskParts
  readonly #nextTest = new Map<string, number>()
  readonly #background = new Set<Promise<unknown>>()
  /** Files of past rounds that nothing pins any more. */
  readonly #past = new Set<string>()
  /** Set once, right after both are made: they call each other. */
  scheduler!: Scheduler

  constructor(o: JobDeskParts) {
    this.#o = o
  }

  /** Takes a job in: durable when this returns. @throws PinGoError for anything that is missing or does not fit */
  async submit(submission: JobSubmission): Promise<JobView> {
    const { grants: given = [], ...kept } = submission
    const id = `job-${randomBytes(6).toString('hex')}`
    try {
      return await this.#take(id, kept, given)
    } catch (error) {
      if (!this.#o.jobs.has(id)) await this.#o.grants.end(id)
      throw error
    }
  }

  async #take(id: string, submission: JobRow['submission'], given: readonly JobGrant[]): Promise<JobView> {
    const { db, jobs, files, grants, clock } = this.#o
    grants.hold(id, given)
    const unsealOf = (dataset: string) =>
      given.some(({ object }) => object === dataset) ? grants.unsealOf(id, dataset) : undefined
    const checked = await checkSubmission(files, submission, unsealOf)
    await grants.keep(id, given)
    const base = await initialBase(files, checked.program, roundLabel(id, 0))
    const at = clock()
    const row: JobRow = { id, submission, state: 'queued', submittedAt: at, base }
    if (checked.train.sealed || checked.test?.sealed) row.private = true
    const settings = settingsOf(id, submission, checked, at)
    for (const ref of filesOf(submission, checked)) files.blocks.pin(ref.cid, id)
    db.transaction(() => db.insertJob(row, createJob(settings, base, at)))
    const { samples } = checked.train.manifest
    const job = jobs.add(row, checked.program, { ...checked, samples })
    jobs.log(job, 'info', `Taken in: ${samples} samples, ${submission.epochs} epochs.`)
    this.scheduler.dispatch({ type: 'job-submitted', at, settings, base, memoryBytes: submission.memoryBytes })
    return jobs.view(job)
  }

  /** Takes up all jobs after a start: ended ones to show, running ones to go on from their last committed round. */
  async restore(): Promise<void> {
    const { db, grants, logger } = this.#o
    const rows = db.jobs()
    await grants.forgetAllBut(new Set(rows.filter(({ state }) => !isFinal(state)).map(({ id }) => id)))
    for (const row of rows) {
      try {
        await this.#restore(row)
      } catch (error) {
        logger.error({ job: row.id, error: sentence(error) }, 'a job could not be taken up again')
      }
    }
  }

  async #restore(row: JobRow): Promise<void> {
    const { db, jobs, files, grants } = this.#o
    const { submission, id } = row
    const program = await readProgram(files, submission.program)
    const { samples } = db.recovery(id).snapshot.settings
    const shown = () => jobs.add(row, program, { samples })
    if (row.private && isFinal(row.state)) return void shown() // its keys are gone
    let data: { train: ReadableDataset; test: ReadableDataset | undefined }
    try {
      if (row.private) await grants.restore(id)
      const dataset = (ref: FileRef) => readDataset(files, ref, row.private ? grants.unsealOf(id, ref.cid) : undefined)
      data = { train: await dataset(submission.train), test: submission.test && (await dataset(submission.test)) }
    } catch (error) {
      if (!row.private) throw error
      this.#end(shown(), { state: 'failed', reason: `Its private data cannot be read any more: ${sentence(error)}` })
      return
    }
    const job = jobs.add(row, program, { ...data, samples })
    if (row.state === 'finishing') this.#finish(job, 'done')
    else if (!isFinal(row.state)) {
      this.scheduler.restore(job)
      jobs.log(job, 'info', `The fog node restarted; the job goes on from round ${job.rounds}.`)
    }
  }

  stop(job: Job): JobView {
    if (isFinal(job.row.state) || job.row.state === 'finishing')
      throw new PinGoError('JOB_ENDED', `Job '${job.row.id}' has ended already (${job.row.state}).`)
    this.scheduler.dispatch({ type: 'job-stop', at: this.#o.clock(), job: job.row.id, reason: 'stopped by its owner' })
    return this.#o.jobs.view(job)
  }

  ledger(job: Job): Ledger {
    const samplesTotal = totalSamplesOf(job.samples, job.row.submission.epochs)
    return {
      job: job.row.id,
      state: job.row.state,
      batch: job.program.batch,
      samplesTotal,
      batchesTotal: Math.ceil(samplesTotal / job.program.batch),
      entries: this.#o.db.ledger(job.row.id),
    }
  }

  /** Before a round is committed, its files are pinned under the round's name … */
  pinRound(job: Job, round: number, cids: Iterable<string>): void {
    for (const cid of cids) this.#o.files.blocks.pin(cid, roundLabel(job.row.id, round))
  }

  /** … and after it, those of older rounds are let go, and the checkpoint may be evaluated. */
  committed(job: Job, round: number): void {
    this.#letGo(job, round - KEPT_ROUNDS)
    if (!job.test || this.#o.clock() < (this.#nextTest.get(job.row.id) ?? 0)) return
    this.#nextTest.set(job.row.id, Number.POSITIVE_INFINITY)
    const checkpoint = job.row.base
    this.#inBackground(async () => {
      try {
        const test = await this.#evaluate(job, checkpoint, LIVE_TEST_SAMPLES)
        this.#o.jobs.evaluated(job, round, test)
        this.#nextTest.set(job.row.id, this.#o.clock() + test.millis * LIVE_TEST_SHARE)
      } catch (error) {
        this.#o.jobs.log(job, 'warn', `Round ${round} could not be evaluated: ${sentence(error)}`)
      }
    })
  }

  /** A job's rounds are over: writes the result where there is one, and tells its owner. */
  finished(job: Job, outcome: Outcome): void {
    if (isFinal(job.row.state)) return
    if (outcome.state === 'failed' || job.rounds === 0) this.#end(job, outcome)
    else {
      this.#o.jobs.setState(job, 'finishing', outcome.reason)
      this.#finish(job, outcome.state, outcome.reason)
    }
  }

  /** Waits for what is under way (evaluations, webhooks): they are cut by the signal. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#background)
  }

  #finish(job: Job, state: 'done' | 'stopped', reason?: string): void {
    this.#inBackground(async () => {
      const { files, identity, clock } = this.#o
      try {
        const now = clock()
        const test = job.test && (await this.#evaluate(job, job.row.base))
        if (test) job.lastTest = test
        const result = await writeResult({ files, job, fog: identity.peerId, now, test })
        for (const ref of Object.values(result)) files.blocks.pin(ref.cid, job.row.id)
        if (test) this.#o.jobs.evaluated(job, job.rounds, test)
        this.#end(job, { state, reason }, { result })
        for (let round = Math.max(0, job.rounds - KEPT_ROUNDS); round <= job.rounds; round++) this.#letGo(job, round)
        await this.#sweep()
      } catch (error) {
        if (this.#o.signal.aborted) return // taken up again after the restart
        this.#end(job, { state: 'failed', reason: `The result could not be written: ${sentence(error)}` })
      }
    })
  }

  #end(job: Job, { state, reason }: Outcome, changes: Partial<JobRow> = {}): void {
    this.#o.jobs.setState(job, state, reason, changes)
    if (job.row.private) this.#inBackground(() => this.#forgetData(job))
    if (this.#o.jobs.all().every(({ row }) => isFinal(row.state))) this.#inBackground(() => this.#o.evaluator.close())
    const { webhook: url } = job.row.submission
    if (!url) return
    this.#inBackground(async () => {
      const { identity, clock, signal, jobs } = this.#o
      if (!(await sendWebhook({ url, job: jobs.view(job), identity, clock, signal })))
        jobs.log(job, 'warn', `The webhook ${new URL(url).host} did not answer.`)
    })
  }

  /** The end of a job is the end of its keys, and of what was opened by them. */
  async #forgetData(job: Job): Promise<void> {
    job.train = job.test = undefined
    await this.#o.grants.end(job.row.id)
    await this.#o.evaluator.forget(job.row.id)
  }

  async #evaluate(job: Job, base: FileRef, limit?: number): Promise<Evaluation> {
    const { files, evaluator, signal } = this.#o
    return evaluator.evaluate(job, decodeBase(await files.readAll(base.cid)), limit, signal)
  }

  /** Unpins a round's files: a long job must not fill the disk with its past. */
  #letGo(job: Job, round: number): void {
    const { blocks } = this.#o.files
    const label = roundLabel(job.row.id, round)
    for (const { root, kind } of blocks.pins()) if (kind === label) this.#past.add(root)
    blocks.unpinAll(label)
    if (this.#past.size >= SWEEP_AT_FILES) this.#inBackground(() => this.#sweep())
  }

  /** Removes the blocks of files that were let go, but for those that another pin reaches. */
  async #sweep(): Promise<void> {
    const { files } = this.#o
    const roots = [...this.#past]
    this.#past.clear()
    const blocks = await Promise.all(roots.map((root) => files.chunks(root).catch(() => [])))
    await files.blocks.gc({ among: [...roots, ...blocks.flat()] })
  }

  #inBackground(work: () => Promise<void>): void {
    const running = work().catch((error: unknown) =>
      this.#o.logger.error({ error: sentence(error) }, 'background work failed'),
    )
    this.#background.add(running)
    void running.finally(() => this.#background.delete(running))
  }
}

const roundLabel = (job: string, round: number): string => `${job}/round/${round}`

/** All files that a job needs for as long as it is known. */
function filesOf(submission: JobRow['submission'], { program, train, test }: Checked): FileRef[] {
  const datasets = [train, test].filter((dataset) => dataset !== undefined)
  const shards = datasets.flatMap(({ manifest, sealed }) => sealed?.files ?? manifest.shards.map(({ file }) => file))
  const sealed = datasets.map((dataset) => dataset.sealed?.manifest)
  const manifests = [submission.program, submission.train, submission.test, ...sealed].filter(
    (ref) => ref !== undefined,
  )
  return [...manifests, ...shards, program.step, program.evaluate, program.model, program.initial]
}
