import type { BrowserEngine } from '@pingo/engine/browser'
import {
  type ContributorMessage,
  type FogMessage,
  type Hardware,
  HEARTBEAT_MS,
  isPinGoError,
  type Lease,
  type Offer,
  PinGoError,
  sentence,
} from '@pingo/wire'
import { Challenged, type ChallengedSlice } from '../capacity/challenged.ts'
import { LeaseRun } from '../lease-run.ts'
import { VERSION } from '../version.ts'
import { WebFiles } from './fetch-file.ts'
import type { BrowserIdentity } from './identity.ts'
import { type FogSocket, openFogSocket } from './socket.ts'
import { putUpdate } from './upload.ts'
import type { Allowance, BrowserView } from './view.ts'
import { WebWorkbench } from './workbench.ts'

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 10_000
const TRAINING_HEARTBEAT_MS = 1_000
const LEAVE_TIMEOUT_MS = 20_000
/** With no work for so long the engine's worker is ended: its memory is the owner's. */
const IDLE_CLEAR_MS = 60_000
/** Weight of the newest second in the speed that is shown. */
const SPEED_WEIGHT = 0.3

export interface BrowserContributorOptions {
  /** Of the fog node's gateway: the page's own. */
  origin: string
  name: string
  memoryBytes: number
  /** As the browser tells them; one is lent. */
  cores: number
  /** For the list of contributors: 'Chrome on Android'. */
  browser: string
  allowance: Allowance
  identity: BrowserIdentity
  startEngine: (maxMemoryBytes: number) => Promise<BrowserEngine>
  onChange: (view: BrowserView) => void
}

type ReleaseReason = Extract<ContributorMessage, { type: 'release' }>['reason']

/**
 * A contributor in a browser's worker: the same leases, updates and receipts as the native one (`node.ts`), over a WebSocket, with graphs in
 * WebAssembly. One lease at a time; it runs no code but this page's own.
 */
export class BrowserContributor {
  readonly #o: BrowserContributorOptions
  readonly #files: WebFiles
  readonly #bench: WebWorkbench
  readonly #stopping = new AbortController()
  readonly #challenged: Challenged
  readonly #abandoned = new WeakSet<LeaseRun>()
  #allowance: Allowance
  #pausedAt = Date.now()
  #socket: FogSocket | undefined
  #fog: string | undefined
  #reason: string | undefined
  #problem: string | undefined
  #run: LeaseRun | undefined
  #cancel = new AbortController()
  #working: Promise<void> = Promise.resolve()
  #leaving: Promise<void> | undefined
  #heart: ReturnType<typeof setTimeout> | undefined
  #idleSince = Date.now()
  #leases = 0
  #accepted = 0
  #included = 0
  #speed = { perSecond: 0, lease: '', samples: 0, at: 0 }

  constructor(o: BrowserContributorOptions) {
    this.#o = o
    this.#allowance = o.allowance
    this.#files = new WebFiles({ origin: o.origin, maxBytes: o.memoryBytes })
    this.#bench = new WebWorkbench({
      files: this.#files,
      startEngine: () => o.startEngine(o.memoryBytes),
      memoryBytes: o.memoryBytes,
      share: o.allowance.share,
    })
    this.#challenged = new Challenged({
      peerId: o.identity.peerId,
      slice: (index) => (index === 0 ? this.#challengedSlice() : undefined),
      cores: () => this.#allowance.share,
      send: (answer) => this.#socket?.send(answer),
      clock: () => performance.now(),
    })
    void this.#stayConnected()
    this.#beat()
  }

  /** The one that is lent. */
  #challengedSlice(): ChallengedSlice {
    const isPaused = this.#leaving !== undefined || this.#allowance.pause !== undefined
    // a challenge leaves a large heap: the next lease is better off with an engine of its own
    const back = (wasStarted: boolean): void => {
      this.#idleSince = Date.now()
      if (wasStarted && !this.#run) void this.#bench.clear().catch(() => undefined)
    }
    return { cores: this.#allowance.share, isPaused, lend: () => this.#bench.lend(back) }
  }

  view(): BrowserView {
    const { lease, progress } = this.#run ?? {}
    const { pause } = this.#allowance
    return {
      peerId: this.#o.identity.peerId,
      isKept: this.#o.identity.isKept,
      connected: this.#socket !== undefined,
      fog: this.#fog,
      reason: this.#socket ? undefined : this.#reason,
      state: this.#leaving ? 'leaving' : (progress?.state ?? (pause ? 'paused' : 'idle')),
      pause,
      job: lease?.job,
      jobName: lease?.jobName,
      round: lease?.round,
      steps: progress?.steps ?? 0,
      samples: progress?.samples ?? 0,
      loss: progress?.loss,
      samplesPerSecond: this.#run ? this.#speed.perSecond : 0,
      leases: this.#leases,
      samplesAccepted: this.#accepted,
      samplesIncluded: this.#included,
      runtime: this.#bench.runtime,
      capacity: this.#challenged.view(),
      problem: this.#problem,
    }
  }

  /** Holds at once: a pause ends the training after the step that runs, and what is done is handed in. */
  allow(allowance: Allowance): void {
    const wasPaused = this.#allowance.pause !== undefined
    const shareBefore = this.#allowance.share
    if (!wasPaused) this.#pausedAt = Date.now()
    this.#allowance = allowance
    this.#bench.pace(allowance.share)
    if (allowance.pause && this.#run) this.#stop(this.#run)
    if (wasPaused !== (allowance.pause !== undefined)) this.#tell()
    if (allowance.share !== shareBefore) this.#challenged.changed()
    if (allowance.share !== shareBefore) this.#socket?.send({ type: 'offer', offer: this.#offer(), flops: 0 })
    this.#changed()
  }

  /** Ends after the step that runs, hands in what is done, says goodbye. Bounded in time. */
  leave(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    if (this.#run) this.#stop(this.#run)
    this.#changed()
    await Promise.race([this.#working, new Promise((resolve) => setTimeout(resolve, LEAVE_TIMEOUT_MS))])
    this.#socket?.send({ type: 'leave' })
    this.#stopping.abort()
    clearTimeout(this.#heart)
    this.#socket?.close()
    await this.#bench.clear().catch(() => undefined)
  }

  /** What is not being trained yet is given up, the rest ends softly. */
  #stop(run: LeaseRun): void {
    if (run.progress.state === 'fetching') this.#cancel.abort()
    run.stop()
  }

  async #stayConnected(): Promise<void> {
    const { signal } = this.#stopping
    for (let pause = FIRST_RETRY_MS; !signal.aborted && !this.#leaving; ) {
      const wasServed = await this.#serve().catch((error: unknown) => {
        this.#reason = sentence(error)
        return false
      })
      this.#changed()
      if (wasServed) pause = FIRST_RETRY_MS
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())))
      pause = Math.min(pause * 2, LONGEST_RETRY_MS)
    }
  }

  /** One connection, from the dial to its end. Work goes on across connections. @returns whether there was one */
  async #serve(): Promise<boolean> {
    const socket: FogSocket = await openFogSocket({
      origin: this.#o.origin,
      signer: this.#o.identity,
      signal: this.#stopping.signal,
      receive: (message) => this.#receive(socket, message),
    })
    socket.send({
      type: 'hello',
      version: VERSION,
      name: this.#o.name,
      offer: this.#offer(),
      hardware: this.#hardware(),
      flops: 0, // nobody knows before the first lease: fog nodes go by what they measure
      leases: this.#run ? [{ lease: this.#run.lease.id, slice: 0 }] : [],
    })
    this.#reason = await socket.closed
    const wasServed = this.#socket === socket
    if (wasServed) {
      this.#socket = undefined
      this.#challenged.end()
    }
    return wasServed
  }

  #offer(): Offer {
    return { cores: this.#allowance.share, memoryBytes: this.#o.memoryBytes, diskBytes: 0 }
  }

  #hardware(): Hardware {
    return {
      platform: 'browser',
      cpu: this.#o.browser,
      cores: Math.max(1, this.#o.cores),
      memoryBytes: this.#o.memoryBytes,
      runtime: this.#bench.runtime ?? 'onnxruntime-web',
      threads: 1,
      isolation: 'wasm',
    }
  }

  #receive(socket: FogSocket, message: FogMessage): void {
    switch (message.type) {
      case 'welcome':
        this.#socket = socket
        this.#fog = socket.fog
        this.#reason = undefined
        this.#tell()
        break
      case 'lease':
        this.#take(message.lease)
        break
      case 'revoke':
        if (this.#run?.lease.id === message.lease) this.#abandon()
        break
      case 'ended':
        void this.#forget(message.job)
        break
      case 'challenge':
        this.#challenged.receive(message)
        break
      case 'credited':
        this.#challenged.credited(message)
        break
      case 'included':
        this.#included += message.samples
        break
    }
    this.#changed()
  }

  /** A newer lease takes the place of one that still runs: the fog node has given that up. */
  #take(lease: Lease): void {
    if (this.#leaving || this.#allowance.pause) {
      this.#release(lease, this.#givenBack())
      return
    }
    this.#abandon()
    const run = new LeaseRun(lease, Date.now)
    const before = this.#working
    const cancel = new AbortController()
    this.#run = run
    this.#cancel = cancel
    this.#working = before
      .then(() => {
        this.#bench.grant(lease, run.deadline)
        return this.#work(run, cancel.signal)
      })
      .finally(() => this.#bench.endGrant())
  }

  #abandon(): void {
    if (!this.#run) return
    this.#abandoned.add(this.#run)
    this.#stop(this.#run)
  }

  async #forget(job: string): Promise<void> {
    if (this.#run?.lease.job === job) this.#abandon()
    this.#working = this.#working.then(() => this.#bench.forget(job)).catch(() => undefined)
    await this.#working
  }

  async #work(run: LeaseRun, cancelled: AbortSignal): Promise<void> {
    const { lease } = run
    if (this.#abandoned.has(run)) return
    const signal = AbortSignal.any([this.#stopping.signal, cancelled])
    try {
      const outcome = await run.run({
        read: (file, cancel) => this.#files.read(file, cancel),
        bench: this.#bench,
        identity: this.#o.identity,
        signal,
        send: async (body, deadline) => {
          if (this.#abandoned.has(run)) return { accepted: false, code: 'LEASE_REVOKED' }
          this.#changed()
          const { id, ticket } = lease
          return putUpdate({ origin: this.#o.origin, lease: id, ticket, body, deadline, signal })
        },
      })
      this.#problem = undefined
      if (outcome.kind === 'nothing-done') this.#release(lease, this.#givenBack())
      else if (outcome.answer.accepted) {
        this.#leases += 1
        this.#accepted += outcome.samples
      }
    } catch (error) {
      if (!signal.aborted) await this.#failed(lease, error)
      else if (!this.#abandoned.has(run)) this.#release(lease, this.#givenBack())
    } finally {
      if (this.#run === run) this.#run = undefined
      this.#idleSince = Date.now()
      this.#tell()
      this.#changed()
    }
  }

  #givenBack(): ReleaseReason {
    return this.#leaving ? 'leaving' : this.#allowance.pause ? 'paused' : 'superseded'
  }

  async #failed(lease: Lease, error: unknown): Promise<void> {
    this.#problem = sentence(error)
    const refused = ['GRAPH_REFUSED', 'FILE_TOO_LARGE', 'ENGINE_MEMORY'].some((code) => isPinGoError(error, code))
    this.#release(lease, isPinGoError(error, 'TRAINING_DIVERGED') ? 'diverged' : refused ? 'refused' : 'failed', error)
    await this.#bench.clear().catch(() => undefined)
  }

  #release(lease: Lease, reason: ReleaseReason, error?: unknown): void {
    const code = error instanceof PinGoError ? error.code.slice(0, 100) : error === undefined ? undefined : 'INTERNAL'
    const message = error === undefined ? undefined : sentence(error).slice(0, 1000)
    this.#socket?.send({ type: 'release', lease: lease.id, reason, code, message })
  }

  #beat(): void {
    this.#measure()
    this.#tell()
    if (!this.#run && Date.now() - this.#idleSince > IDLE_CLEAR_MS) void this.#bench.clear().catch(() => undefined)
    this.#changed()
    this.#heart = setTimeout(() => this.#beat(), this.#run ? TRAINING_HEARTBEAT_MS : HEARTBEAT_MS)
  }

  /** Follows the speed of the lease that trains; between leases it stays what it was. */
  #measure(): void {
    const { progress, lease } = this.#run ?? {}
    if (progress?.state !== 'training' || !lease) return
    const [now, before] = [performance.now(), this.#speed]
    if (before.lease === lease.id && now > before.at) {
      const perSecond = ((progress.samples - before.samples) / (now - before.at)) * 1000
      before.perSecond += (before.perSecond === 0 ? 1 : SPEED_WEIGHT) * (perSecond - before.perSecond)
    }
    Object.assign(before, { lease: lease.id, samples: progress.samples, at: now })
  }

  /** Tells the fog node what goes on. */
  #tell(): void {
    const { lease, progress } = this.#run ?? {}
    const { pause } = this.#allowance
    const state = progress?.state ?? (pause || this.#leaving ? 'paused' : 'idle')
    const { steps, samples, loss } = progress ?? {}
    this.#socket?.send({
      type: 'heartbeat',
      rssBytes: 0, // no browser tells a worker what it takes
      slices: [{ state, lease: lease?.id, steps, samples, loss }],
      pause: pause && { reason: pause.reason, since: this.#pausedAt },
    })
  }

  #changed(): void {
    this.#o.onChange(this.view())
  }
}
