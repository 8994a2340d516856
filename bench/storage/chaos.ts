import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { DEFAULT_CODE, paddedBytes } from '@pingo/storage'
import { MAX_COPIED_BYTES, SHARD_BYTES, SHARD_ROW_BYTES } from '@pingo/wire'
import { repairAt } from '../../packages/storage/src/durability/policy.ts'
import type { ProcessStats } from '../../packages/storage/src/testing/stats.ts'
import type { Row } from '../run.ts'
import { StorageClients } from '../support/storage-clients.ts'
import { StorageNetwork } from '../support/storage-network.ts'
import { judge } from '../support/storage-oracle.ts'
import type { Acked, Told } from '../support/storage-worker.ts'

export const summary =
  '5 of 16 nodes killed at once while 50 clients read and write, one survivor returns corrupt bytes (--seconds N): nothing is wrong, nothing is lost, all is repaired'

const NODES = 16
const DEAD = 5
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export interface ChaosOptions {
  seconds: number
  clients: number
  workers: number
  maxBytes: number
  seed: number
}

export default async function chaos(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '30' },
      clients: { type: 'string', default: '50' },
      workers: { type: 'string', default: '5' },
      'max-bytes': { type: 'string', default: String(24 << 20) },
      seed: { type: 'string', default: '1' },
    },
  })
  return await wreak({
    seconds: Number(values.seconds),
    clients: Number(values.clients),
    workers: Number(values.workers),
    maxBytes: Number(values['max-bytes']),
    seed: Number(values.seed),
  })
}

export async function wreak(o: ChaosOptions): Promise<Row[]> {
  await using network = await StorageNetwork.start(NODES, ['--tick', '0', '--turn', '500'])
  const acked: Acked[] = []
  const counts = { read: 0, unread: 0, wrong: 0, refused: 0, weak: 0, lateAcks: 0 }
  const refusals = new Map<string, string>()
  let killedAt = Number.POSITIVE_INFINITY
  const hear = (told: Told) => {
    if (told.type === 'acked') {
      acked.push(told.object)
      const wanted = told.object.bytes > MAX_COPIED_BYTES ? '10+6' : '1+6'
      if (told.object.code !== wanted) counts.weak += 1
      // one that had all its shards on 16 nodes before may still be acknowledged
      if (told.object.beganAt > killedAt && wanted === '10+6' && nodesFor(told.object) > NODES - DEAD)
        counts.lateAcks += 1
    }
    if (told.type === 'refused') {
      counts.refused += 1
      refusals.set(told.code, told.sentence)
    }
    if (told.type === 'read' || told.type === 'unread' || told.type === 'wrong') counts[told.type] += 1
    if (told.type === 'unread') process.stderr.write(`${told.id}: ${told.why}\n`)
  }
  const asked = {
    seeds: network.nodes.map(({ url }) => url),
    token: network.nodes[0]!.token,
    aheadMs: 0,
    nodes: NODES,
    lanes: Math.ceil(o.clients / o.workers),
    maxBytes: o.maxBytes,
    seed: o.seed * 1_000,
  }
  const workers = Array.from({ length: o.workers }, (_, n) =>
    StorageClients.begin({ ...asked, seed: asked.seed + n }, hear),
  )
  await Promise.all(workers.map((worker) => worker.until('ready')))
  await network.order({ do: 'tick' })
  while (acked.length < o.clients) await sleep(100)
  await sleep(o.seconds * 500)
  const before = acked.length
  const dead = network.nodes.slice(1, 1 + DEAD)
  const liar = network.nodes[1 + DEAD]!
  await liar.order({ do: 'corrupt' })
  await Promise.all(dead.map((node) => node.kill()))
  killedAt = Date.now()
  while (Date.now() - killedAt < o.seconds * 500 || counts.refused === 0) await sleep(100)
  await Promise.all(workers.map((worker) => worker.stop()))
  process.stderr.write(`${before} acknowledged before, ${acked.length - before} after; ${JSON.stringify(counts)}\n`)
  // six of sixteen are of no use now: all must come back by the ten that are left
  const during = { ...counts }
  const [first, ...others] = workers
  await Promise.all(others.map((worker) => worker.kill()))
  Object.assign(counts, { read: 0, unread: 0, wrong: 0 })
  await first!.check(acked)
  const maimed = { ...counts }
  await first!.kill()
  await liar.order({ do: 'honest' })
  // whoever met the liar's proofs may take nothing from it any more
  for (let n = 0; n < DEAD + 1; n++) await network.add()
  const whole = await repaired(network, acked)
  const verdict = await judge(network)
  const thoughts = sum(await Promise.all(network.live.map((node) => node.stats())), 'standings')
  Object.assign(counts, { read: 0, unread: 0, wrong: 0 })
  const now = { aheadMs: network.aheadMs, nodes: network.live.length, seeds: network.live.map(({ url }) => url) }
  const reader = StorageClients.begin({ ...asked, ...now, lanes: 0 }, hear)
  await reader.until('ready')
  await reader.check(acked)
  await reader.kill()
  const rows: Row[] = [
    {
      name: 'objects acknowledged, after the kill',
      measured: `${acked.length}, ${acked.length - before}`,
      bar: 'printed',
      holds: true,
    },
    { name: 'reads meanwhile', measured: during.read, bar: 'printed', holds: true },
    zero('reads that gave wrong bytes', during.wrong + maimed.wrong + counts.wrong),
    zero('acknowledged objects that ten nodes cannot give back', acked.length - maimed.read),
    zero('writes acknowledged with fewer shards than they should have', during.weak),
    zero('… begun when fewer nodes lived than they have shards', during.lateAcks),
    {
      name: 'writes refused',
      measured: `${during.refused}: ${[...refusals.keys()].join(', ')}`,
      bar: 'STORAGE_NODES_FEW',
      holds: [...refusals.keys()].every((code) => code === 'STORAGE_NODES_FEW'),
    },
    {
      name: 'objects that need no repair any more, with 6 new nodes (15 of 16 shards are enough)',
      measured: whole,
      bar: `${acked.length}`,
      holds: whole === acked.length,
    },
    { name: 'shards that lack then', measured: verdict.lacking, bar: 'printed', holds: true },
    zero('acknowledged objects that cannot be read after the repair', acked.length - counts.read),
    zero('honest nodes that another one ejected for good', thoughts.ejected ?? 0),
  ]
  return rows
}

/** Nodes that an object's first stripe takes: its empty data shards are stored nowhere. */
function nodesFor({ bytes, isPublic }: Acked): number {
  const { k, m } = DEFAULT_CODE
  const stripe = Math.min(isPublic ? bytes : paddedBytes(bytes), k * SHARD_BYTES)
  // the shards of public data are leaves of 1 MiB
  const shardBytes = isPublic ? Math.min(bytes, SHARD_BYTES) : Math.ceil(stripe / k / SHARD_ROW_BYTES) * SHARD_ROW_BYTES
  return Math.ceil(stripe / shardBytes) + m
}

const zero = (name: string, measured: number): Row => ({ name, measured, bar: '0', holds: measured === 0 })

/**
 * The caretakers see to all, again and again: first at once, as they do with every fresh object, whose chunks have an upload's lease of a day
 * until then; then when the dead ones were silent for longer than a restart takes; and then each day.
 * @returns acknowledged objects whose newest check found more shards in each stripe than are repaired (15 of 16 are not)
 */
async function repaired(network: StorageNetwork, acked: readonly Acked[]): Promise<number> {
  let whole = 0
  for (let turn = 0; turn < 8 && whole < acked.length; turn++) {
    const ms = [0, 2 * HOUR_MS][turn] ?? DAY_MS + HOUR_MS
    if (ms > 0) await network.order({ ms })
    await network.meet()
    await network.order({ do: 'tick' })
    const stats = await Promise.all(network.live.map((node) => node.stats()))
    const isWhole = ({ id, code }: Acked) => {
      const [newest] = stats
        .flatMap(({ objects }) => objects[id] ?? [])
        .sort((a, b) => (b.checkedAt ?? 0) - (a.checkedAt ?? 0))
      const [k, m] = code.split('+').map(Number) as [number, number]
      const enough = repairAt({ k, m })
      const left = Object.keys(newest?.stripesByShards ?? {})
      const isThere = (holder: string | undefined) => network.live.some(({ peerId }) => peerId === holder)
      // a shard without bytes has no holder, and is there
      const there = newest?.stripes.map((shards) => k + m - shards.filter(([, holder]) => !isThere(holder)).length)
      return left.length > 0 && left.every((shards) => Number(shards) > enough) && there!.every((n) => n > enough)
    }
    whole = acked.filter(isWhole).length
    const told = (['events', 'reasons', 'standings'] as const).map((what) => JSON.stringify(sum(stats, what))).join(' ')
    process.stderr.write(
      `after ${turn + 1} rounds of checks ${whole} of ${acked.length} objects need no repair; ${told}\n`,
    )
  }
  return whole
}

function sum(stats: ProcessStats[], what: 'events' | 'reasons' | 'standings'): Record<string, number> {
  const all: Record<string, number> = {}
  for (const each of stats) for (const [name, n] of Object.entries(each[what])) all[name] = (all[name] ?? 0) + n
  return all
}
