import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Mutant } from './mutants.ts'
import { plant } from './mutate.ts'
import type { SimulationResult } from './world.ts'

/** A seed of a second or two that has not ended after this hangs: generous, for machines that have other things to do. */
const SEED_TIMEOUT_MS = 600_000

export interface SeedRun {
  /** The program: this folder's, or a mutated tree's. */
  runner?: string
  size: 'full' | 'small'
  from: number
  count: number
  stride?: number
  /** End after the first violation. */
  stop?: boolean
  signal?: AbortSignal
  onResult?: (result: SimulationResult) => void
}

/** Runs seeds in a child process, which is killed when a seed hangs; resolves with the violation of the first bad seed. */
export function runInChild(run: SeedRun): Promise<{ seeds: number; violation?: { seed: number; what: string } }> {
  const { runner = join(import.meta.dirname, 'run-seeds.ts'), size, from, count, stride = 1, stop = false } = run
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof runInChild>>>()
  const child = spawn(process.execPath, [runner, size, ...[from, count, stride].map(String), stop ? 'stop' : ''], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: run.signal,
  })
  let seeds = 0
  let violation: { seed: number; what: string } | undefined
  let errors = ''
  let watchdog: NodeJS.Timeout | undefined
  const watch = (): void => {
    clearTimeout(watchdog)
    watchdog = setTimeout(() => {
      violation ??= { seed: from + seeds * stride, what: `does not end within ${SEED_TIMEOUT_MS / 1000} s` }
      child.kill('SIGKILL')
    }, SEED_TIMEOUT_MS)
  }
  watch()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const result = JSON.parse(line) as SimulationResult
    seeds++
    if (result.violation !== undefined) violation ??= { seed: result.seed, what: result.violation }
    run.onResult?.(result)
    watch()
  })
  child.stderr.on('data', (chunk) => {
    errors = `${errors}${chunk}`.slice(-4_000)
  })
  child.on('error', reject)
  child.on('close', (code) => {
    clearTimeout(watchdog)
    if (code === 0 || violation !== undefined) resolve({ seeds, ...(violation === undefined ? {} : { violation }) })
    else reject(new Error(`The simulator ended with code ${code}: ${errors}`))
  })
  return promise
}

/** What became of a planted bug: the seed that found it, or none of `seeds`. */
export interface Hunt {
  mutant: string
  found: boolean
  seed?: number
  what?: string
  seeds: number
}

/** Plants a bug and runs up to `limit` small seeds until something does not hold. */
export async function hunt(mutant: Mutant, limit: number): Promise<Hunt> {
  const tree = await plant(mutant)
  try {
    const { seeds, violation } = await runInChild({
      runner: tree.runner,
      size: 'small',
      from: 0,
      count: limit,
      stop: true,
    })
    return { mutant: mutant.name, found: violation !== undefined, ...violation, seeds }
  } finally {
    await tree.remove()
  }
}

/** Does `work` on each item, at most `width` at a time; results in the order of the items. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index]!)
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  return results
}
