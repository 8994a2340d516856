import { Engine } from '@pingo/engine'
import { slowFeeds, slowGraph } from '../../packages/engine/src/testing/graphs.ts'
import type { Row } from '../run.ts'

/** What isolation costs, against a bare child: taken in turns, so that a busy machine is as busy for both. */
export async function costOfWalls(times = 7): Promise<Row[]> {
  const starts = { none: [] as number[], native: [] as number[] }
  const runs = { none: [] as number[], native: [] as number[] }
  // The first looks for what works here.
  await (await Engine.start({ isolation: 'native' })).close()
  for (let i = 0; i < times; i++)
    for (const isolation of ['none', 'native'] as const) {
      const began = performance.now()
      await using engine = await Engine.start({ isolation })
      starts[isolation].push(performance.now() - began)
      const session = await engine.open(slowGraph(20))
      await session.run(slowFeeds())
      const before = engine.cpuMs()
      await session.run(slowFeeds())
      const after = engine.cpuMs()
      if (before !== undefined && after !== undefined) runs[isolation].push(after - before)
    }
  const more = median(starts.native) - median(starts.none)
  const ratio = median(runs.native) / median(runs.none)
  return [
    {
      name: 'start in isolation, longer than bare',
      measured: Math.round(more),
      unit: 'ms',
      bar: '≤ 150',
      holds: more <= 150,
    },
    {
      name: 'CPU time of a run in isolation, of a bare one',
      measured: Math.round(ratio * 1000) / 1000,
      bar: '≤ 1.05',
      holds: Number.isNaN(ratio) ? null : ratio <= 1.05,
    },
  ]
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
