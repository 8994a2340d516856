import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { Output } from '../../output.ts'
import { machineLines } from '../../view/machine-lines.ts'
import { MachineLive } from '../../view/machine-live.ts'
import { type HomeOptions, ownerCommand, runningContributor } from './home.ts'

const WATCH_MS = 1_000
/** Where there is no terminal to say how wide it is. */
const WIDTH = 100

export function statusCommand({ signal }: Context): Command {
  return ownerCommand('status', 'See what the contributor of this machine does, and why it pauses.', [
    'pingo contribute status',
    'pingo contribute status --watch',
    'pingo contribute status --json',
  ])
    .option('--watch', 'go on showing it; with --json a line each second')
    .action(async (options: HomeOptions & { watch?: boolean }) => {
      const output = new Output(options)
      const running = await runningContributor(options)
      if (!options.watch) {
        const view = await running.view()
        output.result(view, () => {
          const width = Math.max(60, process.stdout.columns ?? WIDTH)
          for (const line of machineLines(view, { now: Date.now(), width, colour: output.colour })) output.say(line)
          output.say(`page       ${running.page}`)
        })
        return
      }
      const live = output.live ? new MachineLive(output.colour) : undefined
      try {
        while (!signal.aborted) {
          const view = await running.view()
          if (live) live.show(view)
          else output.emit(view)
          await sleep(WATCH_MS, undefined, { signal }).catch(() => undefined)
        }
      } finally {
        live?.end()
      }
    })
}
