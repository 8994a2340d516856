/**
 * `npm run bench -- NAME [arguments] [--json]`: runs `bench/NAME.ts`, prints what it measured against its bars, and with
 * `--json` the rows again as the last line. The exit code is 1 when a bar does not hold, 2 when nothing could be run.
 */
import { readdirSync } from 'node:fs'

/** One figure of a bench. */
export interface Row {
  name: string
  measured: number | string
  /** What it should be, as text ('≥ 0.85'); 'printed' where there is no bar. */
  bar: string
  /** Whether the bar holds; null when it could not be judged. */
  holds: boolean | null
  unit?: string
}

/** A file of this folder; `summary` is its line in `--help`. */
interface Bench {
  summary?: string
  default(args: string[]): Promise<Row[]>
}

async function main(args: string[]): Promise<number> {
  const names = benches()
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h') {
    console.log(await help(names))
    return name === undefined ? 2 : 0
  }
  if (!names.includes(name)) {
    console.error(`There is no bench '${name}'. There are: ${names.join(', ')}.`)
    return 2
  }
  const { default: run } = await load(name)
  const rows = await run(rest.filter((arg) => arg !== '--json'))
  console.log(table(rows))
  if (rest.includes('--json')) console.log(JSON.stringify(rows))
  return rows.some(({ holds }) => holds === false) ? 1 : 0
}

function benches(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && file !== 'run.ts')
    .map((file) => file.slice(0, -'.ts'.length))
    .sort()
}

const load = async (name: string): Promise<Bench> =>
  (await import(new URL(`./${name}.ts`, import.meta.url).href)) as Bench

async function help(names: string[]): Promise<string> {
  const width = Math.max(...names.map((name) => name.length))
  const lines = await Promise.all(
    names.map(async (name) => `  ${name.padEnd(width)}  ${(await load(name)).summary ?? ''}`),
  )
  return [
    'npm run bench -- NAME [arguments] [--json]',
    '',
    ...lines,
    '',
    'Example: npm run bench -- local --epochs 1 --json',
  ].join('\n')
}

/** Rows as aligned columns. */
export function table(rows: Row[]): string {
  const cells = [
    ['', 'measured', 'bar', 'holds'],
    ...rows.map(({ name, measured, bar, holds, unit }) => [
      name,
      `${typeof measured === 'number' ? shortened(measured) : measured}${unit ? ` ${unit}` : ''}`,
      bar,
      holds === null ? 'not judged' : holds ? 'yes' : 'NO',
    ]),
  ]
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const shortened = (value: number): string =>
  Number.isInteger(value)
    ? String(value)
    : Math.abs(value) >= 1000
      ? value.toFixed(0)
      : String(Number(value.toPrecision(4)))

if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
