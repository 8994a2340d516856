import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Engine } from '@pingo/engine'
import { type Channel, Host, registerNode } from '@pingo/network'
import type { Source } from '@pingo/storage'
import {
  type ContributorMessage,
  contributorChannel,
  encode,
  type FogMessage,
  type Hardware,
  HEARTBEAT_MS,
  type Identity,
  type Lease,
  loadIdentity,
  type MachineView,
  type Offer,
  PinGoError,
  type Slice as SliceOffer,
  type SliceReport,
  sentence,
} from '@pingo/wire'
import { type Logger, pino } from 'pino'
import { Bandwidth, capReached } from './bandwidth/bandwidth.ts'
import { benchmark } from './benchmark.ts'
import { Challenged, type ChallengedSlice } from './capacity/challenged.ts'
import { ContributorDisk, type DiskStatus } from './disk.ts'
import { Files } from './files.ts'
import { ForecastFile } from './forecast/forecast-file.ts'
import { Governor } from './governor.ts'
import { History } from './history.ts'
import { KeptWork } from './kept-work.ts'
import { machineView } from './machine-view.ts'
import { readHardware, resolveOffer } from './offer.ts'
import type { OwnerSettings } from './owner/settings.ts'
import type { OwnerWatch } from './owner/verdict.ts'
import { watchOwner } from './owner/watch.ts'
import { Slice, type SlicePorts } from './slice.ts'
import { sendUpdate, uploadMs } from './upload.ts'
import { VERSION } from './version.ts'

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 10_000
const TRAINING_HEARTBEAT_MS = 1_000
const LEAVE_TIMEOUT_MS = 20_000
/** What carries a control message: TLS, the multiplexer, acknowledgements, now and then a ping. */
const FRAME_BYTES = 200
/** The month's volume is used up: looked at again so often. */
const CAPPED_LOOK_MS = 10_000

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
type Parts = {
  host: Host
  disk: ContributorDisk
  identity: Identity
  history: History
  bandwidth: Bandwidth
  forecast: ForecastFile
  unregister: () => void
}
type ContributorChannel = Channel<ContributorMessage, FogMessage>

/** The node on an idle machine: dials a fog node, runs leases in its slices at low priority, leaves with its partial work handed in. */
export class Contributor {
  readonly peerId: string
  /** Settles when the contributor has left. */
  readonly closed: Promise<void>
  readonly #o: Settled
  readonly #parts: Parts
  readonly #files: Files
  #kept: KeptWork | undefined
  readonly #hardware: Hardware
  readonly #flops: number
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
  #channel: ContributorChannel | undefined
  #source: Source | undefined
  #fog: string | undefined
  #reason: string | undefined
  #leaving: Promise<void> | undefined
  #accepted = 0
  #included = 0
  /** The connection over which the forecast was told. */
  #toldOn: ContributorChannel | undefined

  /** @throws PinGoError OFFER_INVALID, IDENTITY_UNREADABLE, DISK_FULL, ENGINE_START_FAILED, HISTORY_UNREADABLE */
  static async start(options: ContributorOptions): Promise<Contributor> {
    const { settings } = options
    const offer = offerOf(settings)
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
      keepFreeBytes: settings.keepFreeBytes,
      onChange: () => diskChanged(),
    })
    const history = History.open(join(options.home, 'history.sqlite'), {
      onFailure: (error) => logger.warn({ error: sentence(error) }, 'the history cannot be written'),
    })
    const host = await Host.start({ identity })
    const bandwidth = new Bandwidth({
      file: join(options.home, 'bandwidth.json'),
      limits: settings,
      onCap: () => logger.warn({ monthlyBytes: settings.monthlyBytes }, "the month's data volume is used up"),
      onFailure: (error) => logger.warn({ error: sentence(error) }, 'the data volume cannot be kept'),
    })
    const forecast = await ForecastFile.open(join(options.home, 'forecast.json'), {
      now: Date.now(),
      onFailure: (error) => logger.warn({ error: sentence(error) }, 'the forecast cannot be kept'),
    })
    const unregister = registerNode()
    const watch =
      options.watch ??
      watchOwner({
        settings,
        own: () => [process.pid],
        home: options.home,
        month: () => bandwidth.month(),
        isDiskLow: () => disk.isLow,
        logger,
      })
    const contributor = new Contributor(
      { ...options, logger },
      { identity, host, disk, history, bandwidth, forecast, unregister },
      { offer, hardware, flops, watch },
    )
    contributor.#kept = await KeptWork.open(options.home, contributor.#files, Date.now())
    diskChanged = () => contributor.#diskChanged()
    void contributor.#stayConnected()
    contributor.#beat()
    return contributor
  }

  private constructor(
    o: Settled,
    parts: Parts,
    machine: { offer: Offer & { slices: SliceOffer[] }; hardware: Hardware; flops: number; watch: OwnerWatch },
  ) {
    this.#o = o
    this.peerId = parts.identity.peerId
    this.closed = this.#ended.promise
    this.#settings = o.settings
    this.#offer = machine.offer
    this.#hardware = machine.hardware
    this.#flops = machine.flops
    this.#parts = parts
    this.#files = new Files(parts.disk, () => (this.#source ? [this.#source] : []), parts.bandwidth)
    this.#slices = machine.offer.slices.map((slice, index) => new Slice(index, slice, this.#portsOf(index)))
    this.#watch = machine.watch
    this.#governor = new Governor({
      slices: () => this.#slices,
      watch: machine.watch,
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
      connected: this.#channel !== undefined,
      fog: this.#fog,
      state: run?.progress.state ?? 'idle',
      slices: this.#slices.map((slice) => slice.report()),
      job: run?.lease.job,
      round: run?.lease.round,
      steps: run?.progress.steps ?? 0,
      samples: run?.progress.samples ?? 0,
      loss: run?.progress.loss,
      samplesAccepted: this.#accepted,
      samplesIncluded: this.#included,
      reason: this.#reason,
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
      connection: { connected: this.#channel !== undefined, address: this.#fog, reason: this.#reason },
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
    if (isOther) this.#send({ type: 'offer', offer, flops: this.#flops })
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
    await this.#channel?.send({ type: 'leave' }).catch(() => undefined)
    await this.#channel?.close().catch(() => undefined)
    this.#stopping.abort()
    clearTimeout(this.#heart)
    await Promise.all(this.#slices.map((slice) => slice.close()))
    await this.#parts.host.stop()
    await this.#parts.disk.close()
    this.#parts.history.close()
    this.#parts.bandwidth.close()
    this.#files.close()
    await this.#parts.forecast.save()
    this.#parts.unregister()
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
          source: () => this.#source!,
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
        this.#kept?.keep({ slice: index, lease, fog: this.#fogPeer, deadline }, body),
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
          fog: this.#fogPeer,
          round: lease.round,
          ...what,
        })
        if (disk.isLow) this.#tell()
        const isRead = this.#slices.some(({ run }) => run?.lease.base.cid === base.cid)
        void (isRead ? Promise.resolve() : this.#files.drop(base))
          .then(() => this.#kept?.drop(index, lease.id))
          .then(() => disk.endLease(index))
          .catch(() => undefined)
      },
      changed: () => this.#changed(),
    }
  }

  /** Jobs of this machine's own fog node are its owner's: they run natively also where nothing keeps them apart. */
  #isolation(): OwnerSettings['isolation'] {
    const { isolation } = this.#settings
    const isOwn = /^\/ip4\/127\.|^\/ip6\/::1\//.test(this.#fog ?? '')
    return isolation === 'auto' && isOwn ? 'native' : isolation
  }

  /** Dials the fog nodes in turn for as long as the contributor lives; pauses grow and are spread by chance. */
  async #stayConnected(): Promise<void> {
    const { signal } = this.#stopping
    let pause = FIRST_RETRY_MS
    for (let turn = 0; !this.#leaving && !signal.aborted; turn++) {
      const address = this.#o.fog[turn % this.#o.fog.length]!
      try {
        await this.#volumeLeft()
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

  /** Even to be connected takes some of the month's volume: waits until there is some. */
  async #volumeLeft(): Promise<void> {
    const { bandwidth } = this.#parts
    while (bandwidth.isCapped) {
      this.#reason = sentence(capReached(this.#settings.monthlyBytes))
      this.#changed()
      await sleep(CAPPED_LOOK_MS, undefined, { signal: this.#stopping.signal })
    }
  }

  /** One connection, from the dial to its end. Work goes on across connections. */
  async #serve(address: string): Promise<void> {
    const channel: ContributorChannel = await this.#parts.host.openChannel(address, contributorChannel, {
      signal: this.#stopping.signal,
    })
    try {
      const hello: ContributorMessage = {
        type: 'hello',
        version: VERSION,
        name: this.#settings.name,
        offer: this.#offer,
        hardware: this.#hardware,
        flops: this.#flops,
        leases: [
          ...this.#slices.flatMap(({ index, run }) => (run ? [{ lease: run.lease.id, slice: index }] : [])),
          ...(this.#kept?.leases() ?? []),
        ],
      }
      this.#count(hello, 'sent')
      await channel.send(hello)
      for await (const message of channel.messages) {
        this.#count(message, 'received')
        this.#receive(channel, address, message)
      }
    } finally {
      if (this.#channel === channel) this.#channel = undefined
      this.#challenged.end()
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
        void this.#handInKept()
        break
      }
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

  get #fogPeer(): string {
    return this.#fog?.split('/p2p/')[1] ?? 'unknown'
  }

  /** What a process before, which was killed, has kept of its long leases. */
  async #handInKept(): Promise<void> {
    const accepted = await this.#kept?.handIn(this.#fogPeer, ({ id, ticket }, body, deadline) =>
      sendUpdate({
        source: () => this.#source!,
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
    if (!this.#channel) return
    this.#count(message, 'sent')
    void this.#channel.send(message).catch(() => undefined)
  }

  #count(message: ContributorMessage | FogMessage, direction: 'sent' | 'received'): void {
    this.#parts.bandwidth.count(encode(message).byteLength + FRAME_BYTES, direction)
  }

  #heart: NodeJS.Timeout | undefined

  #beat(): void {
    this.#tell()
    for (const slice of this.#slices) slice.look()
    this.#changed()
    const isWorking = this.#slices.some(({ run }) => run)
    if (this.#channel && !isWorking && this.#parts.bandwidth.isCapped) void this.#channel.close().catch(() => undefined)
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
    const isFirst = this.#toldOn !== this.#channel
    this.#toldOn = this.#channel
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

/** The host part of a multiaddr, as a URL wants it. */
function hostOf(multiaddr: string): string {
  const [, kind, host = '127.0.0.1'] = multiaddr.split('/')
  return kind === 'ip6' ? `[${host}]` : host
}
