import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Engine } from '@pingo/engine'
import { type Channel, Host } from '@pingo/network'
import type { Source } from '@pingo/storage'
import {
  type ContributorMessage,
  contributorChannel,
  type FogMessage,
  type Hardware,
  HEARTBEAT_MS,
  type Identity,
  isPinGoError,
  type Lease,
  loadIdentity,
  type Offer,
  PinGoError,
  sentence,
} from '@pingo/wire'
import { type Logger, pino } from 'pino'
import { benchmark } from './benchmark.ts'
import { ContributorDisk, type DiskStatus } from './disk.ts'
import { Files } from './files.ts'
import { LeaseRun } from './lease-run.ts'
import { defaultName, readHardware, resolveOffer } from './offer.ts'
import { Workbench } from './program.ts'
import { sendUpdate } from './upload.ts'
import { VERSION } from './version.ts'

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 10_000
const TRAINING_HEARTBEAT_MS = 1_000
/** With no work for so long the engine's child is ended: its memory is the owner's. */
const IDLE_CLEAR_MS = 60_000
const LEAVE_TIMEOUT_MS = 20_000

export interface ContributorOptions {
  /** Folder of all state: identity, disk cache. */
  home: string
  /** Multiaddrs of fog nodes, tried in turn. */
  fog: string[]
  offer?: Partial<Offer>
  /** Space that stays free on the owner's disk, bytes; 1 GiB by default. */
  keepFreeBytes?: number
  name?: string
  logger?: Logger
  /** Called when the state changes, for a live view. */
  onChange?: (status: ContributorStatus) => void
}

export interface ContributorStatus {
  peerId: string
  connected: boolean
  fog?: string
  state: 'idle' | 'fetching' | 'training' | 'submitting'
  job?: string
  round?: number
  steps: number
  samples: number
  loss?: number
  /** Samples in updates that the fog node accepted, and in rounds that it committed. */
  samplesAccepted: number
  samplesIncluded: number
  /** Why it is not connected, a sentence. */
  reason?: string
  disk: DiskStatus
}

type Settled = ContributorOptions & { offer: Offer; logger: Logger; name: string }
type Parts = { host: Host; disk: ContributorDisk; files: Files; bench: Workbench; identity: Identity }
type ContributorChannel = Channel<ContributorMessage, FogMessage>

/** The node on an idle machine: dials a fog node, runs leases at low priority, leaves with its partial work handed in. */
export class Contributor {
  readonly peerId: string
  /** Settles when the contributor has left. */
  readonly closed: Promise<void>
  readonly #o: Settled
  readonly #parts: Parts
  readonly #hardware: Hardware
  readonly #flops: number
  readonly #stopping = new AbortController()
  readonly #ended = Promise.withResolvers<void>()
  #channel: ContributorChannel | undefined
  #source: Source | undefined
  #fog: string | undefined
  #reason: string | undefined
  #run: LeaseRun | undefined
  #working: Promise<void> = Promise.resolve()
  #leaving: Promise<void> | undefined
  #idleSince = Date.now()
  #accepted = 0
  #included = 0

  /** @throws PinGoError OFFER_INVALID, IDENTITY_UNREADABLE, DISK_FULL, ENGINE_START_FAILED */
  static async start(options: ContributorOptions): Promise<Contributor> {
    const offer = resolveOffer(options.offer ?? {})
    const logger = options.logger ?? pino({ level: 'silent' })
    if (options.fog.length === 0)
      throw new PinGoError('FOG_UNKNOWN', 'No fog node is given.', { hint: 'Pass its multiaddr with --fog.' })
    await mkdir(options.home, { recursive: true, mode: 0o700 })
    const identity = await loadIdentity(join(options.home, 'identity.key'))
    const hardware = readHardware()
    const flops = await benchmark(join(options.home, 'benchmark.json'), hardware)
    let diskChanged = () => {}
    const disk = await ContributorDisk.open(join(options.home, 'cache'), {
      quotaBytes: offer.diskBytes,
      keepFreeBytes: options.keepFreeBytes,
      onChange: () => diskChanged(),
    })
    const host = await Host.start({ identity })
    const contributor = new Contributor(
      { ...options, offer, logger, name: options.name ?? defaultName() },
      { identity, host, disk },
      hardware,
      flops,
    )
    diskChanged = () => contributor.#diskChanged()
    void contributor.#stayConnected()
    contributor.#beat()
    return contributor
  }

  private constructor(o: Settled, parts: Omit<Parts, 'files' | 'bench'>, hardware: Hardware, flops: number) {
    this.#o = o
    this.peerId = parts.identity.peerId
    this.closed = this.#ended.promise
    this.#hardware = hardware
    this.#flops = flops
    const files = new Files(parts.disk, () => (this.#source ? [this.#source] : []))
    const bench = new Workbench(files, () =>
      Engine.start({ threads: 1, niceness: 19, maxMemoryBytes: o.offer.memoryBytes, logger: o.logger }),
    )
    this.#parts = { ...parts, files, bench }
  }

  status(): ContributorStatus {
    const { progress, lease } = this.#run ?? {}
    return {
      peerId: this.peerId,
      connected: this.#channel !== undefined,
      fog: this.#fog,
      state: progress?.state ?? 'idle',
      job: lease?.job,
      round: lease?.round,
      steps: progress?.steps ?? 0,
      samples: progress?.samples ?? 0,
      loss: progress?.loss,
      samplesAccepted: this.#accepted,
      samplesIncluded: this.#included,
      reason: this.#reason,
      disk: this.#parts.disk.status(),
    }
  }

  /** Ends after the step that runs, hands in what is done, says goodbye. Bounded in time. */
  leave(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    this.#run?.stop()
    const timeout = sleep(LEAVE_TIMEOUT_MS, undefined, { ref: false })
    await Promise.race([this.#working, timeout])
    await this.#channel?.send({ type: 'leave' }).catch(() => undefined)
    await this.#channel?.close().catch(() => undefined)
    this.#stopping.abort()
    clearTimeout(this.#heart)
    await this.#parts.bench.clear()
    await this.#parts.host.stop()
    await this.#parts.disk.close()
    this.#ended.resolve()
  }

  /** Dials the fog nodes in turn for as long as the contributor lives; pauses grow and are spread by chance. */
  async #stayConnected(): Promise<void> {
    const { signal } = this.#stopping
    let pause = FIRST_RETRY_MS
    for (let turn = 0; !this.#leaving && !signal.aborted; turn++) {
      const address = this.#o.fog[turn % this.#o.fog.length]!
      try {
        await this.#serve(address)
        pause = FIRST_RETRY_MS
      } catch (error) {
        this.#reason = sentence(error)
        this.#o.logger.warn({ fog: address, reason: this.#reason }, 'no connection to the fog node')
      }
      this.#changed()
      await sleep(pause * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
      pause = Math.min(pause * 2, LONGEST_RETRY_MS)
    }
  }

  /** One connection, from the dial to its end. Work goes on across connections. */
  async #serve(address: string): Promise<void> {
    const channel: ContributorChannel = await this.#parts.host.openChannel(address, contributorChannel, {
      signal: this.#stopping.signal,
    })
    try {
      await channel.send({
        type: 'hello',
        version: VERSION,
        name: this.#o.name,
        offer: this.#o.offer,
        hardware: this.#hardware,
        flops: this.#flops,
        leases: this.#run ? [this.#run.lease.id] : [],
      })
      for await (const message of channel.messages) this.#receive(channel, address, message)
    } finally {
      if (this.#channel === channel) this.#channel = undefined
      channel.abort(new Error('over'))
    }
  }

  #receive(channel: ContributorChannel, address: string, message: FogMessage): void {
    switch (message.type) {
      case 'welcome': {
        const { url, port, tls, pin } = message.data
        this.#channel = channel
        this.#fog = address
        this.#reason = undefined
        this.#source = { url: url ?? `${tls ? 'https' : 'http'}://${hostOf(channel.remoteAddress)}:${port}`, pin }
        this.#o.logger.info({ fog: address }, 'connected to the fog node')
        break
      }
      case 'lease':
        this.#take(message.lease)
        break
      case 'revoke':
        if (this.#run?.lease.id === message.lease) this.#abandon(message.reason)
        break
      case 'ended':
        void this.#forget(message.job)
        break
      case 'included':
        this.#included += message.samples
        break
    }
    this.#changed()
  }

  /** A newer lease takes the place of one that is still running: the fog node has given that up. */
  #take(lease: Lease): void {
    if (this.#leaving) {
      this.#release(lease, 'leaving')
      return
    }
    this.#abandon('superseded')
    const run = new LeaseRun(lease, Date.now)
    this.#parts.bench.grant(lease, run.deadline)
    const before = this.#working
    const cancel = new AbortController()
    this.#run = run
    this.#cancel = cancel
    this.#working = before.then(() => this.#work(run, cancel.signal))
  }

  /** A job with private data is over: what is in memory of it goes, as soon as a lease of it that still runs has ended. */
  async #forget(job: string): Promise<void> {
    if (this.#run?.lease.job === job) this.#abandon('the job has ended')
    this.#working = this.#working.then(() => this.#parts.bench.forget(job)).catch(() => undefined)
    await this.#working
  }

  #cancel = new AbortController()

  #abandon(reason: string): void {
    if (!this.#run) return
    this.#o.logger.info({ lease: this.#run.lease.id, reason }, 'lease given up')
    this.#abandoned.add(this.#run)
    if (this.#run.progress.state === 'fetching') this.#cancel.abort()
    else this.#run.stop()
  }

  readonly #abandoned = new WeakSet<LeaseRun>()

  async #work(run: LeaseRun, cancelled: AbortSignal): Promise<void> {
    const { files, bench, disk, identity } = this.#parts
    const { lease } = run
    if (this.#abandoned.has(run)) return
    const signal = AbortSignal.any([this.#stopping.signal, cancelled])
    try {
      const outcome = await run.run({
        files,
        bench,
        identity,
        signal,
        send: async (body, deadline) => {
          if (this.#abandoned.has(run)) return { accepted: false, code: 'LEASE_REVOKED' }
          this.#changed()
          const { id, ticket } = lease
          return sendUpdate({ source: () => this.#source!, lease: id, ticket, body, deadline, clock: Date.now, signal })
        },
      })
      if (outcome.kind === 'nothing-done') this.#release(lease, this.#leaving ? 'leaving' : 'superseded')
      else if (outcome.answer.accepted) this.#accepted += outcome.samples
      else this.#o.logger.info({ lease: lease.id, code: outcome.answer.code }, 'update not accepted')
    } catch (error) {
      if (!signal.aborted) await this.#failed(lease, error)
    } finally {
      if (this.#run === run) this.#run = undefined
      if (disk.isLow) this.#tell()
      this.#idleSince = Date.now()
      void files
        .drop(lease.base)
        .then(() => disk.endLease())
        .catch(() => undefined)
      this.#changed()
    }
  }

  async #failed(lease: Lease, error: unknown): Promise<void> {
    this.#o.logger.warn({ lease: lease.id, job: lease.job, error: sentence(error) }, 'lease failed')
    const reason = isPinGoError(error, 'TRAINING_DIVERGED')
      ? 'diverged'
      : isPinGoError(error, 'GRAPH_REFUSED')
        ? 'refused'
        : isPinGoError(error, 'DISK_LOW')
          ? 'paused'
          : 'failed'
    this.#release(lease, reason, error)
    await this.#parts.bench.clear().catch(() => undefined)
  }

  #release(
    lease: Lease,
    reason: 'leaving' | 'paused' | 'failed' | 'diverged' | 'refused' | 'superseded',
    error?: unknown,
  ): void {
    const code = error instanceof PinGoError ? error.code.slice(0, 100) : error === undefined ? undefined : 'INTERNAL'
    const message = error === undefined ? undefined : sentence(error).slice(0, 1000)
    void this.#channel?.send({ type: 'release', lease: lease.id, reason, code, message }).catch(() => undefined)
  }

  #heart: NodeJS.Timeout | undefined

  #beat(): void {
    this.#tell()
    if (!this.#run && Date.now() - this.#idleSince > IDLE_CLEAR_MS)
      void this.#parts.bench.clear().catch(() => undefined)
    this.#changed()
    this.#heart = setTimeout(() => this.#beat(), this.#run ? TRAINING_HEARTBEAT_MS : HEARTBEAT_MS)
  }

  /** Tells the fog node what goes on; without space on the disk there is no work for this machine. */
  #tell(): void {
    const run = this.#run
    const state = run?.progress.state ?? (this.#parts.disk.isLow ? 'paused' : 'idle')
    const progress = run && {
      lease: run.lease.id,
      steps: run.progress.steps,
      samples: run.progress.samples,
      loss: run.progress.loss,
    }
    void this.#channel
      ?.send({ type: 'heartbeat', state, rssBytes: process.memoryUsage.rss(), ...progress })
      .catch(() => undefined)
  }

  #diskChanged(): void {
    const { isLow, damaged } = this.#parts.disk.status()
    this.#o.logger.info({ isLow, damaged }, 'the disk changed')
    if (!this.#run) this.#tell()
    this.#changed()
  }

  #changed(): void {
    this.#o.onChange?.(this.status())
  }
}

/** The host part of a multiaddr, as a URL wants it. */
function hostOf(multiaddr: string): string {
  const [, kind, host = '127.0.0.1'] = multiaddr.split('/')
  return kind === 'ip6' ? `[${host}]` : host
}
