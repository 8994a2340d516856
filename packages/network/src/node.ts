import type { noise } from '@chainsafe/libp2p-noise'
import { identify } from '@libp2p/identify'
import type { ComponentLogger, ConnectionEncrypter, Libp2p, Logger as LibraryLogger, PeerId } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { type Identity, isPinGoError, PinGoError } from '@pingo/wire'
import { createLibp2p } from 'libp2p'
import { boundedYamux } from './bounded-yamux.ts'
import { dhtServices } from './dht.ts'
import type { HostLimits } from './limits.ts'

const NOISE = '/noise'
type NoiseComponents = Parameters<ReturnType<typeof noise>>[0]

/** Where a host says what happens; pino fits. */
export interface Logger {
  debug(details: object, message: string): void
  warn(details: object, message: string): void
}

export interface NodeOptions {
  identity: Identity
  listen: string[]
  announce: string[]
  limits: HostLimits
  logger: Logger | undefined
  /** Asked for each proven peer before it may open a stream. */
  admit: ((peer: string, address: string) => boolean | Promise<boolean>) | undefined
  dht: boolean
}

/**
 * A libp2p node of the few parts that PinGo's control plane takes: TCP; TLS 1.3 first (half the CPU of Noise), Noise for peers
 * without it; Yamux; identify and ping. It dials nobody by itself, but in the DHT where that is asked for: no bootstrap, discovery or
 * port mapping.
 * @throws PinGoError PORT_IN_USE, LISTEN_FAILED, ADDRESS_MALFORMED
 */
export async function startNode(o: NodeOptions): Promise<Libp2p> {
  const { limits } = o
  let node: Libp2p | undefined
  try {
    node = await createLibp2p({
      start: false,
      privateKey: o.identity.privateKey,
      nodeInfo: { name: 'pingo', userAgent: 'pingo' },
      logger: quiet(o.logger),
      addresses: { listen: o.listen, announce: o.announce },
      transports: [tcp({ backlog: limits.maxPendingInbound })],
      connectionEncrypters: [tls(), lazyNoise],
      streamMuxers: [boundedYamux(limits.maxStreamsPerConnection)],
      services: { identify: identify(), ping: ping(), ...(await dhtServices(o.dht)) },
      connectionManager: {
        maxConnections: limits.maxConnections,
        maxIncomingPendingConnections: limits.maxPendingInbound,
        inboundConnectionThreshold: limits.maxInboundPerHostPerSecond,
        inboundUpgradeTimeout: limits.inboundUpgradeTimeoutMs,
        inboundStreamProtocolNegotiationTimeout: limits.negotiationTimeoutMs,
        outboundStreamProtocolNegotiationTimeout: limits.negotiationTimeoutMs,
        dialTimeout: limits.dialTimeoutMs,
        reconnectRetries: 0,
      },
      connectionMonitor: {
        pingInterval: limits.keepAliveIntervalMs,
        pingTimeout: {
          minTimeout: Math.min(5_000, limits.keepAliveTimeoutMs),
          maxTimeout: limits.keepAliveTimeoutMs,
        },
        abortConnectionOnPingFailure: true,
      },
      connectionGater: {
        denyDialMultiaddr: () => false, // loopback and private networks are where most nodes are
        denyInboundEncryptedConnection: (peer: PeerId) =>
          (node?.getConnections(peer).length ?? 0) >= limits.maxConnectionsPerPeer,
        denyInboundUpgradedConnection: async (peer, connection) =>
          o.admit !== undefined && !(await o.admit(peer.toString(), connection.remoteAddr.toString())),
      },
    })
    await node.start()
    return node
  } catch (error) {
    await node?.stop()
    throw listenError(error, o.listen)
  }
}

/** Noise, loaded when the first peer without TLS comes: most hosts never need it, and it takes some megabytes. */
function lazyNoise(components: NoiseComponents): ConnectionEncrypter {
  let loaded: Promise<ConnectionEncrypter> | undefined
  const load = () => (loaded ??= import('@chainsafe/libp2p-noise').then(({ noise }) => noise()(components)))
  return {
    protocol: NOISE,
    secureInbound: async (connection, options) => (await load()).secureInbound(connection, options),
    secureOutbound: async (connection, options) => (await load()).secureOutbound(connection, options),
  }
}

function listenError(error: unknown, listen: string[]): unknown {
  if (isPinGoError(error) || !(error instanceof Error)) return error
  const inUse = /(\S+): (?:Error: )?listen EADDRINUSE/.exec(error.message)
  if (inUse)
    return new PinGoError('PORT_IN_USE', `The address ${inUse[1]} is in use by another program.`, {
      hint: 'Stop that program (is another node running?), or choose another port; port 0 takes any free one.',
      cause: error,
    })
  if (error.name === 'UnsupportedListenAddressesError')
    return new PinGoError('LISTEN_FAILED', `Cannot listen on ${listen.join(', ')}.`, {
      hint: 'Use an address of this machine like /ip4/0.0.0.0/tcp/4001, with a port above 1023.',
      cause: error,
    })
  return error
}

/** The library's log: only its errors, at debug level, since most tell of what peers did. */
function quiet(logger: Logger | undefined): ComponentLogger {
  const make = (scope: string): LibraryLogger => {
    const nothing = () => {}
    const error = logger
      ? (format: unknown, ...rest: unknown[]) =>
          logger.debug({ scope, reason: rest.map(reason).join(' ') }, String(format))
      : nothing
    return Object.assign(nothing.bind(undefined), {
      enabled: false,
      trace: nothing,
      error,
      newScope: (name: string) => make(`${scope}:${name}`),
    }) as unknown as LibraryLogger
  }
  return { forComponent: make }
}

const reason = (value: unknown) => (value instanceof Error ? value.message : String(value)).slice(0, 300)
