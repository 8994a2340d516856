import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { LOCAL, LocalChain, localEndpoint, signerOf, signTransfer, w5Of } from '@pingo/chain'
import { Address, SendMode, toNano } from '@ton/core'
import type { Row } from './run.ts'

export const summary =
  'the local chain: transactions a second, memory over 100,000 of them, kill -9, and the same state on replay'

const CLOCK = () => 1_767_225_600_000
const WALLETS = 64

/** `--transactions` in all (an external and its internal message are two), `--kills` rounds. */
export default async function chainEmulator(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      transactions: { type: 'string', default: '100000' },
      kills: { type: 'string', default: '20' },
      child: { type: 'string' },
    },
  })
  if (values.child) {
    await child(values.child)
    return []
  }
  const folder = mkdtempSync(join(tmpdir(), 'pingo-bench-chain-'))
  try {
    return [
      ...(await speed(join(folder, 'speed.sqlite'), Number(values.transactions))),
      ...(await kills(folder, Number(values.kills))),
      ...(await replay()),
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const signers = Array.from({ length: WALLETS }, (_, i) => signerOf(Buffer.alloc(32, i + 1)))
const sink = (i: number) => new Address(0, Buffer.alloc(32, 0x80 + (i % 64)))

async function fundAll(chain: LocalChain): Promise<void> {
  await Promise.all(signers.map(({ publicKey }) => chain.fund(w5Of(publicKey, LOCAL).address, toNano('100000'))))
}

const transfer = (wallet: number, seqno: number) =>
  signTransfer(signers[wallet] as (typeof signers)[number], LOCAL, {
    transfers: [{ to: sink(wallet), value: 1_000_000n, bounce: false, sendMode: SendMode.PAY_GAS_SEPARATELY }],
    seqno,
    validUntil: 2_000_000_000,
  })

/** Signs outside the clock; sends a transfer of every wallet at a time, as many clients would. */
async function speed(file: string, transactions: number): Promise<Row[]> {
  const chain = await LocalChain.open({ file, clock: CLOCK })
  await fundAll(chain)
  const rounds = Math.ceil(transactions / 2 / WALLETS)
  const memory: number[] = []
  let wallMs = 0
  let cpuMs = 0
  for (let round = 0; round < rounds; round++) {
    const messages = await Promise.all(signers.map((_, wallet) => transfer(wallet, round)))
    const cpu = process.cpuUsage()
    const start = performance.now()
    const hashes = await Promise.all(messages.map((message) => chain.send(message.toBoc())))
    await Promise.all(hashes.map((hash) => localEndpoint(chain).waitFor(hash)))
    wallMs += performance.now() - start
    const used = process.cpuUsage(cpu)
    cpuMs += (used.user + used.system) / 1000
    if (round % Math.ceil(rounds / 10) === 0) memory.push(process.memoryUsage().rss / 2 ** 20)
  }
  memory.push(process.memoryUsage().rss / 2 ** 20)
  const done = rounds * WALLETS * 2
  await chain.close()
  const perCore = Math.round((done / cpuMs) * 1000)
  // the first fifth warms up: compilers, caches, the machine's own heap
  const settled = memory.slice(Math.ceil(memory.length / 5))
  const growth = Math.max(...settled.slice(-3)) - Math.max(...settled.slice(0, 3))
  return [
    {
      name: 'transactions a second and core, end to end',
      measured: perCore,
      unit: 'tx/s',
      bar: '≥ 300',
      holds: perCore >= 300,
    },
    {
      name: 'transactions a second, by the clock',
      measured: Math.round((done / wallMs) * 1000),
      unit: 'tx/s',
      bar: 'printed',
      holds: null,
    },
    {
      name: `memory growth over ${done} transactions, after the first fifth`,
      measured: Math.round(growth),
      unit: 'MB',
      bar: '≤ 30',
      holds: growth <= 30,
    },
    {
      name: 'memory at the end',
      measured: Math.round(memory.at(-1) as number),
      unit: 'MB',
      bar: 'printed',
      holds: null,
    },
  ]
}

/** A process sends and reports what was confirmed; it is killed at some moment; nothing confirmed may be missing, nothing done twice. */
async function kills(folder: string, rounds: number): Promise<Row[]> {
  const file = join(folder, 'kill.sqlite')
  let confirmed = 0
  let lost = 0
  let wrong = 0
  for (let round = 0; round < rounds; round++) {
    const acknowledged = await killedRun(file, 20 + ((round * 7919) % 900))
    const chain = await LocalChain.open({ file, clock: CLOCK })
    const endpoint = localEndpoint(chain)
    for (const [wallet, seqno] of acknowledged) {
      confirmed++
      const { data } = await endpoint.account(
        w5Of((signers[wallet] as (typeof signers)[number]).publicKey, LOCAL).address,
      )
      const has = data ? data.beginParse().skip(1).loadUint(32) : 0
      if (has <= seqno) lost++
    }
    // every transfer moved its amount once: what wallets sent and what sinks have must agree when the queue is empty
    while (chain.pending() > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    let sent = 0n
    for (const { publicKey } of signers) {
      const { data } = await endpoint.account(w5Of(publicKey, LOCAL).address)
      sent += BigInt(data ? data.beginParse().skip(1).loadUint(32) : 0)
    }
    let received = 0
    for (let i = 0; i < WALLETS; i++) received += chain.transactions(sink(i), 100_000).length
    if (BigInt(received) !== sent) wrong++
    await chain.close()
  }
  return [
    {
      name: `confirmed transfers that are missing after ${rounds} kills`,
      measured: lost,
      bar: '0',
      holds: lost === 0 && confirmed > 0,
    },
    { name: 'kills after which sent and received differ', measured: wrong, bar: '0', holds: wrong === 0 },
    { name: 'confirmed transfers', measured: confirmed, bar: 'printed', holds: null },
  ]
}

function killedRun(file: string, afterMs: number): Promise<[wallet: number, seqno: number][]> {
  return new Promise((resolve, reject) => {
    const own = fileURLToPath(new URL('./run.ts', import.meta.url))
    const process_ = spawn(process.execPath, [own, 'chain-emulator', '--child', file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    let armed = false
    process_.stdout.on('data', (chunk: Buffer) => {
      text += chunk
      if (!armed && text.includes('\nok ')) {
        armed = true
        setTimeout(() => process_.kill('SIGKILL'), afterMs)
      }
    })
    process_.on('error', reject)
    process_.on('close', () => {
      const lines = text
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith('ok '))
      resolve(lines.map((line) => line.split(' ').slice(1).map(Number) as [number, number]))
    })
  })
}

async function child(file: string): Promise<void> {
  const chain = await LocalChain.open({ file, clock: CLOCK })
  const endpoint = localEndpoint(chain)
  if (chain.head().transactions === 0) await fundAll(chain)
  const seqnos = await Promise.all(
    signers.map(async ({ publicKey }) => {
      const { data } = await endpoint.account(w5Of(publicKey, LOCAL).address)
      return data ? data.beginParse().skip(1).loadUint(32) : 0
    }),
  )
  process.stdout.write('begin\n')
  await Promise.all(
    signers.map(async (_, wallet) => {
      for (let seqno = seqnos[wallet] as number; ; seqno++) {
        await chain.send((await transfer(wallet, seqno)).toBoc())
        process.stdout.write(`ok ${wallet} ${seqno}\n`)
      }
    }),
  )
}

/** Two chains execute the same thousand messages. */
async function replay(): Promise<Row[]> {
  const states: string[] = []
  for (let i = 0; i < 2; i++) {
    const chain = await LocalChain.open({ clock: CLOCK })
    await fundAll(chain)
    for (let round = 0; round < 8; round++) {
      const messages = await Promise.all(signers.map((_, wallet) => transfer(wallet, round)))
      // the order counts, how many share a block does not
      if (i === 0) await Promise.all(messages.map((message) => chain.send(message.toBoc())))
      else for (const message of messages) await chain.send(message.toBoc())
      while (chain.pending() > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    states.push(chain.head().state.toString('hex').slice(0, 16))
    await chain.close()
  }
  return [
    {
      name: 'state hash on replay',
      measured: states[0] as string,
      bar: `= ${states[1]}`,
      holds: states[0] === states[1],
    },
  ]
}
