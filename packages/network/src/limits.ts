import type { Rate } from './protocol.ts'

/** What a host allows its peers. Every field has a default in {@link defaultLimits}. */
export interface HostLimits {
  /** Connections in all; beyond it new ones are refused. */
  maxConnections: number
  /** Connections of one PeerId. */
  maxConnectionsPerPeer: number
  /** Inbound connections a second of one address. A campus or a family sits behind one. */
  maxInboundPerHostPerSecond: number
  /** Inbound connections that have not finished their handshake. */
  maxPendingInbound: number
  /** A handshake must end within it. */
  inboundUpgradeTimeoutMs: number
  dialTimeoutMs: number
  /** Naming the protocol of a new stream must end within it. */
  negotiationTimeoutMs: number
  /** Streams of all protocols that one connection may hold open, each way. */
  maxStreamsPerConnection: number
  /** Requests of one protocol at once on one connection. */
  maxRequestsPerConnection: number
  /** Channels of one protocol at once on one connection. */
  maxChannelsPerConnection: number
  /** Each connection is pinged this often… */
  keepAliveIntervalMs: number
  /** …and dropped when an answer takes longer: a dead peer is noticed after at most interval + timeout. */
  keepAliveTimeoutMs: number
  /** A channel whose peer takes nothing for this long is given up. */
  channelStallMs: number
  /** Rate of protocols that name none. */
  rate: Rate
}

/** Defaults; the library's own (10 pending inbound, 10 s upgrades, 5 connections a second) let one host lock out all others. */
export const defaultLimits: Readonly<HostLimits> = {
  maxConnections: 2_000,
  maxConnectionsPerPeer: 8,
  maxInboundPerHostPerSecond: 200,
  maxPendingInbound: 256,
  inboundUpgradeTimeoutMs: 2_000,
  dialTimeoutMs: 10_000,
  negotiationTimeoutMs: 5_000,
  maxStreamsPerConnection: 256,
  maxRequestsPerConnection: 64,
  maxChannelsPerConnection: 8,
  keepAliveIntervalMs: 15_000,
  keepAliveTimeoutMs: 10_000,
  channelStallMs: 30_000,
  rate: { perSecond: 1_000, burst: 4_000 },
}

/** Largest protocol name that is accepted, characters. */
export const MAX_PROTOCOL_NAME = 140
/** Largest encoded error that crosses a stream, bytes. */
export const MAX_ERROR_BYTES = 8 << 10
/** Largest message that any protocol may allow, bytes: bulk goes over HTTP. */
export const MAX_MESSAGE_BYTES = 64 << 20
