import type { Libp2p, PeerId } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { type CID, isPinGoError, PinGoError } from '@pingo/wire'

const PROTOCOL = '/pingo/kad/1.0.0'
/** A search that nothing ends before ends then. */
const SEARCH_MS = 30_000
const PROVIDE_MS = 60_000
/** Providers that one search tells of. */
const MAX_PROVIDERS = 64
const SERVICE = 'dht'

/** A peer that says it has something. Not proven: it may lie, or be gone. */
export interface Provider {
  peerId: string
  /** Where it says it can be reached. */
  multiaddrs: string[]
}

/**
 * The distributed hash table of the fog nodes (Kademlia as libp2p speaks it, specs/kad-dht, under a name of its own): who has a file
 * or an object, by its root. It keeps no values. Loaded by hosts that ask for it alone.
 */
export async function dhtServices(isWanted: boolean) {
  if (!isWanted) return {}
  const { kadDHT, passthroughMapper } = await import('@libp2p/kad-dht')
  return {
    [SERVICE]: kadDHT({
      protocol: PROTOCOL,
      clientMode: false,
      // nodes are also on private networks and on one machine
      peerInfoMapper: passthroughMapper,
      // the only node of a network has nobody to ask, and need not wait for somebody
      allowQueryWithZeroPeers: true,
      validators: {},
      selectors: {},
    }),
  }
}

const dhtOf = (node: Libp2p): KadDHT | undefined => (node.services as Record<string, unknown>)[SERVICE] as KadDHT

/**
 * Tells the nodes nearest to a root's hash that this one has it; told again every day while the host runs.
 * @throws PinGoError DHT_OFF, DHT_FAILED, or the signal's reason
 */
export async function provide(node: Libp2p, root: CID, signal?: AbortSignal): Promise<void> {
  await search(node, PROVIDE_MS, signal, async (dht, ended) => {
    for await (const _ of dht.provide(root, { signal: ended })) {
      // every event is a step of it
    }
  })
}

/** True when both take part in the table. */
export async function isInDht(node: Libp2p, peer: PeerId): Promise<boolean> {
  if (!dhtOf(node)) return false
  return (await node.peerStore.get(peer)).protocols.includes(PROTOCOL)
}

/** Ends telling others of a root; what they know ends within two days. */
export async function unprovide(node: Libp2p, root: CID): Promise<void> {
  await dhtOf(node)?.cancelReprovide(root)
}

/**
 * Peers that say they have what is below a root, as they are found; none twice, this host not among them.
 * @throws PinGoError DHT_OFF, DHT_FAILED, or the signal's reason
 */
export async function* findProviders(node: Libp2p, root: CID, signal?: AbortSignal): AsyncGenerator<Provider> {
  const dht = required(node)
  const seen = new Set([node.peerId.toString()])
  const ended = within(SEARCH_MS, signal)
  try {
    for await (const event of dht.findProviders(root, { signal: ended.signal })) {
      if (event.name !== 'PROVIDER' && event.name !== 'PEER_RESPONSE') continue
      for (const { id, multiaddrs } of event.providers) {
        if (seen.has(id.toString())) continue
        seen.add(id.toString())
        yield { peerId: id.toString(), multiaddrs: multiaddrs.map(String) }
        if (seen.size > MAX_PROVIDERS) return
      }
    }
  } catch (error) {
    signal?.throwIfAborted()
    if (!ended.signal.aborted) throw failed(error)
  } finally {
    ended.clear()
  }
}

async function search(
  node: Libp2p,
  ms: number,
  signal: AbortSignal | undefined,
  work: (dht: KadDHT, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const ended = within(ms, signal)
  try {
    await work(required(node), ended.signal)
  } catch (error) {
    signal?.throwIfAborted()
    throw failed(error)
  } finally {
    ended.clear()
  }
}

function required(node: Libp2p): KadDHT {
  const dht = dhtOf(node)
  if (!dht) throw new PinGoError('DHT_OFF', 'This host takes no part in the distributed hash table.')
  return dht
}

function within(ms: number, signal: AbortSignal | undefined) {
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(new Error('it took too long')), ms)
  return {
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
    clear: () => {
      clearTimeout(timer)
      stop.abort()
    },
  }
}

const failed = (error: unknown) =>
  isPinGoError(error)
    ? error
    : new PinGoError('DHT_FAILED', 'The distributed hash table did not answer.', {
        hint: 'Check that the fog node has peers.',
        cause: error,
      })
