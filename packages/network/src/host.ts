import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { type CID, type Identity, isPinGoError, PinGoError } from '@pingo/wire'
import type { z } from 'zod'
import { answer, ask, encodeWithin, type Handler } from './calls.ts'
import { StreamChannel } from './channel.ts'
import { Deadline } from './deadline.ts'
import { findProviders, isInDht, type Provider, provide, unprovide } from './dht.ts'
import { checkedAddress, Dialler } from './dialler.ts'
import { lost } from './errors.ts'
import { FrameKind, FrameStream } from './frames.ts'
import { defaultLimits, type HostLimits, MAX_ERROR_BYTES, MAX_MESSAGE_BYTES, MAX_PROTOCOL_NAME } from './limits.ts'
import { type Logger, startNode } from './node.ts'
import type { Channel, ChannelProtocol, Protocol, RequestContext } from './protocol.ts'
import { RateLimiter } from './rate-limiter.ts'

export interface HostOptions {
  /** Whose PeerId the host bears; the handshake proves it to every peer. */
  identity: Identity
  /** Multiaddrs to listen on, like `/ip4/0.0.0.0/tcp/4001`. None by default: the host only dials out, as contributors do. */
  listen?: string[]
  /** Multiaddrs told to peers in place of those it listens on (behind a port forwarding, say). */
  announce?: string[]
  logger?: Logger
  limits?: Partial<HostLimits>
  /** Asked for each inbound peer after the handshake proved its PeerId; false ends the connection. */
  admit?: (peer: string, address: string) => boolean | Promise<boolean>
  /** Takes part in the fog nodes' distributed hash table: {@link Host.provide}, {@link Host.findProviders}. False by default. */
  dht?: boolean
}

export interface PeerEvent {
  type: 'connected' | 'disconnected'
  peer: string
}

export interface PeerInfo {
  peer: string
  remoteAddress: string
  direction: 'inbound' | 'outbound'
}

export interface CallOptions {
  /** Ends the call; it throws the signal's reason. */
  signal?: AbortSignal
  /** In place of the protocol's own. */
  timeoutMs?: number
}

/** Connecting or opening a channel ends within it when the caller names no time. */
const OPEN_TIMEOUT_MS = 15_000
/** What channels get to send their last messages when the host stops. */
const STOP_GRACE_MS = 1_000
const STOP_TIMEOUT_MS = 5_000

/** A libp2p host that speaks typed protocols. It knows nothing of what is sent. */
export class Host {
  readonly peerId: string
  readonly #node: Libp2p
  readonly #limits: HostLimits
  readonly #logger: Logger | undefined
  readonly #dialler: Dialler
  readonly #rates = new RateLimiter()
  readonly #channels = new Set<StreamChannel<unknown, z.ZodType>>()
  readonly #stopping = new AbortController()

  private constructor(node: Libp2p, limits: HostLimits, logger: Logger | undefined) {
    this.#node = node
    this.#limits = limits
    this.#logger = logger
    this.#dialler = new Dialler(node)
    this.peerId = node.peerId.toString()
    node.addEventListener('peer:disconnect', ({ detail }) => {
      void this.#forget(detail).catch(() => undefined)
    })
  }

  /** Starts a host. @throws PinGoError PORT_IN_USE, LISTEN_FAILED, ADDRESS_MALFORMED */
  static async start(o: HostOptions): Promise<Host> {
    const limits = { ...defaultLimits, ...o.limits }
    const listen = (o.listen ?? []).map(checkedAddress)
    const announce = (o.announce ?? []).map(checkedAddress)
    const { identity, logger, admit, dht = false } = o
    const node = await startNode({ identity, listen, announce, limits, logger, admit, dht })
    return new Host(node, limits, logger)
  }

  /** Full multiaddrs, with `/p2p/<PeerId>`, under which peers can dial this host; none when it only dials out. */
  addresses(): string[] {
    const suffix = `/p2p/${this.peerId}`
    return this.#node.getMultiaddrs().map((address) => {
      const text = address.toString()
      return text.endsWith(suffix) ? text : text + suffix
    })
  }

  /** The open connections, one entry each. */
  peers(): PeerInfo[] {
    return this.#node.getConnections().map((connection) => ({
      peer: connection.remotePeer.toString(),
      remoteAddress: connection.remoteAddr.toString(),
      direction: connection.direction,
    }))
  }

  /** Calls `listener` when a peer's first connection opens and when its last one is gone. @returns what ends it */
  onPeer(listener: (event: PeerEvent) => void): () => void {
    const opened = (event: CustomEvent<PeerId>) => listener({ type: 'connected', peer: event.detail.toString() })
    const gone = (event: CustomEvent<PeerId>) => listener({ type: 'disconnected', peer: event.detail.toString() })
    this.#node.addEventListener('peer:connect', opened)
    this.#node.addEventListener('peer:disconnect', gone)
    return () => {
      this.#node.removeEventListener('peer:connect', opened)
      this.#node.removeEventListener('peer:disconnect', gone)
    }
  }

  /** Connects to a peer, or finds the open connection. @returns its PeerId @throws PinGoError PEER_UNREACHABLE, ADDRESS_MALFORMED */
  async connect(peer: string, o: CallOptions = {}): Promise<string> {
    const deadline = this.#deadline(peer, o.timeoutMs ?? OPEN_TIMEOUT_MS, o.signal)
    try {
      return (await this.#dialler.connection(peer, deadline.signal)).remotePeer.toString()
    } finally {
      deadline.clear()
    }
  }

  /** Ends all connections with a peer. */
  async disconnect(peerId: string): Promise<void> {
    const open = this.#node.getConnections().filter((connection) => connection.remotePeer.toString() === peerId)
    await Promise.all(open.map((connection) => connection.close().catch((error) => connection.abort(error))))
  }

  /**
   * Answers requests of a protocol. A PinGoError that the handler throws reaches the peer with its code and sentence, any
   * other error as INTERNAL without details.
   * @throws PinGoError PROTOCOL_INVALID for a name that is taken or limits out of range
   */
  handle<P extends Protocol>(protocol: P, handler: Handler<P>): void {
    checkLimits(protocol.name, protocol.maxRequestBytes, protocol.maxResponseBytes)
    this.#accept(protocol.name, this.#limits.maxRequestsPerConnection, (stream, connection) => {
      const context = contextOf(connection)
      const late = () =>
        new PinGoError('TIMEOUT', `The peer did not handle ${protocol.name} within ${protocol.timeoutMs} ms.`, {
          hint: 'Try again later.',
        })
      return answer(
        protocol,
        handler,
        stream,
        context,
        new Deadline(protocol.timeoutMs, late, [this.#stopping.signal]),
        {
          admitted: this.#rates.take(`${protocol.name} ${context.peer}`, protocol.rate ?? this.#limits.rate),
          onFailure: (error) => this.#failed(protocol.name, error),
        },
      )
    })
  }

  /**
   * Asks a peer and waits for its answer.
   * @param peer a multiaddr, or the PeerId of a peer that is connected or was dialled before
   * @throws PinGoError PEER_UNREACHABLE, TIMEOUT, PROTOCOL_UNSUPPORTED, CONNECTION_LOST, RATE_LIMITED, MESSAGE_TOO_LARGE,
   *   MESSAGE_MALFORMED, MESSAGE_INVALID, or what the peer's handler threw
   */
  async request<P extends Protocol>(
    peer: string,
    protocol: P,
    request: z.input<P['request']>,
    o: CallOptions = {},
  ): Promise<z.output<P['response']>> {
    const payload = encodeWithin(request, protocol.maxRequestBytes, 'request')
    const deadline = this.#deadline(peer, o.timeoutMs ?? protocol.timeoutMs, o.signal)
    try {
      return await this.#dialler.queued(peer, protocol.name, deadline.signal, async () => {
        const { stream } = await this.#dialler.stream(peer, protocol.name, deadline.signal)
        return await ask(protocol, payload, stream, peer, deadline)
      })
    } finally {
      deadline.clear()
    }
  }

  /**
   * Accepts channels of a protocol. An error that `onOpen` throws ends the channel, see {@link Channel.abort}.
   * @throws PinGoError PROTOCOL_INVALID
   */
  handleChannel<C extends ChannelProtocol>(
    protocol: C,
    onOpen: (
      channel: Channel<z.input<C['serverMessage']>, z.output<C['clientMessage']>>,
      context: RequestContext,
    ) => void | Promise<void>,
  ): void {
    checkLimits(protocol.name, protocol.maxMessageBytes)
    this.#accept(protocol.name, this.#limits.maxChannelsPerConnection, async (stream, connection) => {
      const context = contextOf(connection)
      const frames = new FrameStream(stream, Math.max(protocol.maxMessageBytes, MAX_ERROR_BYTES))
      if (!(await opened(frames, this.#limits.negotiationTimeoutMs))) return
      const channel = this.#channel<C, z.input<C['serverMessage']>, C['clientMessage']>(
        protocol,
        protocol.clientMessage,
        frames,
        connection,
        () => this.#rates.reserve(`${protocol.name} ${context.peer}`, protocol.rate ?? this.#limits.rate),
      )
      try {
        await onOpen(channel, { ...context, signal: channel.signal })
      } catch (error) {
        if (!isPinGoError(error)) this.#failed(protocol.name, error)
        channel.abort(error as Error)
      }
    })
  }

  /**
   * Opens a channel to a peer.
   * @throws PinGoError PEER_UNREACHABLE, TIMEOUT, PROTOCOL_UNSUPPORTED, CONNECTION_LOST
   */
  async openChannel<C extends ChannelProtocol>(
    peer: string,
    protocol: C,
    o: CallOptions = {},
  ): Promise<Channel<z.input<C['clientMessage']>, z.output<C['serverMessage']>>> {
    const deadline = this.#deadline(peer, o.timeoutMs ?? OPEN_TIMEOUT_MS, o.signal)
    try {
      const { stream, connection } = await this.#dialler.stream(peer, protocol.name, deadline.signal)
      const frames = new FrameStream(stream, Math.max(protocol.maxMessageBytes, MAX_ERROR_BYTES))
      await frames.write(FrameKind.open, new Uint8Array(0)).catch((error) => {
        throw lost(peer, error)
      })
      return this.#channel<C, z.input<C['clientMessage']>, C['serverMessage']>(
        protocol,
        protocol.serverMessage,
        frames,
        connection,
      )
    } finally {
      deadline.clear()
    }
  }

  /** Tells the DHT that this host has the file or object of a root, now and every day. @throws PinGoError DHT_OFF, DHT_FAILED */
  async provide(root: CID, o: { signal?: AbortSignal } = {}): Promise<void> {
    await provide(this.#node, root, o.signal)
  }

  /** Tells it no longer. */
  async unprovide(root: CID): Promise<void> {
    await unprovide(this.#node, root)
  }

  /** Peers that say they have the file or object of a root, as they are found. @throws PinGoError DHT_OFF, DHT_FAILED */
  findProviders(root: CID, o: { signal?: AbortSignal } = {}): AsyncGenerator<Provider> {
    return findProviders(this.#node, root, o.signal)
  }

  /** Ends all channels, requests and connections, and frees the ports. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const error = new PinGoError('HOST_STOPPED', 'The host is stopped.')
    this.#stopping.abort(error)
    const open = [...this.#channels]
    await within(STOP_GRACE_MS, Promise.all(open.map((channel) => channel.close())))
    for (const channel of this.#channels) channel.abort(error)
    await within(STOP_TIMEOUT_MS, Promise.resolve(this.#node.stop()))
  }

  /** Peers that only came in leave no trace, else fresh identities would fill the memory; those of the DHT are asked again. */
  async #forget(peer: PeerId): Promise<void> {
    if (this.#dialler.knows(peer.toString()) || (await isInDht(this.#node, peer))) return
    await this.#node.peerStore.delete(peer)
  }

  #deadline(peer: string, ms: number, signal: AbortSignal | undefined): Deadline {
    this.#stopping.signal.throwIfAborted()
    signal?.throwIfAborted()
    const late = () =>
      new PinGoError('TIMEOUT', `${peer} did not answer within ${ms} ms.`, {
        hint: 'Try again; if it stays so, the peer is overloaded or the network between is slow.',
      })
    return new Deadline(ms, late, [signal, this.#stopping.signal])
  }

  #accept(name: string, atOnce: number, take: (stream: Stream, connection: Connection) => Promise<void>): void {
    if (this.#node.getProtocols().includes(name)) throw invalid(name, 'is handled already')
    const limits = { maxInboundStreams: atOnce, maxOutboundStreams: Number.MAX_SAFE_INTEGER }
    this.#node.handle(name, take, limits).catch((error: unknown) => this.#failed(name, error))
  }

  #channel<C extends ChannelProtocol, Out, In extends z.ZodType>(
    protocol: C,
    inbound: In,
    frames: FrameStream,
    connection: Connection,
    delay?: () => number,
  ): StreamChannel<Out, In> {
    const channel = new StreamChannel<Out, In>({
      ...contextOf(connection),
      frames,
      inbound,
      maxMessageBytes: protocol.maxMessageBytes,
      stallMs: this.#limits.channelStallMs,
      delay,
    })
    const kept = channel as unknown as StreamChannel<unknown, z.ZodType>
    this.#channels.add(kept)
    void channel.closed.then(() => this.#channels.delete(kept))
    return channel
  }

  #failed(protocol: string, error: unknown): void {
    this.#logger?.warn({ protocol, error: error instanceof Error ? error.stack : String(error) }, 'a handler failed')
  }
}

/** Waits for a channel's first frame; a stream that brings anything else, or nothing in time, is reset. */
async function opened(frames: FrameStream, ms: number): Promise<boolean> {
  const timer = setTimeout(() => frames.fail(new Error('the channel was not opened in time')), ms)
  try {
    const first = await frames.read()
    if (first?.kind === FrameKind.open && first.payload.byteLength === 0) return true
  } catch {
    // reset below
  } finally {
    clearTimeout(timer)
  }
  frames.stream.abort(new Error('not a channel'))
  return false
}

const contextOf = (connection: Connection) => ({
  peer: connection.remotePeer.toString(),
  remoteAddress: connection.remoteAddr.toString(),
})

const invalid = (name: string, why: string) =>
  new PinGoError('PROTOCOL_INVALID', `The protocol '${name.slice(0, MAX_PROTOCOL_NAME)}' ${why}.`)

function checkLimits(name: string, ...bytes: number[]): void {
  if (!/^\/[\w./-]+$/.test(name) || name.length > MAX_PROTOCOL_NAME)
    throw invalid(name, 'has no name like /pingo/x/1.0.0')
  if (bytes.some((limit) => !Number.isInteger(limit) || limit < 1 || limit > MAX_MESSAGE_BYTES))
    throw invalid(name, `needs limits from 1 to ${MAX_MESSAGE_BYTES} bytes`)
}

/** Waits for `work`, but no longer than `ms`; its failure counts as done. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  void work.catch(() => undefined).finally(resolve)
  await promise
  clearTimeout(timer)
}
