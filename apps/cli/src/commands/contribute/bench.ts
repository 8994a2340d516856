import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { bytes, count } from '../../format.ts'
import { Output } from '../../output.ts'
import { contributorHome, type HomeOptions, ownerCommand } from './home.ts'

export function benchCommand(_: Context): Command {
  return ownerCommand('bench', 'Measure for some seconds what this machine can do.', [
    'pingo contribute bench',
    'pingo contribute bench --json',
  ]).action(async (options: HomeOptions) => {
    const output = new Output(options)
    const { benchMachine } = await import('@pingo/contributor')
    if (!output.json) output.note('Measuring; other programs that run now make the figures smaller …')
    const result = await benchMachine({ home: contributorHome(options), cores: availableParallelism() })
    output.result(result, () => {
      const { hardware, threadFlops, threads, allFlops, mlpStepMs, diskBytesPerSecond } = result
      output.say(`${hardware.cpu}, ${hardware.platform}, ${hardware.runtime}`)
      output.table(
        [
          ['what', 'measured'],
          ['matrix products, one thread', `${count(threadFlops)}FLOP/s`],
          [`matrix products, ${threads} side by side`, `${count(allFlops)}FLOP/s`],
          ['training step of an MLP (784-256-10, 64 samples), one thread', `${mlpStepMs.toFixed(2)} ms`],
          ['disk of the home, written and synced', `${bytes(diskBytesPerSecond)}/s`],
        ],
        [1],
      )
    })
  })
}
