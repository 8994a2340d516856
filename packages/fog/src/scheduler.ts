import type { FileStore } from '@pingo/storage'
import { type JobCommand, type LeaseGrant, restoreJob } from '@pingo/training'
import {
  type Explanation,
  type FogMessage,
  isFinal,
  type Lease,
  PinGoError,
  sentence,
  type UpdateAnswer,
} from '@pingo/wire'
import {
  createFog,
  explain,
  type FogCommand,
  type FogEvent,
  type FogState,
  indexOf,
  peerOf,
  pendingFogCommands,
  stepFog,
} from './core/index.ts'
import type { Database } from './database.ts'
import type { Job, Jobs } from './jobs.ts'
import { type Merged, mergeJobRound } from './merge.ts'
import type { ReceivedUpdate } from './updates.ts'

const TICK_MS = 1_000

/** What the scheduler does to the world. Contributors are peers here; the core's are slices. */
export interface SchedulerPorts {
  clock: () => number
  send(contributor: string, message: FogMessage): boolean
  disconnect(contributor: string, reason: string): void
  nameOf(contributor: string): string
  /** The bearer token of a lease. */
  ticketOf(lease: string): string
  /** The key of a job's training data where they are private. @throws PinGoError GRANT_MISSING, GRANT_EXPIRED */
  keyOf(job: Job): Uint8Array | undefined
  /** The files of a round that is about to be committed. */
  pinRound(job: Job, round: number, cids: Iterable<string>): void
  /** A round of a job was committed. */
  committed(job: Job, round: number): void
  /** A job's last round was committed, or it ended otherwise. */
  finished(job: Job, outcome: { state: 'done' | 'stopped' | 'failed'; reason?: string }): void
  /** Something is broken that a restart may heal: the process should end. */
  fatal(error: unknown): void
}

/**
 * The shell of the scheduling core: feeds it events, makes its journal durable, then carries out its commands.
 * Order matters: nothing is told to anybody before it would survive kill -9.
 */
export class Scheduler {
  #state: FogState = createFog()
  readonly #db: Database
  readonly #jobs: Jobs
  readonly #files: FileStore
  readonly #ports: SchedulerPorts
  readonly #answers = new Map<string, (answer: UpdateAnswer) => void>()
  readonly #leases = new Map<string, string>()
  readonly #merged = new Map<string, Merged>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(o: { db: Database; jobs: Jobs; files: FileStore; ports: SchedulerPorts }) {
    this.#db = o.db
    this.#jobs = o.jobs
    this.#files = o.files
    this.#ports = o.ports
  }

  /** Takes up a job that was running when the fog node ended. */
  restore(job: Job): void {
    const { snapshot, journal } = this.#db.recovery(job.row.id)
    const core = restoreJob(snapshot, journal)
    const submittedAt = job.row.submittedAt
    this.dispatch({
      type: 'job-restored',
      at: this.#ports.clock(),
      core,
      memoryBytes: job.row.submission.memoryBytes,
      submittedAt,
    })
    for (const { id } of core.outstanding) this.#leases.set(id, job.row.id)
    this.#carryOut(pendingFogCommands(this.#state, job.row.id))
  }

  /** Feeds one event. Durable first, then told. */
  dispatch(event: FogEvent): void {
    if (this.#closed) return
    const { state, commands, journal } = stepFog(this.#state, event)
    const commits = commands.filter((command) => command.type === 'committed')
    if (journal.length > 0 || commits.length > 0) {
      try {
        this.#db.transaction(() => {
          for (const { job, event } of journal) if (this.#known(job)) this.#db.appendJournal(job, event)
          for (const command of commits) this.#commit(state, command)
        })
      } catch (error) {
        this.#ports.fatal(error)
        return
      }
    }
    this.#state = state
    this.#carryOut(commands)
  }

  /** Asks the core about a stored update; resolves with its answer, durable by then. */
  submit({ contributor, update, cid, norm }: ReceivedUpdate): Promise<UpdateAnswer> {
    return new Promise((resolve) => {
      this.#answers.set(update.lease, resolve)
      const { job, lease, fence, round, base, steps, samples, lossSum, metricSum, millis } = update
      this.dispatch({
        type: 'update',
        at: this.#ports.clock(),
        job,
        contributor,
        lease,
        fence,
        round,
        base,
        steps,
        samples,
        lossSum,
        metricSum,
        millis,
        update: cid,
        norm,
      })
      if (this.#answers.delete(update.lease))
        resolve({ accepted: false, code: 'LEASE_UNKNOWN', message: 'This lease is not known (any more).' })
    })
  }

  jobOfLease = (lease: string): string | undefined => this.#leases.get(lease)

  explain = (job: string): Explanation | undefined => explain(this.#state, job)

  /** The core of a job, to be kept as its first snapshot. */
  coreOf(job: string) {
    return this.#state.jobs[job]?.core
  }

  start(): void {
    this.#timer = setInterval(() => this.dispatch({ type: 'tick', at: this.#ports.clock() }), TICK_MS)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#wake)
  }

  #wake: NodeJS.Timeout | undefined
  #wakeAt = Number.POSITIVE_INFINITY

  #known = (id: string): boolean => this.#jobs.all().some(({ row }) => row.id === id)

  #commit(state: FogState, command: Extract<FogCommand, { type: 'committed' }>): void {
    const job = this.#jobs.get(command.job)
    const merged = this.#merged.get(command.job)!
    job.row.base = merged.base
    job.row.momentum = merged.momentum
    this.#jobs.commit(job, command.round, (id) => this.#ports.nameOf(id))
    this.#db.saveSnapshot(command.job, state.jobs[command.job]!.core)
  }

  #carryOut(commands: readonly FogCommand[]): void {
    for (const command of commands) this.#do(command)
  }

  #do(command: FogCommand): void {
    switch (command.type) {
      case 'disconnect':
        this.#ports.disconnect(command.contributor, command.reason)
        return
      case 'wake':
        this.#setWake(command.at)
        return
      case 'grant':
        this.#grant(command.job, command.lease)
        return
      case 'revoke':
        this.#forget(command.job, command.lease)
        this.#ports.send(peerOf(command.contributor), { type: 'revoke', lease: command.lease, reason: command.reason })
        return
      case 'answer': {
        const { accepted, code, message } = command
        this.#answers.get(command.lease)?.({ accepted, code, message })
        this.#answers.delete(command.lease)
        return
      }
      case 'merge':
        void this.#merge(command)
        return
      case 'committed':
        this.#committed(command)
        return
      case 'finished':
        this.#finished(command)
        return
    }
  }

  #grant(id: string, grant: LeaseGrant): void {
    const job = this.#jobs.get(id)
    if (job.row.state === 'queued') this.#jobs.setState(job, 'running')
    this.#leases.set(grant.id, id)
    const { contributor: slice, ...rest } = grant
    const contributor = peerOf(slice)
    const { submission } = job.row
    let key: Uint8Array | undefined
    try {
      key = this.#ports.keyOf(job)
    } catch (error) {
      queueMicrotask(() =>
        this.dispatch({ type: 'job-failed', at: this.#ports.clock(), job: id, reason: sentence(error) }),
      )
      return
    }
    const total = this.#state.jobs[id]!.core.settings.totalSamples
    const lease: Lease = {
      ...rest,
      job: id,
      program: submission.program,
      dataset: submission.train,
      order: { samples: job.samples, seed: submission.seed, total },
      codec: 'int8-256',
      slice: indexOf(slice),
      jobName: submission.name,
      ticket: this.#ports.ticketOf(grant.id),
      key,
    }
    job.inFlight.set(grant.id, { contributor, samples: 0 })
    this.#ports.send(contributor, { type: 'lease', lease })
  }

  async #merge(command: Extract<JobCommand, { type: 'merge' }> & { job: string }): Promise<void> {
    const { job: id, round, base, included } = command
    const job = this.#jobs.get(id)
    try {
      const merged = await mergeJobRound(this.#files, job, base, included)
      if (this.#closed || isFinal(job.row.state)) return
      this.#ports.pinRound(job, round, [merged.base.cid, merged.momentum.cid, ...included.map(({ update }) => update)])
      this.#merged.set(id, merged)
      this.dispatch({ type: 'merged', at: this.#ports.clock(), job: id, round, base: merged.base })
    } catch (error) {
      if (this.#closed) return
      this.#jobs.log(job, 'error', `Round ${round} could not be merged: ${sentence(error)}`)
      if (error instanceof PinGoError && error.code !== 'DISK_FULL')
        this.dispatch({ type: 'job-failed', at: this.#ports.clock(), job: id, reason: sentence(error) })
      else this.#ports.fatal(error)
    }
  }

  #committed(command: Extract<FogCommand, { type: 'committed' }>): void {
    const { job: id, round } = command
    for (const { contributor, lease, samples } of round.included) {
      this.#forget(id, lease)
      this.#ports.send(peerOf(contributor), { type: 'included', job: id, lease, round: round.round, samples })
    }
    for (const { lease } of round.excluded) this.#forget(id, lease)
    this.#ports.committed(this.#jobs.get(id), round.round)
  }

  #finished(command: Extract<FogCommand, { type: 'finished' }>): void {
    const job = this.#jobs.get(command.job)
    for (const [lease, owner] of this.#leases) if (owner === command.job) this.#leases.delete(lease)
    if (job.row.private) {
      const workers = [...job.inFlight.values(), ...job.shares].map(({ contributor }) => contributor)
      for (const contributor of new Set(workers)) this.#ports.send(contributor, { type: 'ended', job: command.job })
    }
    job.inFlight.clear()
    this.#ports.finished(job, { state: command.state, reason: command.reason })
  }

  #forget(job: string, lease: string): void {
    this.#jobs.get(job).inFlight.delete(lease)
    this.#leases.delete(lease)
  }

  #setWake(at: number): void {
    const now = this.#ports.clock()
    if (at >= this.#wakeAt && this.#wakeAt > now) return
    clearTimeout(this.#wake)
    this.#wakeAt = at
    this.#wake = setTimeout(
      () => {
        this.#wakeAt = Number.POSITIVE_INFINITY
        this.dispatch({ type: 'tick', at: this.#ports.clock() })
      },
      Math.max(0, Math.min(at - now, 2 ** 30)),
    )
  }
}
