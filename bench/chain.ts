import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { figuresOfGas } from '../packages/chain/src/testing/gas.ts'
import type { Row } from './run.ts'

export const summary =
  'the contracts: gas of each message on the real TVM, random sequences of messages, and all chain-* benches (--only gas,sequences,credit --sequences 10000 --contracts jetton,rewards)'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CONTRACTS = new URL('../packages/chain/src/contracts/', import.meta.url)
const PREFIX = 'chain-'
const SUITE = '.invariants.test.ts'
const SEQUENCES_BAR = 10_000

/** Gas first, which takes seconds; the other parts run in processes of their own, one after another. */
export default async function chain(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', default: 'gas' },
      sequences: { type: 'string', default: String(SEQUENCES_BAR) },
      contracts: { type: 'string' },
    },
  })
  const only = values.only === 'all' ? undefined : values.only.split(',')
  const wants = (name: string) => only?.includes(name) ?? true
  const rows: Row[] = []
  if (wants('gas')) rows.push(...(await gasRows()))
  if (wants('sequences')) rows.push(...(await sequenceRows(Number(values.sequences), values.contracts?.split(','))))
  const names = readdirSync(import.meta.dirname).flatMap(
    (file) => new RegExp(`^${PREFIX}(\\w+)\\.ts$`).exec(file)?.[1] ?? [],
  )
  for (const name of names.filter(wants).sort()) {
    process.stderr.write(`— ${PREFIX}${name}\n`)
    const { text } = await run([fileURLToPath(new URL('./run.ts', import.meta.url)), PREFIX + name, '--json'], {})
    const last = text.trimEnd().split('\n').at(-1) ?? ''
    const found: Row[] = last.startsWith('[')
      ? JSON.parse(last)
      : [{ name: 'ended without rows', measured: 'failed', bar: 'rows', holds: false }]
    rows.push(...found.map((row) => ({ ...row, name: `${name}: ${row.name}` })))
  }
  return rows
}

async function gasRows(): Promise<Row[]> {
  return (await figuresOfGas()).map(({ name, gas, most }) => ({
    name,
    measured: gas,
    unit: 'gas',
    bar: most === undefined ? 'printed' : `≤ ${most}`,
    holds: most === undefined ? null : gas <= most,
  }))
}

/** Each contract's random sequences, in so great a number; a violation makes its test fail. */
async function sequenceRows(sequences: number, only?: readonly string[]): Promise<Row[]> {
  const rows: Row[] = []
  const suites = readdirSync(CONTRACTS).filter((name) => name.endsWith(SUITE))
  for (const file of suites.filter((name) => only?.includes(name.slice(0, -SUITE.length)) ?? true)) {
    process.stderr.write(`— ${sequences} sequences: ${file}\n`)
    const { code } = await run(['--test', '--test-isolation=none', fileURLToPath(new URL(file, CONTRACTS))], {
      PINGO_SEQUENCES: String(sequences),
    })
    rows.push({
      name: `sequences without a violation: ${file.slice(0, -SUITE.length)}`,
      measured: code === 0 ? sequences : 'violated',
      bar: `≥ ${SEQUENCES_BAR}`,
      holds: code !== 0 ? false : sequences >= SEQUENCES_BAR ? true : null,
    })
  }
  return rows
}

async function run(args: string[], env: Record<string, string>): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  let text = ''
  for await (const part of child.stdout.setEncoding('utf8')) text += part
  return { code: await ended, text }
}
