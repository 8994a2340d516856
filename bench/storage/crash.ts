import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Row } from '../run.ts'
import { StorageClients } from '../support/storage-clients.ts'
import { StorageNetwork, type StorageProcess } from '../support/storage-network.ts'
import { judge } from '../support/storage-oracle.ts'
import type { Acked, Told } from '../support/storage-worker.ts'

export const summary =
  'kill -9 of clients and nodes at random moments of puts, collections and repairs (--kills N --seed S): nothing acknowledged is lost, nothing leaks'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Few shards, so that few processes are a network with one to spare. */
const CODE = { k: 4, m: 2 }
const NODES = 7
const LANES = 3
/** Objects that each lane keeps: the rest is forgotten and collected. */
const KEPT = 4
const MAX_BYTES = 2 ** 20
/** A moment comes after this at last. */
const MOMENT_MS = 10_000
/** Every so many generations all that is due is waited for. */
const REST = 4

export default async function crash(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: { kills: { type: 'string', default: '500' }, seed: { type: 'string', default: '1' } },
  })
  return await killOften(Number(values.kills), Number(values.seed))
}

/**
 * One generation of clients after another puts, reads and forgets while its nodes check, repair and collect, a day later each time; at a
 * random moment the clients, a node, or both are killed, and now and then a chunk goes from a disk.
 */
export async function killOften(kills: number, seed: number): Promise<Row[]> {
  await using network = await StorageNetwork.start(NODES, ['--tick', '0', '--turn', '100'])
  const random = generator(seed)
  const below = (n: number) => Math.floor(random() * n)
  const acked = new Map<string, Acked>()
  const counts: Record<string, number> = {}
  const wrong: string[] = []
  const hear = (told: Told) => {
    counts[told.type] = (counts[told.type] ?? 0) + 1
    if (told.type === 'acked') acked.set(told.object.id, told.object)
    if (told.type === 'forgetting') acked.delete(told.id) // from now to the answer it may be either
    if (told.type === 'wrong') wrong.push(told.id)
  }
  /** After so many things were told of, and a bit: on a slow machine as in a fast one something is under way. */
  const moment = async (events: number) => {
    const told = () => Object.values(counts).reduce((sum, count) => sum + count, 0)
    const then = told() + events
    for (const end = Date.now() + MOMENT_MS; told() < then && Date.now() < end; ) await sleep(5)
    await sleep(random() * 100)
  }
  const clients = (generation: number) =>
    StorageClients.begin(
      {
        seeds: network.live.map(({ url }) => url),
        token: network.nodes[0]!.token,
        aheadMs: network.aheadMs,
        nodes: NODES,
        lanes: LANES,
        maxBytes: MAX_BYTES,
        code: CODE,
        keeps: KEPT,
        seed: seed * 10_000 + generation,
        owner: String(seed),
        stored: [...acked.values()],
      },
      hear,
    )
  let killed = 0
  for (let generation = 0; killed < kills; generation++) {
    await network.order({ ms: DAY_MS + below(HOUR_MS) })
    const working = clients(generation)
    await working.until('ready')
    const orders = network.nodes.flatMap((node) => [node.order({ do: 'tick' }), node.order({ do: 'collect' })])
    await moment(below(12))
    const victim = network.nodes[below(NODES)]!
    const whom = below(3)
    if (whom !== 1) killed += 1
    if (whom !== 0) killed += 1
    await Promise.all([whom !== 1 && working.kill(), whom !== 0 && victim.kill()])
    if (whom === 1) {
      await moment(below(4))
      await working.kill()
      killed += 1
    }
    if (!victim.isUp) await network.restart(victim)
    await Promise.all(orders)
    if (generation % 3 === 0)
      counts.damaged = (counts.damaged ?? 0) + (await damage(network.nodes[below(NODES)]!, below))
    if (generation % REST === 0) await rest(network, 1)
    if (generation % 10 === 0)
      process.stderr.write(`${killed} kills: ${acked.size} objects kept, ${JSON.stringify(counts)}\n`)
  }
  await rest(network, 3)
  const reading = clients(-1)
  await reading.until('ready')
  await reading.stop()
  counts.read = 0
  counts.unread = 0
  await reading.check([...acked.values()])
  const read = { ...counts }
  await reading.kill()
  // all that nobody wants is over by then, what is wanted was renewed
  for (let days = 0; days < 32; days += 8) {
    await network.order({ ms: 8 * DAY_MS })
    await rest(network, 2)
  }
  const verdict = await judge(network)
  return [
    { name: 'kills', measured: killed, bar: 'printed', holds: true },
    {
      name: 'objects acknowledged (and kept to the end)',
      measured: `${read.acked} (${acked.size})`,
      bar: 'printed',
      holds: true,
    },
    zero('acknowledged objects that cannot be read', acked.size - (read.read ?? 0)),
    zero('reads that gave wrong bytes', wrong.length),
    zero('shards and manifests that lack', verdict.lacking),
    zero('bytes leaked', verdict.leakedBytes),
    zero('temporary files left', verdict.temporary),
    {
      name: 'objects in care at the end',
      measured: verdict.objects,
      bar: 'printed',
      holds: verdict.objects >= acked.size,
    },
  ]
}

const zero = (name: string, measured: number): Row => ({ name, measured, bar: '0', holds: measured === 0 })

/** All see to what is due, hours later, and collect. */
async function rest(network: StorageNetwork, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    await network.order({ ms: 1.1 * HOUR_MS })
    await sleep(1_000) // they find each other again
    for (const node of network.live) await node.order({ do: 'tick' })
    await network.order({ do: 'collect' })
  }
}

/** A chunk vanishes from a disk. */
async function damage({ folder }: StorageProcess, below: (n: number) => number): Promise<number> {
  const blocks = join(folder, 'blocks', 'blocks')
  const files = (await readdir(blocks, { recursive: true })).filter((name) => name.length > 60)
  if (files.length === 0) return 0
  await rm(join(blocks, files[below(files.length)]!))
  return 1
}

/** Mulberry32: in [0, 1), by a seed. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
