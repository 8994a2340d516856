import type { Engine } from '@pingo/engine'
import {
  type ContributorMessage,
  type Identity,
  isPinGoError,
  type Lease,
  type LeaseRecord,
  PinGoError,
  type Slice as SliceOffer,
  type SliceReport,
  sentence,
  type UpdateAnswer,
} from '@pingo/wire'
import type { Logger } from 'pino'
import { HELD_PACE, type Loan, lendEngine } from './capacity/loan.ts'
import { LeaseRun } from './lease-run.ts'
import { type ReadFile, type ReadPart, Workbench } from './program.ts'

/** With no work for so long the engine's child is ended: its memory is the owner's. */
const IDLE_CLEAR_MS = 60_000

type Reason = Extract<ContributorMessage, { type: 'release' }>['reason']

/** What a slice knows of a lease that it ran. */
export type SliceRecord = Omit<LeaseRecord, 'lease' | 'job' | 'jobName' | 'fog' | 'round'>

/** What a slice does to the world. */
export interface SlicePorts {
  identity: Identity
  logger: Logger
  clock: () => number
  read: ReadFile
  readPart: ReadPart
  startEngine(offer: SliceOffer): Promise<Engine>
  /** Sends an update until it is answered. */
  deliver(lease: Lease, body: Uint8Array, deadline: number, signal: AbortSignal): Promise<UpdateAnswer>
  /** How long an update of so many bytes is under way at the owner's rate, ms; undefined: too long. */
  uploadMs(bytes: number): number | undefined
  /** Keeps what a long lease has done so far, for a process that comes after this one. */
  keep(lease: Lease, body: Uint8Array, deadline: number): Promise<void>
  /** To the fog node, when there is a connection. */
  tell(message: ContributorMessage): void
  /** A lease is over: what it held on to may go. */
  ended(lease: Lease, what: SliceRecord): void
  /** It begins to work, or its engine is new. */
  began(): void
  accepted(lease: Lease, samples: number): void
  changed(): void
}

/** A fraction of the machine: at most one core, an engine of its own, one lease at a time. */
export class Slice {
  readonly index: number
  readonly #ports: SlicePorts
  readonly #bench: Workbench
  #offer: SliceOffer
  #run: LeaseRun | undefined
  #working: Promise<void> = Promise.resolve()
  #cancel = new AbortController()
  readonly #abandoned = new WeakSet<LeaseRun>()
  readonly #stopping = new AbortController()
  /** Why it takes no lease now. */
  #closedFor: 'leaving' | 'paused' | undefined
  #idleSince: number
  /** CPU share of its engine while it trains, when no challenge holds it. */
  #pace = 1
  #holds = 0

  constructor(index: number, offer: SliceOffer, ports: SlicePorts) {
    this.index = index
    this.#offer = offer
    this.#ports = ports
    this.#idleSince = ports.clock()
    const startEngine = async () => {
      const engine = await ports.startEngine(this.#offer)
      queueMicrotask(() => ports.began())
      return engine
    }
    this.#bench = new Workbench({ read: ports.read, readPart: ports.readPart, startEngine })
  }

  get offer(): SliceOffer {
    return this.#offer
  }

  /** The lease under way. */
  get run(): LeaseRun | undefined {
    return this.#run
  }

  get engine(): Engine | undefined {
    return this.#bench.engine
  }

  report(): SliceReport {
    const { progress, lease } = this.#run ?? {}
    if (!progress) return { state: this.#closedFor ? 'paused' : 'idle' }
    const { state, steps, samples, loss } = progress
    return { state, lease: lease!.id, steps, samples, loss }
  }

  /** A newer lease takes the place of one that is still running: the fog node has given that up. */
  take(lease: Lease): void {
    if (this.#closedFor) {
      this.#release(lease, this.#closedFor)
      return
    }
    this.#abandon('superseded')
    const run = new LeaseRun(lease, this.#ports.clock)
    this.#bench.grant(lease, run.deadline)
    const before = this.#working
    const cancel = new AbortController()
    this.#run = run
    this.#cancel = cancel
    this.#ports.began()
    this.#working = before.then(() => this.#work(run, cancel.signal))
  }

  revoke(lease: string, reason: string): void {
    if (this.#run?.lease.id === lease) this.#abandon(reason)
  }

  /** A job with private data is over: what is in memory of it goes, as soon as a lease of it that still runs has ended. */
  async forget(job: string): Promise<void> {
    if (this.#run?.lease.job === job) this.#abandon('the job has ended')
    this.#working = this.#working.then(() => this.#bench.forget(job)).catch(() => undefined)
    await this.#working
  }

  /** Takes no more leases; the one that runs ends after the step under way, and what is done is handed in. Settles when that is so. */
  stop(why: 'leaving' | 'paused'): Promise<void> {
    this.#closedFor = why
    // what is only being fetched and opened has nothing to hand in
    if (this.#run?.progress.state === 'fetching') this.#cancel.abort()
    else this.#run?.stop()
    return this.#working
  }

  /** Takes leases again. */
  resume(): void {
    if (this.#closedFor === 'paused') this.#closedFor = undefined
  }

  /** What it has from now on; an engine with other memory starts anew after the lease that runs. */
  change(offer: SliceOffer): void {
    const other = offer.memoryBytes !== this.#offer.memoryBytes
    this.#offer = offer
    if (other) this.#working = this.#working.then(() => this.clear())
  }

  /** CPU share of its engine while it trains, 0 … 1; holds from now on. */
  pace(share: number): void {
    this.#pace = share
    this.engine?.pace(this.#holds > 0 ? Math.min(share, HELD_PACE) : share)
  }

  /** Lends its engine, started when there is none, for a challenge of the fog node. @throws PinGoError ENGINE_START_FAILED … */
  async lend(): Promise<Loan> {
    const hadEngine = this.engine !== undefined
    const engine = await this.#bench.start()
    return lendEngine(
      engine,
      (by) => {
        this.#holds += by
        this.pace(this.#pace)
      },
      () => {
        this.#idleSince = this.#ports.clock()
        // a challenge leaves a large heap: the next lease is better off with an engine of its own
        if (!hadEngine) void this.clear()
      },
    )
  }

  /** Ends the engine, whose memory is the owner's when there is no work. */
  async clear(): Promise<void> {
    if (!this.#run) await this.#bench.clear().catch(() => undefined)
  }

  /** Called now and then. */
  look(): void {
    if (!this.#run && this.#ports.clock() - this.#idleSince > IDLE_CLEAR_MS) void this.clear()
  }

  /** At once, whatever runs. */
  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#bench.clear()
  }

  #abandon(reason: string): void {
    if (!this.#run) return
    this.#ports.logger.info({ lease: this.#run.lease.id, reason }, 'lease given up')
    this.#abandoned.add(this.#run)
    if (this.#run.progress.state === 'fetching') this.#cancel.abort()
    else this.#run.stop()
  }

  async #work(run: LeaseRun, cancelled: AbortSignal): Promise<void> {
    const { identity, read, logger } = this.#ports
    const { lease } = run
    if (this.#abandoned.has(run)) return
    const signal = AbortSignal.any([this.#stopping.signal, cancelled])
    const startedAt = this.#ports.clock()
    const cpuBefore = this.engine?.cpuMs() ?? 0
    let outcome: Pick<LeaseRecord, 'outcome' | 'why'> = { outcome: 'given-back' }
    try {
      const done = await run.run({
        read,
        bench: this.#bench,
        identity,
        signal,
        uploadMs: this.#ports.uploadMs,
        keep: (body, deadline) => this.#ports.keep(lease, body, deadline),
        send: async (body, deadline) => {
          if (this.#abandoned.has(run)) return { accepted: false, code: 'LEASE_REVOKED' }
          this.#ports.changed()
          return this.#ports.deliver(lease, body, deadline, signal)
        },
      })
      if (done.kind === 'nothing-done') this.#release(lease, this.#closedFor ?? 'superseded')
      else if (done.answer.accepted) {
        outcome = { outcome: 'accepted' }
        this.#ports.accepted(lease, done.samples)
      } else {
        outcome = { outcome: 'not-accepted', why: done.answer.code }
        logger.info({ lease: lease.id, code: done.answer.code }, 'update not accepted')
      }
    } catch (error) {
      if (!signal.aborted) {
        outcome = { outcome: 'failed', why: error instanceof PinGoError ? error.code : 'INTERNAL' }
        await this.#failed(lease, error)
      } else if (this.#closedFor && !this.#abandoned.has(run)) this.#release(lease, this.#closedFor)
    } finally {
      if (this.#run === run) this.#run = undefined
      this.#idleSince = this.#ports.clock()
      this.#ports.ended(lease, {
        slice: this.index,
        startedAt,
        endedAt: this.#idleSince,
        steps: run.progress.steps,
        samples: run.progress.samples,
        cpuMs: Math.max(0, (this.engine?.cpuMs() ?? cpuBefore) - cpuBefore),
        sentBytes: run.sentBytes,
        ...outcome,
      })
      this.#ports.changed()
    }
  }

  async #failed(lease: Lease, error: unknown): Promise<void> {
    this.#ports.logger.warn({ lease: lease.id, job: lease.job, error: sentence(error) }, 'lease failed')
    this.#release(lease, reasonOf(error), error)
    await this.#bench.clear().catch(() => undefined)
  }

  #release(lease: Lease, reason: Reason, error?: unknown): void {
    const code = error instanceof PinGoError ? error.code.slice(0, 100) : error === undefined ? undefined : 'INTERNAL'
    const message = error === undefined ? undefined : sentence(error).slice(0, 1000)
    this.#ports.tell({ type: 'release', lease: lease.id, reason, code, message })
  }
}

function reasonOf(error: unknown): Reason {
  if (isPinGoError(error, 'TRAINING_DIVERGED')) return 'diverged'
  if (isPinGoError(error, 'GRAPH_REFUSED') || isPinGoError(error, 'BANDWIDTH_TOO_LOW')) return 'refused'
  return isPinGoError(error, 'DISK_LOW') || isPinGoError(error, 'DATA_CAP_REACHED') ? 'paused' : 'failed'
}
