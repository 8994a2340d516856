import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Row } from '../run.ts'
import type { Command, Served, Stack } from './transfer-peer.ts'

/**
 * What it costs two nodes to hand over a file: CPU of both ends (user + system), since a node that serves shares its cores with whoever
 * trains. Node's plain TLS stream of the same bytes is the yardstick: nothing in Node that is encrypted moves them for less. What `fetchFile` does
 * beyond moving them (each chunk read from disk and checked by the sender, checked, written and synced by the reader) is measured by itself
 * in the same round, done with the cheapest calls there are (synchronous ones), and subtracted:
 *
 *   ratio = CPU(TLS) ÷ (CPU(fetchFile) − 2 × CPU(sha256 of all bytes) − CPU(disk: write, sync, rename; read))
 *
 * Helia's bitswap does the same, from disk to disk (blockstore-fs, which does not sync) with all that it does included at both sides of the
 * ratio; what it takes from memory to memory is printed.
 */
export const summary = 'CPU of two nodes that hand over a file, against a plain TLS stream and Helia bitswap'

const GIB = 2 ** 30

export default async function transfer(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      mib: { type: 'string', default: '256' },
      rounds: { type: 'string', default: '5' },
      /** A folder where `npm install helia@7.1.15 blockstore-fs` was run; without it Helia is not judged. */
      helia: { type: 'string', default: process.env.PINGO_HELIA ?? '' },
    },
  })
  const bytes = Number(values.mib) << 20
  const hasHelia = ['helia', 'blockstore-fs'].every(
    (name) => values.helia !== '' && existsSync(join(values.helia, 'node_modules', name, 'package.json')),
  )
  const env = { ...process.env, PINGO_HELIA: values.helia }
  const [sender, reader] = await Promise.all([Peer.start(env), Peer.start(env)])
  const figures: Record<string, number[]> = {}
  const note = (name: string, value: number) => (figures[name] ??= []).push(value)
  try {
    // the first round warms up and is thrown away
    for (let round = 0; round <= Number(values.rounds); round++) {
      const tls = await handOver(sender, reader, 'tls', bytes, round)
      const pingo = await handOver(sender, reader, 'pingo', bytes, round)
      const read = (await reader.ask({ do: 'read' })).cpu
      const hash = (await reader.ask({ do: 'hash', bytes, round })).cpu
      const disk = (await reader.ask({ do: 'disk', bytes, round })).cpu
      const helia = hasHelia ? await handOver(sender, reader, 'helia', bytes, round) : undefined
      const inMemory = hasHelia ? await handOver(sender, reader, 'helia-memory', bytes, round) : undefined
      process.stderr.write(
        `round ${round}: CPU-s/GiB: TLS ${show(tls.cpu, bytes)}, fetchFile ${show(pingo.cpu, bytes)} (sender ${show(pingo.sender, bytes)}), sha256 ${show(hash, bytes)}, disk ${show(disk, bytes)}${helia ? `, bitswap ${show(helia.cpu, bytes)}` : ''}; MiB/s: TLS ${(bytes / tls.seconds / 2 ** 20).toFixed(0)}, fetchFile ${(bytes / pingo.seconds / 2 ** 20).toFixed(0)}\n`,
      )
      if (round === 0) continue
      note('tls', (tls.cpu * GIB) / bytes)
      note('pingo', (pingo.cpu * GIB) / bytes)
      note('hash', (2 * hash * GIB) / bytes)
      note('disk', (disk * GIB) / bytes)
      note('read', (read * GIB) / bytes)
      note('ratio', tls.cpu / (pingo.cpu - 2 * hash - disk))
      note('speed', bytes / pingo.seconds / 2 ** 20)
      if (helia && inMemory) {
        note('helia', (helia.cpu * GIB) / bytes)
        note('heliaMemory', (inMemory.cpu * GIB) / bytes)
        note('heliaRatio', helia.cpu / pingo.cpu)
      }
    }
  } finally {
    sender.stop()
    reader.stop()
  }
  const of = (name: string) => median(figures[name]!)
  const printed = (name: string, measured: number, unit = 'CPU-s/GiB'): Row => ({
    name,
    measured,
    unit,
    bar: 'printed',
    holds: true,
  })
  const ratio = of('ratio')
  const rows: Row[] = [
    printed('plain TLS stream, both ends', of('tls')),
    printed('fetchFile from disk to disk over TLS, both ends', of('pingo')),
    printed('  of it sha256, once at each end', of('hash')),
    printed('  of it disk: write aside past the cache of files, sync, rename; read', of('disk')),
    printed('the reader reads the file afterwards, from disk, checked', of('read')),
    printed('fetchFile, wall', of('speed'), 'MiB/s'),
    {
      name: `bytes per CPU-second less hashing and disk ÷ TLS stream's (median of ${values.rounds} pairs)`,
      measured: ratio,
      bar: '≥ 0.7',
      holds: ratio >= 0.7,
    },
  ]
  if (!hasHelia)
    rows.push({
      name: 'bytes per CPU-second ÷ Helia bitswap (give --helia FOLDER where helia@7.1.15 and blockstore-fs are installed)',
      measured: 'not installed',
      bar: '≥ 7',
      holds: null,
    })
  else
    rows.push(
      printed('Helia bitswap from disk to disk over TLS, both ends', of('helia')),
      printed('Helia bitswap from memory to memory over TLS, both ends', of('heliaMemory')),
      {
        name: 'bytes per CPU-second ÷ Helia bitswap’s, both from disk to disk, all included',
        measured: of('heliaRatio'),
        bar: '≥ 7',
        holds: of('heliaRatio') >= 7,
      },
    )
  return rows
}

/** CPU seconds of both ends, and of the sender alone. */
async function handOver(sender: Peer, reader: Peer, stack: Stack, bytes: number, round: number) {
  const { served } = await sender.ask({ do: 'serve', stack, bytes, round })
  const { cpu, seconds } = await reader.ask({ do: 'fetch', stack, bytes, round, from: served })
  const { cpu: sent } = await sender.ask({ do: 'mark' })
  return { cpu: cpu + sent, sender: sent, seconds }
}

/** A forked `transfer-peer.ts`. */
class Peer {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(env: NodeJS.ProcessEnv): Promise<Peer> {
    const child = fork(new URL('./transfer-peer.ts', import.meta.url), {
      env,
      execArgv: ['--expose-gc', ...(process.env.PINGO_BENCH_NODE_OPTIONS?.split(' ') ?? [])],
    })
    await once(child, 'message')
    return new Peer(child)
  }

  async ask(command: Command): Promise<{ cpu: number; seconds: number; served: Served }> {
    const done = new AbortController()
    const answer = Promise.race([
      once(this.#child, 'message', { signal: done.signal }),
      once(this.#child, 'exit', { signal: done.signal }).then(() => [{ error: 'the process of one end ended' }]),
    ])
    this.#child.send(command)
    const [value] = await answer
    done.abort()
    if (value.error) throw new Error(value.error)
    return value
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect()
  }
}

const show = (cpu: number, bytes: number) => ((cpu * GIB) / bytes).toFixed(2)
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
