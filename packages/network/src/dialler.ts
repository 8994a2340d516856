import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P, type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { isPinGoError, PinGoError } from '@pingo/wire'
import { lost, unreachable } from './errors.ts'

/** Peers whose addresses are kept for a later call by PeerId alone. */
const MAX_KNOWN_PEERS = 10_000
/** Calls of one protocol to one peer at once; more wait here. Half of what the other side allows by default. */
const MAX_CALLS = 32
const MAX_ADDRESS = 1_000

/** A multiaddr as given, when it is one. @throws PinGoError ADDRESS_MALFORMED */
export function checkedAddress(address: string): string {
  parseAddress(address)
  return address
}

function parseAddress(address: string): Multiaddr {
  try {
    if (address.length <= MAX_ADDRESS) return multiaddr(address)
  } catch {
    // told below
  }
  throw malformed(address)
}

function malformed(address: string): PinGoError {
  return new PinGoError('ADDRESS_MALFORMED', `'${address.slice(0, 200)}' is not the address of a node.`, {
    hint: 'An address looks like /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…; the node prints its own when it starts.',
  })
}

/** Finds or makes the connection to a peer, and opens streams on it. */
export class Dialler {
  readonly #node: Libp2p
  readonly #known = new Set<string>()
  readonly #calls = new Map<string, { running: number; waiting: (() => void)[] }>()

  constructor(node: Libp2p) {
    this.#node = node
  }

  /** True for peers that this host dialled: their addresses are worth keeping. */
  knows(peer: string): boolean {
    return this.#known.has(peer)
  }

  /** @param peer a multiaddr or a PeerId @throws PinGoError PEER_UNREACHABLE, ADDRESS_MALFORMED, or the signal's reason */
  async connection(peer: string, signal: AbortSignal): Promise<Connection> {
    const target = parseTarget(peer)
    const open = this.#open(target)
    if (open) return open
    signal.throwIfAborted()
    let connection: Connection
    try {
      connection = await this.#node.dial((target.address ?? target.id)!, { signal })
    } catch (error) {
      if (signal.aborted && !isPinGoError(signal.reason, 'TIMEOUT')) throw signal.reason
      throw unreachable(peer, error)
    }
    this.#known.add(connection.remotePeer.toString())
    if (this.#known.size > MAX_KNOWN_PEERS) this.#known.delete(this.#known.keys().next().value!)
    return connection
  }

  /** Opens a stream, on a fresh connection when the open one turns out to be dead. @throws PinGoError also PROTOCOL_UNSUPPORTED */
  async stream(
    peer: string,
    protocol: string,
    signal: AbortSignal,
  ): Promise<{ stream: Stream; connection: Connection }> {
    for (let attempt = 0; ; attempt++) {
      const connection = await this.connection(peer, signal)
      try {
        const stream = await connection.newStream(protocol, { signal, maxOutboundStreams: Number.MAX_SAFE_INTEGER })
        return { stream, connection }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        if (error instanceof Error && error.name === 'UnsupportedProtocolError')
          throw new PinGoError('PROTOCOL_UNSUPPORTED', `${peer} does not speak ${protocol}.`, {
            hint: 'It may be of another version or have another role; bring both to the same version.',
            cause: error,
          })
        if (attempt > 0 || connection.status === 'open') throw lost(peer, error)
      }
    }
  }

  /** Runs `call` when fewer than the allowed number of calls of this protocol to this peer run. */
  async queued<T>(peer: string, protocol: string, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    const key = `${protocol} ${peer}`
    const lane = this.#calls.get(key) ?? { running: 0, waiting: [] }
    this.#calls.set(key, lane)
    if (lane.running >= MAX_CALLS) {
      await new Promise<void>((resolve, reject) => {
        const start = () => {
          signal.removeEventListener('abort', leave)
          resolve()
        }
        const leave = () => {
          lane.waiting.splice(lane.waiting.indexOf(start), 1)
          reject(signal.reason)
        }
        if (signal.aborted) return reject(signal.reason)
        lane.waiting.push(start)
        signal.addEventListener('abort', leave, { once: true })
      })
    } else lane.running += 1
    try {
      return await call()
    } finally {
      const next = lane.waiting.shift()
      if (next) next()
      else if (--lane.running === 0) this.#calls.delete(key)
    }
  }

  #open(target: Target): Connection | undefined {
    const fits = target.id
      ? this.#node.getConnections(target.id)
      : this.#node.getConnections().filter((connection) => bare(connection.remoteAddr) === bare(target.address!))
    return fits.find((connection) => connection.status === 'open')
  }
}

type Target = { id: PeerId; address?: Multiaddr } | { id?: PeerId; address: Multiaddr }

function parseTarget(peer: string): Target {
  if (!peer.startsWith('/')) {
    try {
      return { id: peerIdFromString(peer.slice(0, MAX_ADDRESS)) }
    } catch {
      throw malformed(peer)
    }
  }
  const address = parseAddress(peer)
  const id = address.getComponents().findLast((component) => component.code === CODE_P2P)?.value
  return id ? { id: peerIdFromString(id), address } : { address }
}

const bare = (address: Multiaddr) => address.toString().replace(/\/p2p\/[^/]+$/, '')
