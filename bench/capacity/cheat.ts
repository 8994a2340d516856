/**
 * A contributor that lies, as a process of its own: it answers challenges with the package's own code, over the real channel, but goes on claiming what it
 * claimed first instead of what it showed, and with `helper` has another process do its work. Its orders are JSON in the first argument. It prints what it
 * claims for each of its slices, FLOP/s, and joins when there is a line on its standard input.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { Engine } from '@pingo/engine'
import { challengeGraph, challengeLink, flopsOfLink, runIn } from '@pingo/engine/challenge'
import { Host } from '@pingo/network'
import { contributorChannel, createIdentity, HEARTBEAT_MS } from '@pingo/wire'
import { pino } from 'pino'
import { Challenged } from '../../packages/contributor/src/capacity/challenged.ts'
import { readHardware } from '../../packages/contributor/src/offer.ts'
import { lines, say } from './lines.ts'

export interface Orders {
  /** Multiaddr of the fog node. */
  fog: string
  name: string
  /** Slices of a core each. */
  slices: number
  /** FLOP/s that it claims for each of them; by default what it measures that one core does. */
  flops?: number | undefined
  /** Port of this machine behind which a helper does its work. */
  helper?: number
}

const PRODUCTS = 64
const WINDOWS = 9
const WINDOW_MS = 250

const orders: Orders = JSON.parse(process.argv[2]!)
const flops = orders.flops ?? (await speedOfCore())
console.log(flops)
await once(process.stdin, 'data')
const identity = await createIdentity()
const host = await Host.start({ identity })
const channel = await host.openChannel(orders.fog, contributorChannel)
const socket = orders.helper === undefined ? undefined : connect(orders.helper, '127.0.0.1').setNoDelay(true)
const challenged = new Challenged({
  peerId: identity.peerId,
  slice: () => ({ cores: 1, isPaused: false, lend }),
  cores: () => orders.slices,
  send: ({ flops: _, ...answer }) => void channel.send(answer),
  logger: pino({ level: 'silent' }),
  clock: () => performance.now(),
})

await channel.send({
  type: 'hello',
  version: '1',
  name: orders.name,
  offer: {
    cores: orders.slices,
    memoryBytes: orders.slices * 2 ** 30,
    diskBytes: 0,
    slices: Array.from({ length: orders.slices }, () => ({ cores: 1, memoryBytes: 2 ** 30 })),
  },
  hardware: readHardware(),
  flops,
  leases: [],
})
const slices = Array.from({ length: orders.slices }, () => ({ state: 'idle' as const }))
setInterval(() => void channel.send({ type: 'heartbeat', rssBytes: 0, slices }), HEARTBEAT_MS)
if (socket) {
  say(socket, { peerId: identity.peerId })
  void (async () => {
    for await (const answer of lines(socket)) void channel.send(answer as never)
  })()
}
for await (const message of channel.messages) {
  if (message.type === 'credited') challenged.credited(message)
  if (message.type !== 'challenge') continue
  // it answers echoes itself, so that it looks near
  if (socket && message.step !== 'echo') say(socket, message)
  else challenged.receive(message)
}

/** FLOP/s of one slice that has this process’s cores to itself: the best of some windows. */
async function speedOfCore(): Promise<number> {
  await using engine = await Engine.start()
  const run = runIn(await engine.open(challengeGraph(PRODUCTS)))
  const speeds: number[] = []
  for (let before: Uint8Array = new Uint8Array(32); speeds.length <= WINDOWS; ) {
    const began = performance.now()
    let links = 0
    for (; performance.now() - began < WINDOW_MS; links++) before = await challengeLink(before, run)
    speeds.push((flopsOfLink(PRODUCTS) * links * 1000) / (performance.now() - began))
  }
  // the first one warms up
  return Math.max(...speeds.slice(1))
}

async function lend() {
  const engine = await Engine.start()
  return { engine, hold: () => undefined, giveBack: () => void engine.close() }
}
