import { fullSize, smallSize } from './options.ts'
import { type SimulationResult, simulate } from './world.ts'

/**
 * Runs seeds in a process of its own: `node run-seeds.ts full|small FROM COUNT STRIDE [stop]`. One JSON line for each result;
 * with `stop` ends after the first violation.
 */
export function runSeeds(
  size: 'full' | 'small',
  seeds: Iterable<number>,
  report: (result: SimulationResult) => void,
  stop: boolean,
): void {
  for (const seed of seeds) {
    const result = simulate(size === 'full' ? fullSize(seed) : smallSize(seed))
    report(result)
    if (stop && result.violation !== undefined) return
  }
}

if (import.meta.main) {
  const [size, from, count, stride, stop] = process.argv.slice(2)
  const seeds = Array.from({ length: Number(count) }, (_, i) => Number(from) + i * Number(stride))
  const print = (result: SimulationResult): boolean => process.stdout.write(`${JSON.stringify(result)}\n`)
  runSeeds(size === 'full' ? 'full' : 'small', seeds, print, stop === 'stop')
}
