import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Row } from './run.ts'

export const summary =
  'all storage-* benches one after another: a row for each bar of the storage network (--only gateway,cache)'

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url))
const PREFIX = 'storage-'

/** Each bench runs in a process of its own, so that none measures what another left in memory. */
export default async function storage(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({ args, options: { only: { type: 'string' } } })
  const only = values.only?.split(',')
  const names = readdirSync(import.meta.dirname)
    .flatMap((file) => new RegExp(`^${PREFIX}(\\w+)\\.ts$`).exec(file)?.[1] ?? [])
    .filter((name) => only?.includes(name) ?? true)
    .sort()
  const rows: Row[] = []
  for (const name of names) {
    process.stderr.write(`— ${PREFIX}${name}\n`)
    rows.push(...(await rowsOf(name)).map((row) => ({ ...row, name: `${name}: ${row.name}` })))
  }
  return rows
}

async function rowsOf(name: string): Promise<Row[]> {
  const child = spawn(process.execPath, [RUN, PREFIX + name, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  for await (const part of child.stdout.setEncoding('utf8')) text += part
  try {
    return JSON.parse(text.trimEnd().split('\n').at(-1)!)
  } catch {
    return [{ name: 'ended without rows', measured: 'failed', bar: 'rows', holds: false }]
  }
}
