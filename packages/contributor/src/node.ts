import { setTimeout as sleep } from 'node:timers/promises'
import { Engine } from '@pingo/engine'
import {
  type ContributorMessage,
  type FogMessage,
  HEARTBEAT_MS,
  type Lease,
  type MachineView,
  type Offer,
  PinGoError,
  type Slice as SliceOffer,
  type SliceReport,
  sentence,
} from '@pingo/wire'
import { type Logger, pino } from 'pino'
import { Challenged, type ChallengedSlice } from './capacity/challenged.ts'
import { Connection } from './connection.ts'
import type { DiskStatus } from './disk.ts'
import { Files } from './files.ts'
import { Governor } from './governor.ts'
import type { History } from './history.ts'
import { KeptWork } from './kept-work.ts'
import { machineView } from './machine-view.ts'
import { resolveOffer } from './offer.ts'
import type { OwnerSettings } from './owner/settings.ts'
import type { OwnerWatch } from './owner/verdict.ts'
import { closeParts, openParts, type Parts } from './parts.ts'
import { Slice, type SlicePorts } from './slice.ts'
import { sendUpdate, uploadMs } from './upload.ts'
import { VERSION } from './version.ts'

const TRAINING_HEARTBEAT_MS = 1_000
const LEAVE_TIMEOUT_MS = 20_000

export interface ContributorOptions {
  /** Folder of all state: identity, disk cache, history. */
  home: string
  /** Multiaddrs of fog nodes, tried in turn. */
  fog: string[]
  /** What the owner lends; {@link Contributor.change} changes it. */
  settings: OwnerSettings
  /** Watches the owner and the machine; by default this machine's own sensors. */
  watch?: OwnerWatch
  logger?: Logger
  /** Called when the state changes, for a live view. */
  onChange?: (status: ContributorStatus) => void
}

export interface ContributorStatus {
  peerId: string
  connected: boolean
  fog?: string
  /** The most that one of its slices does. */
  state: 'idle' | 'fetching' | 'training' | 'submitting'
  slices: SliceReport[]
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

type Settled = ContributorOptions & { logger: Logger }
/** The node on an idle machine: dials a fog node, runs leases in its slices at low priority, leaves with its partial work handed in. */
export class Contributor {
  readonly peerId: string
  /** Settles when the contributor has left. */
  readonly closed: Promise<void>
  readonly #o: Settled
  readonly #parts: Parts
  readonly #files: Files
  #kept: KeptWork | undefined
  readonly #stopping = new AbortController()
  readonly #ended = Promise.withResolvers<void>()
  /** By index. Those past the offer's count hand in what they have, and go. */
  readonly #slices: Slice[] = []
  readonly #watch: OwnerWatch
  readonly #governor: Governor
  readonly #startedAt = Date.now()
  #settings: OwnerSettings
  readonly #challenged: Challenged
  #offer: Offer & { slices: SliceOffer[] }
  readonly #connection: Connection
  #leaving: Promise<void> | undefined
  #accepted = 0
  #included = 0
  /** The connection over which the forecast was told. */
  #toldOn: object | undefined

  /** @throws PinGoError OFFER_INVALID, IDENTITY_UNREADABLE, DISK_FULL, ENGINE_START_FAILED, HISTORY_UNREADABLE */
  static async start(options: ContributorOptions): Promise<Contributor> {
    const logger = options.logger ?? pino({ level: 'silent' })
    if (options.fog.length === 0)
      throw new PinGoError('FOG_UNKNOWN', 'No fog node is given.', { hint: 'Pass its multiaddr with --fog.' })
    const offer = offerOf(options.settings)
    let diskChanged = () => {}
    const parts = await openParts({ ...options, logger, onDiskChange: () => diskChanged() })
    const contributor = new Contributor({ ...options, logger }, parts, offer)
    contributor.#kept = await KeptWork.open(options.home, contributor.#files, Date.now())
    diskChanged = () => contributor.#diskChanged()
    void contributor.#connection.stay()
    contributor.#beat()
    return contributor
  }

  private constructor(o: Settled, parts: Parts, offer: Offer & { slices: SliceOffer[] }) {
    this.#o = o
    this.peerId = parts.identity.peerId
    this.closed = this.#ended.promise
    this.#settings = o.settings
    this.#offer = offer
    this.#parts = parts
    this.#connection = new Connection({
      host: parts.host,
      fog: o.fog,
      bandwidth: parts.bandwidth,
      monthlyBytes: () => this.#settings.monthlyBytes,
      logger: o.logger,
      hello: () => this.#hello(),
      receive: (message) => this.#receive(message),
      changed: () => this.#connectionChanged(),
    })
    const sources = () => (this.#connection.source ? [this.#connection.source] : [])
    this.#files = new Files(parts.disk, sources, parts.bandwidth)
    this.#slices = offer.slices.map((slice, index) => new Slice(index, slice, this.#portsOf(index)))
    this.#watch = parts.watch
    this.#governor = new Governor({
      slices: () => this.#slices,
      watch: parts.watch,
      cores: () => this.#offer.cores,
      residentBytes: (engine) => engine.residentBytes(),
      ownBytes: () => process.memoryUsage.rss(),
      onChange: () => {
        this.#tell()
        this.#changed()
      },
    })
    this.#challenged = new Challenged({
      peerId: this.peerId,
      slice: (index) => this.#challengedSlice(index),
      cores: () => this.#offer.cores,
      send: (answer) => this.#send(answer),
      logger: o.logger,
      clock: () => performance.now(),
    })
  }

  #challengedSlice(index: number): ChallengedSlice | undefined {
    const slice = this.#slices[index]
    if (!slice) return undefined
    const isPaused = this.#leaving !== undefined || this.#governor.isPaused || slice.report().state === 'paused'
    return { cores: slice.offer.cores, isPaused, lend: () => slice.lend() }
  }

  status(): ContributorStatus {
    const run = this.#slices.find((slice) => slice.run)?.run
    return {
      peerId: this.peerId,
      connected: this.#connection.current !== undefined,
      fog: this.#connection.address,
      state: run?.progress.state ?? 'idle',
      slices: this.#slices.map((slice) => slice.report()),
      job: run?.lease.job,
      round: run?.lease.round,
      steps: run?.progress.steps ?? 0,
      samples: run?.progress.samples ?? 0,
      loss: run?.progress.loss,
      samplesAccepted: this.#accepted,
      samplesIncluded: this.#included,
      reason: this.#connection.reason,
      disk: this.#parts.disk.status(),
    }
  }

  /** All that the owner may want to know. */
  view(): MachineView {
    return machineView({
      peerId: this.peerId,
      startedAt: this.#startedAt,
      settings: this.#settings,
      offer: this.#offer,
      isLeaving: this.#leaving !== undefined,
      connection: this.#connection,
      slices: this.#slices,
      governor: this.#governor,
      watch: this.#watch,
      disk: this.#parts.disk.status(),
      volume: this.#parts.bandwidth.volume(),
      credit: this.#parts.history.credit(),
      forecast: this.#parts.forecast.view(Date.now()),
      capacity: this.#challenged.view(),
    })
  }

  get history(): Pick<History, 'list' | 'earnings'> {
    return this.#parts.history
  }

  /** Lends something else from now on; what runs goes on, and slices that are gone hand in what they have. @throws PinGoError OFFER_INVALID */
  change(settings: OwnerSettings): void {
    const offer = offerOf(settings)
    const isOther = JSON.stringify(offer) !== JSON.stringify(this.#offer)
    this.#settings = settings
    this.#offer = offer
    for (const [index, slice] of offer.slices.entries()) {
      const known = this.#slices[index]
      if (known) known.change(slice)
      else this.#slices.push(new Slice(index, slice, this.#portsOf(index)))
    }
    for (const gone of this.#slices.splice(offer.slices.length)) void gone.stop('leaving').then(() => gone.close())
    void this.#parts.disk
      .limit({ quotaBytes: offer.diskBytes, keepFreeBytes: settings.keepFreeBytes })
      .catch((error) => this.#o.logger.warn({ error: sentence(error) }, 'the disk cannot be given back'))
    if (isOther) this.#send({ type: 'offer', offer, flops: this.#parts.flops })
    this.#parts.bandwidth.change(settings)
    this.#watch.change(settings)
    this.#governor.touch()
    if (isOther) this.#challenged.changed()
    this.#tell()
    this.#changed()
  }

  /** The owner's word: nothing runs until {@link resume}, or until a time (ms since epoch). What is done is handed in. */
  pause(until?: number): void {
    this.#watch.hold(until)
  }

  resume(): void {
    this.#watch.resume()
  }

  /** Ends after the step that runs, hands in what is done, says goodbye. Bounded in time. */
  leave(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    this.#governor.close()
    this.#watch.close()
    const done = Promise.all(this.#slices.map((slice) => slice.stop('leaving')))
    await Promise.race([done, sleep(LEAVE_TIMEOUT_MS, undefined, { ref: false })])
    await this.#connection.leave()
    this.#stopping.abort()
    clearTimeout(this.#heart)
    await Promise.all(this.#slices.map((slice) => slice.close()))
    this.#files.close()
    await closeParts(this.#parts)
    this.#ended.resolve()
  }

  #portsOf(index: number): SlicePorts {
    const { logger } = this.#o
    const { disk, identity, bandwidth } = this.#parts
    return {
      identity,
      logger,
      clock: Date.now,
      read: (ref, signal) => this.#files.read(ref, signal, index),
      readPart: (ref, start, into, signal) => this.#files.readPart(ref, start, into, signal, index),
      startEngine: ({ cores, memoryBytes }) =>
        Engine.start({
          threads: 1,
          niceness: 19,
          idleClass: this.#settings.when === 'idle',
          pace: Math.min(cores, 1),
          maxMemoryBytes: memoryBytes,
          isolation: this.#isolation(),
          logger,
        }),
      deliver: ({ id, ticket }, body, deadline, signal) =>
        sendUpdate({
          source: () => this.#connection.source!,
          lease: id,
          ticket,
          body,
          deadline,
          clock: Date.now,
          bandwidth,
          signal: AbortSignal.any([signal, this.#stopping.signal]),
        }),
      uploadMs: (bytes) => uploadMs(bandwidth, bytes),
      keep: async (lease, body, deadline) =>
        this.#kept?.keep({ slice: index, lease, fog: this.#connection.fogPeer, deadline }, body),
      tell: (message) => this.#send(message),
      accepted: (_, samples) => {
        this.#accepted += samples
      },
      began: () => this.#governor?.touch(),
      ended: (lease, what) => {
        const { base } = lease
        this.#parts.history.record({
          lease: lease.id,
          job: lease.job,
          jobName: lease.jobName,
          fog: this.#connection.fogPeer,
          round: lease.round,
          ...what,
        })
        if (disk.isLow) this.#tell()
        const isRead = this.#slices.some(({ run }) => run?.lease.base.cid === base.cid)
        void (isRead ? Promise.resolve() : this.#files.drop(base))
          .then(() => this.#kept?.drop(index, lease.id))
          .then(() => this.#files.endLease(index))
          .catch(() => undefined)
      },
      changed: () => this.#changed(),
    }
  }

  /** Jobs of this machine's own fog node are its owner's: they run natively also where nothing keeps them apart. */
  #isolation(): OwnerSettings['isolation'] {
    const { isolation } = this.#settings
    return isolation === 'auto' && this.#connection.isOwn ? 'native' : isolation
  }

  #hello(): ContributorMessage {
    return {
      type: 'hello',
      version: VERSION,
      name: this.#settings.name,
      offer: this.#offer,
      hardware: this.#parts.hardware,
      flops: this.#parts.flops,
      leases: [
        ...this.#slices.flatMap(({ index, run }) => (run ? [{ lease: run.lease.id, slice: index }] : [])),
        ...(this.#kept?.leases() ?? []),
      ],
    }
  }

  #receive(message: FogMessage): void {
    switch (message.type) {
      case 'welcome':
        void this.#handInKept()
        break
      case 'lease':
        this.#take(message.lease)
        break
      case 'revoke':
        for (const slice of this.#slices) slice.revoke(message.lease, message.reason)
        break
      case 'ended':
        for (const slice of this.#slices) void slice.forget(message.job)
        break
      case 'included':
        this.#included += message.samples
        this.#parts.history.included(message.lease, message.samples)
        break
      case 'challenge':
        this.#challenged.receive(message)
        break
      case 'credited':
        this.#challenged.credited(message)
        break
    }
    this.#changed()
  }

  /** What a process before, which was killed, has kept of its long leases. */
  async #handInKept(): Promise<void> {
    const accepted = await this.#kept?.handIn(this.#connection.fogPeer, ({ id, ticket }, body, deadline) =>
      sendUpdate({
        source: () => this.#connection.source!,
        lease: id,
        ticket,
        body,
        deadline,
        clock: Date.now,
        bandwidth: this.#parts.bandwidth,
        signal: this.#stopping.signal,
      }),
    )
    if (accepted?.length) this.#o.logger.info({ leases: accepted }, 'handed in what a process before had kept')
    this.#tell()
  }

  #take(lease: Lease): void {
    const slice = this.#slices[lease.slice ?? 0]
    if (slice) slice.take(lease)
    else this.#send({ type: 'release', lease: lease.id, reason: 'leaving' })
  }

  #send(message: ContributorMessage): void {
    this.#connection.send(message)
  }

  #connectionChanged(): void {
    if (!this.#connection.current) this.#challenged.end()
    this.#changed()
  }

  #heart: NodeJS.Timeout | undefined

  #beat(): void {
    this.#tell()
    for (const slice of this.#slices) slice.look()
    this.#changed()
    const isWorking = this.#slices.some(({ run }) => run)
    if (!isWorking && this.#parts.bandwidth.isCapped) this.#connection.drop()
    this.#heart = setTimeout(() => this.#beat(), isWorking ? TRAINING_HEARTBEAT_MS : HEARTBEAT_MS)
  }

  /** Tells the fog node what goes on; without space on the disk there is no work for this machine. */
  #tell(): void {
    const { isLow } = this.#parts.disk
    const slices = this.#slices.map((slice): SliceReport => {
      const report = slice.run ? slice.report() : (this.#kept?.reportOf(slice.index) ?? slice.report())
      return isLow && report.state === 'idle' ? { state: 'paused' } : report
    })
    const { reason, since, until } = this.#watch.verdict.pause ?? {}
    const now = Date.now()
    const { forecast } = this.#parts
    const isNews = reason !== 'starting' && forecast.observe(now, reason === undefined)
    const isFirst = this.#toldOn !== this.#connection.current
    this.#toldOn = this.#connection.current
    this.#send({
      type: 'heartbeat',
      rssBytes: process.memoryUsage.rss(),
      slices,
      ...(reason && since !== undefined ? { pause: { reason, since, until } } : {}),
      ...(isNews || isFirst ? { survival: forecast.survival(now) } : {}),
    })
  }

  #diskChanged(): void {
    const { isLow, damaged } = this.#parts.disk.status()
    this.#o.logger.info({ isLow, damaged }, 'the disk changed')
    this.#tell()
    this.#changed()
  }

  #changed(): void {
    this.#o.onChange?.(this.status())
  }
}

const offerOf = ({ cores, memoryBytes, diskBytes, slices }: OwnerSettings): Offer & { slices: SliceOffer[] } =>
  resolveOffer({ cores, memoryBytes, diskBytes }, slices)
