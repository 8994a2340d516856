/**
 * A storage node in a process of its own, for tests and benchmarks: real disk, real sockets, the service and handlers of a fog node.
 *
 *   node storage-node.ts FOLDER [--port 0] [--peer URL …] [--domain D] [--region R] [--quota BYTES] [--token T] [--turn MS]
 *     [--tick MS] [--clock MS] [--corrupt]
 *
 * With `--tick` it sees to the objects in its care, and looks that often for what is due (0: only when it is told). `--clock` sets its
 * clock ahead; `--corrupt` gives every chunk with a wrong byte. Prints one line of JSON when it is ready:
 * `{"ready":true,"url":…,"peerId":…,"token":…}`; SIGTERM ends it cleanly.
 *
 * It does what lines on stdin say, one after another, and answers each by a line of JSON: `{"ms":3600000}` sets its clock further
 * ahead, `{"do":"tick"}` sees to what is due, `{"do":"collect"}` collects what nobody wants any more, `{"do":"leave"}` says that it
 * leaves, `{"do":"corrupt"}` and `{"do":"honest"}` begin and end wrong answers, `{"do":"members"}` tells how many others it knows,
 * `{"do":"stats"}` what it has, what happened, and what it thinks of the others.
 */
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import type { CareEvent } from '../durability/part-care.ts'
import { corruptAnswers } from './corrupt.ts'
import { startStorageNode } from './start-storage-node.ts'
import { statsOf } from './stats.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    peer: { type: 'string', multiple: true, default: [] },
    domain: { type: 'string' },
    region: { type: 'string' },
    quota: { type: 'string' },
    token: { type: 'string' },
    turn: { type: 'string' },
    tick: { type: 'string' },
    clock: { type: 'string', default: '0' },
    corrupt: { type: 'boolean', default: false },
  },
})
let aheadMs = Number(values.clock)
let isCorrupt = values.corrupt
const answerWrong = corruptAnswers(() => node)
const events: Record<string, number> = {}
const reasons = new Map<string, number>()
const lost: CareEvent[] = []
const node = await startStorageNode({
  folder: positionals[0]!,
  port: Number(values.port),
  seeds: values.peer.map((url) => ({ url })),
  domain: values.domain,
  region: values.region,
  quotaBytes: values.quota === undefined ? undefined : Number(values.quota),
  token: values.token,
  turnMs: values.turn === undefined ? undefined : Number(values.turn),
  clock: () => Date.now() + aheadMs,
  before: (request, response) => isCorrupt && answerWrong(request, response),
  care: values.tick === undefined ? undefined : { tickMs: Number(values.tick), onEvent: note },
})

function note(event: CareEvent): void {
  const type = event.type === 'challenged' ? `challenged: ${event.outcome}` : event.type
  events[type] = (events[type] ?? 0) + 1
  if (event.type === 'unrepaired') reasons.set(event.reason, (reasons.get(event.reason) ?? 0) + 1)
  if (event.type === 'lost') lost.push(event)
  if (event.type === 'failed' && process.env.PINGO_DEBUG) console.error(event)
}

async function obey(order: { do?: string; ms?: number }): Promise<object> {
  aheadMs += order.ms ?? 0
  if (order.do === 'tick') await node.tick()
  if (order.do === 'collect') await node.service.collect({ orphansMs: 0 })
  if (order.do === 'corrupt' || order.do === 'honest') isCorrupt = order.do === 'corrupt'
  if (order.do === 'leave') node.service.set({ state: 'leaving' })
  if (order.do === 'members') return { members: node.membership.book.list().length }
  if (order.do !== 'stats') return {}
  const standings: Record<string, number> = {}
  for (const { record } of node.membership.book.list()) {
    const { state } = node.reputation.standing(record.peerId)
    standings[state] = (standings[state] ?? 0) + 1
  }
  return {
    ...(await statsOf(node, positionals[0]!)),
    events,
    reasons: Object.fromEntries(reasons),
    lost,
    standings,
  }
}

let obeying: Promise<void> = Promise.resolve()
createInterface({ input: process.stdin }).on('line', (line) => {
  obeying = obeying
    .then(() => obey(JSON.parse(line)))
    .catch((error: Error) => ({ error: error.message }))
    .then((answer) => void process.stdout.write(`${JSON.stringify(answer)}\n`))
})
process.stdout.write(`${JSON.stringify({ ready: true, url: node.url, peerId: node.peerId, token: node.token })}\n`)
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => void node.close().then(() => process.exit(0)))
