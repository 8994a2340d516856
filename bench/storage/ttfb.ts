import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Row } from '../run.ts'
import type { Seen } from './ttfb-peer.ts'

/**
 * How soon the first byte of a file comes that is far away: user and gateway in one network namespace, the only holder in another, 40 ms apart
 * each way (a TUN device in each, joined by `delay-link.py`; real kernels' TCP on both sides). Each read begins cold: no connection, no block. A new
 * HTTPS connection costs a round trip for TCP, one for TLS 1.3 and one for the request. The bar is of a holder that is known, as a manifest leads to
 * it, which tells lengths too. How long a look-up takes is printed apart, and so is what happens when the length is not known. Files are shown when
 * they were checked against their CIDs, so that the first byte of a large one waits for its first MiB: `fetchSplit` brings it over many connections
 * in their first flights, that is in three round trips from cold, the file's first leaf together with its root; what is above them is pacing and the
 * CPU of some 90 handshakes and what else the machine does. Of a private object the first 64 KiB are checked by the Merkle root in its manifest, and
 * shown three round trips from cold. Raw blocks and CARs go to who checks them by himself: a raw block is passed on as it comes, three round trips
 * from cold. All forms are read in turn; the medians are told, and the best, which other load disturbs least. The bar is in round trips as this link
 * has them: a new TCP connection's time is taken before each turn, and the median of them is the round trip.
 *
 * Who sends decides how fast a flight comes: at once by the slow start of CUBIC (Linux's default) and Reno; paced over a third of the round trip by
 * BBR. Those are measured that the machine allows.
 */
export const summary = 'time to the first byte of a cold file over a link of 80 ms'

const ONE_WAY_MS = 40
const SENDERS = 'cubic,reno,bbr'
const KIB = 1 << 10
const FILES: { name: string; bytes: number; query: string; isLengthKnown?: false }[] = [
  { name: 'file, 4 KiB', bytes: 4 * KIB, query: '' },
  { name: 'file, 64 KiB', bytes: 64 * KIB, query: '' },
  { name: 'file, 256 KiB', bytes: 256 * KIB, query: '' },
  { name: 'file, 1 MiB', bytes: 1024 * KIB, query: '' },
  { name: 'file, 16 MiB', bytes: 16 * 1024 * KIB, query: '' },
  { name: 'file, 1 MiB, its length not known', bytes: 1024 * KIB, query: '', isLengthKnown: false },
  { name: 'raw block, 64 KiB', bytes: 64 * KIB, query: '?format=raw' },
  { name: 'raw block, 1 MiB', bytes: 1024 * KIB, query: '?format=raw' },
  { name: 'CAR, 16 MiB', bytes: 16 * 1024 * KIB, query: '?format=car' },
]
const PRIVATE = [
  { name: 'private by the SDK, 64 KiB', bytes: 64 * KIB },
  { name: 'private by the SDK, 1 MiB', bytes: 1024 * KIB },
  { name: 'private by the SDK, 16 MiB', bytes: 16 * 1024 * KIB },
]

export default async function ttfb(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '10' },
      senders: { type: 'string', default: SENDERS },
      // forms whose name holds it: 'file, 1 MiB', 'private'
      only: { type: 'string', default: '' },
    },
  })
  const lacking = whatLacks()
  if (lacking)
    return [{ name: 'first byte of a cold file, 80 ms away', measured: lacking, bar: '≤ 4 RTT + 50 ms', holds: null }]
  const known = readFileSync('/proc/sys/net/ipv4/tcp_allowed_congestion_control', 'utf8').trim().split(' ')
  const isWanted = ({ name }: { name: string }) => name.includes(values.only)
  const forms = { files: FILES.filter(isWanted), objects: PRIVATE.filter(isWanted) }
  const rows: Row[] = []
  for (const sender of values.senders.split(',').filter((name) => known.includes(name)))
    rows.push(...(await measure(sender, Number(values.rounds), forms)))
  return rows
}

/** @param sender the congestion control of both ends */
async function measure(
  sender: string,
  rounds: number,
  { files, objects: privates }: { files: typeof FILES; objects: typeof PRIVATE },
): Promise<Row[]> {
  const [near, far] = [`pg${process.pid}a`, `pg${process.pid}b`]
  const stops: (() => unknown)[] = []
  try {
    for (const name of [near, far]) {
      ip('netns', 'add', name)
      stops.push(() => ip('netns', 'del', name))
    }
    const link = spawn('python3', [here('delay-link.py'), near, far, 'long0', String(ONE_WAY_MS)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    stops.push(() => link.stdin.end())
    await once(link.stdout, 'data')
    for (const [name, address] of [
      [near, '10.99.0.1/24'],
      [far, '10.99.0.2/24'],
    ] as const) {
      // a setting of the namespace alone
      ip('netns', 'exec', name, 'sysctl', '-qw', `net.ipv4.tcp_congestion_control=${sender}`)
      ip('-n', name, 'link', 'set', 'lo', 'up')
      ip('-n', name, 'addr', 'add', address, 'dev', 'long0')
      ip('-n', name, 'link', 'set', 'long0', 'up')
    }
    const sizes = Array.from({ length: rounds }, () => files.map(({ bytes }) => bytes)).flat()
    const privateSizes = Array.from({ length: rounds }, () => privates.map(({ bytes }) => bytes)).flat()
    const holder = peer(far, ['holder', '10.99.0.2', JSON.stringify(sizes), JSON.stringify(privateSizes)])
    const gateway = peer(near, ['gateway'])
    stops.push(
      () => holder.disconnect(),
      () => gateway.disconnect(),
    )
    const [[{ refs, objects, ...source }]] = await Promise.all([once(holder, 'message'), once(gateway, 'message')])
    const ask = async (question: object) => {
      gateway.send({ ...question, source })
      const [answer] = await once(gateway, 'message')
      if (answer.error) throw new Error(answer.error)
      return answer
    }
    const forms = [...files, ...privates]
    const seen: Seen[][] = forms.map(() => [])
    const pings: { rtt: number; question: number }[] = []
    // all forms in turn, again and again: whatever else the machine does meets all of them
    for (let round = 0; round < rounds; round++) {
      pings.push(await ask({ roundTripTo: source.url }))
      for (const n of forms.keys()) {
        const file = round * files.length + n
        const object = round * privates.length + n - files.length
        const { query, isLengthKnown = true } = files[n] ?? {}
        const what = n < files.length ? { file: { ...refs[file], query, isLengthKnown } } : { object: objects[object] }
        seen[n]!.push(await ask({ ...what, rtt: 2 * ONE_WAY_MS }))
      }
    }
    const rtt = median(pings.map((ping) => ping.rtt))
    const bar = 4 * rtt + 50
    const rows: Row[] = [
      {
        name: `${sender}: RTT (a TCP connection, median of ${rounds})`,
        measured: rtt,
        unit: 'ms',
        bar: 'printed',
        holds: true,
      },
      {
        name: `${sender}: a question on an open connection; a look-up is four in turn: record, manifest, part, locations`,
        measured: median(pings.map((ping) => ping.question)),
        unit: 'ms',
        bar: 'printed',
        holds: true,
      },
    ]
    for (const [n, { name }] of forms.entries()) {
      const of = (what: keyof Seen) => median(seen[n]!.map((one) => one[what]))
      const isBarred = files[n]?.isLengthKnown !== false
      const best = Math.min(...seen[n]!.map(({ firstByte }) => firstByte))
      rows.push(
        {
          name: `${sender}, ${name}: first byte of the body (median of ${rounds} cold reads)`,
          measured: of('firstByte'),
          unit: 'ms',
          bar: isBarred ? `≤ ${bar.toFixed(0)} (4 RTT + 50)` : 'printed',
          holds: !isBarred || of('firstByte') <= bar,
        },
        {
          name: `${sender}, ${name}: best first byte; median of head; of end`,
          measured: `${best.toFixed(0)}; ${of('head').toFixed(0)}; ${of('end').toFixed(0)}`,
          unit: 'ms',
          bar: 'printed',
          holds: true,
        },
      )
    }
    return rows
  } finally {
    for (const stop of stops.toReversed()) stop()
  }
}

function whatLacks(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root'
  if (!existsSync('/dev/net/tun')) return 'needs /dev/net/tun'
  for (const [tool, arg] of [
    ['ip', '-V'],
    ['python3', '--version'],
  ] as const)
    try {
      execFileSync(tool, [arg], { stdio: 'ignore' })
    } catch {
      return `needs ${tool}`
    }
  try {
    const name = `pg${process.pid}p`
    ip('netns', 'add', name)
    ip('netns', 'del', name)
    return undefined
  } catch {
    return 'needs network namespaces'
  }
}

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2
}

function peer(namespace: string, args: string[]): ChildProcess {
  const command = ['netns', 'exec', namespace, process.execPath, here('ttfb-peer.ts'), ...args]
  return spawn('ip', command, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}
