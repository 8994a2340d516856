/**
 * A storage node in a process of its own, for tests and benchmarks: real disk, real sockets, the service and handlers of a fog node.
 *
 *   node storage-node.ts FOLDER [--port 0] [--peer URL …] [--domain D] [--region R] [--quota BYTES] [--token T] [--turn MS]
 *
 * Prints one line of JSON when it is ready: `{"ready":true,"url":…,"peerId":…,"token":…}`; SIGTERM ends it cleanly.
 */
import { parseArgs } from 'node:util'
import { startStorageNode } from './start-storage-node.ts'

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
  },
})
const node = await startStorageNode({
  folder: positionals[0]!,
  port: Number(values.port),
  seeds: values.peer.map((url) => ({ url })),
  domain: values.domain,
  region: values.region,
  quotaBytes: values.quota === undefined ? undefined : Number(values.quota),
  token: values.token,
  turnMs: values.turn === undefined ? undefined : Number(values.turn),
})
process.stdout.write(`${JSON.stringify({ ready: true, url: node.url, peerId: node.peerId, token: node.token })}\n`)
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => void node.close().then(() => process.exit(0)))
