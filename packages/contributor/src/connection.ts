import { setTimeout as sleep } from 'node:timers/promises'
import type { Channel, Host } from '@pingo/network'
import type { Source } from '@pingo/storage/fetching'
import { type ContributorMessage, contributorChannel, encode, type FogMessage, sentence } from '@pingo/wire'
import type { Logger } from 'pino'
import { type Bandwidth, capReached } from './bandwidth/bandwidth.ts'

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 10_000
/** What carries a control message: TLS, the multiplexer, acknowledgements, now and then a ping. */
const FRAME_BYTES = 200
/** The month's volume is used up: looked at again so often. */
const CAPPED_LOOK_MS = 10_000

type ContributorChannel = Channel<ContributorMessage, FogMessage>

export interface ConnectionOptions {
  host: Host
  /** Multiaddrs of fog nodes, tried in turn. */
  fog: readonly string[]
  bandwidth: Bandwidth
  monthlyBytes: () => number
  logger: Logger
  hello: () => ContributorMessage
  receive: (message: FogMessage) => void
  /** It came, or went, or something is to be said about why there is none. */
  changed: () => void
}

/** The channel to a fog node, opened anew for as long as the contributor lives. Work goes on across connections. */
export class Connection {
  readonly #o: ConnectionOptions
  readonly #stopping = new AbortController()
  #channel: ContributorChannel | undefined
  #source: Source | undefined
  #address: string | undefined
  #reason: string | undefined
  #isLeaving = false

  constructor(o: ConnectionOptions) {
    this.#o = o
  }

  /** Of the fog node that is connected, or was last. */
  get address(): string | undefined {
    return this.#address
  }

  get fogPeer(): string {
    return this.#address?.split('/p2p/')[1] ?? 'unknown'
  }

  /** Whether the fog node runs on this machine. */
  get isOwn(): boolean {
    return /^\/ip4\/127\.|^\/ip6\/::1\//.test(this.#address ?? '')
  }

  /** Where bulk data come from and updates go. */
  get source(): Source | undefined {
    return this.#source
  }

  /** Why there is none, a sentence. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** The connection as it is: another object after each that was lost. */
  get current(): object | undefined {
    return this.#channel
  }

  /** Dials the fog nodes in turn; pauses grow and are spread by chance. Never rejects. */
  async stay(): Promise<void> {
    const { fog, logger } = this.#o
    const { signal } = this.#stopping
    let pause = FIRST_RETRY_MS
    for (let turn = 0; !this.#isLeaving && !signal.aborted; turn++) {
      const address = fog[turn % fog.length]!
      try {
        await this.#volumeLeft()
        await this.#serve(address)
        pause = FIRST_RETRY_MS
      } catch (error) {
        this.#reason = sentence(error)
        if (!signal.aborted) logger.warn({ fog: address, reason: this.#reason }, 'no connection to the fog node')
      }
      this.#o.changed()
      await sleep(pause * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
      pause = Math.min(pause * 2, LONGEST_RETRY_MS)
    }
  }

  /** Without a connection nothing is sent: what counts is told again with the next hello. */
  send(message: ContributorMessage): void {
    if (!this.#channel) return
    this.#count(message, 'sent')
    void this.#channel.send(message).catch(() => undefined)
  }

  /** Ends the one that is there; another follows. */
  drop(): void {
    void this.#channel?.close().catch(() => undefined)
  }

  /** Says goodbye; no other follows. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    await this.#channel?.send({ type: 'leave' }).catch(() => undefined)
    await this.#channel?.close().catch(() => undefined)
    this.#stopping.abort()
  }

  /** Even to be connected takes some of the month's volume: waits until there is some. */
  async #volumeLeft(): Promise<void> {
    const { bandwidth, monthlyBytes, changed } = this.#o
    while (bandwidth.isCapped) {
      this.#reason = sentence(capReached(monthlyBytes()))
      changed()
      await sleep(CAPPED_LOOK_MS, undefined, { signal: this.#stopping.signal })
    }
  }

  /** One connection, from the dial to its end. */
  async #serve(address: string): Promise<void> {
    const { host, hello } = this.#o
    const channel: ContributorChannel = await host.openChannel(address, contributorChannel, {
      signal: this.#stopping.signal,
    })
    try {
      const greeting = hello()
      this.#count(greeting, 'sent')
      await channel.send(greeting)
      for await (const message of channel.messages) {
        this.#count(message, 'received')
        if (message.type === 'welcome') this.#welcome(channel, address, message)
        this.#o.receive(message)
      }
    } finally {
      if (this.#channel === channel) this.#channel = undefined
      channel.abort(new Error('over'))
    }
  }

  #welcome(channel: ContributorChannel, address: string, { data }: Extract<FogMessage, { type: 'welcome' }>): void {
    const { url, port, tls, pin } = data
    this.#channel = channel
    this.#address = address
    this.#reason = undefined
    this.#source = { url: url ?? `${tls ? 'https' : 'http'}://${hostOf(channel.remoteAddress)}:${port}`, pin }
    this.#o.logger.info({ fog: address }, 'connected to the fog node')
  }

  #count(message: ContributorMessage | FogMessage, direction: 'sent' | 'received'): void {
    this.#o.bandwidth.count(encode(message).byteLength + FRAME_BYTES, direction)
  }
}

/** The host part of a multiaddr, as a URL wants it. */
function hostOf(multiaddr: string): string {
  const [, kind, host = '127.0.0.1'] = multiaddr.split('/')
  return kind === 'ip6' ? `[${host}]` : host
}
