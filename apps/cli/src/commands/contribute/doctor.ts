import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { Output } from '../../output.ts'
import { version } from '../../version.ts'
import { checkAll } from './checks.ts'
import { contributorHome, type HomeOptions, ownerCommand } from './home.ts'

export function doctorCommand(_: Context): Command {
  return ownerCommand(
    'doctor',
    'Check what a contributor needs here, and say what to do; ends with 1 when something fails.',
    ['pingo contribute doctor', 'pingo contribute doctor --fog /ip4/192.168.1.5/tcp/7071/p2p/12D3Koo…'],
  )
    .option('--fog <multiaddr...>', 'address of a fog node to reach (default: the known one)')
    .action(async (options: HomeOptions & { fog?: string[] }) => {
      const output = new Output(options)
      const checks = await checkAll({ home: contributorHome(options), fog: options.fog, version: version() })
      const hasFailed = checks.some(({ state }) => state === 'fail')
      output.result({ ok: !hasFailed, checks }, () => {
        const paint = { ok: output.colour.green, warn: output.colour.yellow, fail: output.colour.red }
        for (const { name, state, sentence } of checks)
          output.say(`${paint[state](state.padEnd(4))}  ${name.padEnd(11)} ${sentence}`)
      })
      if (hasFailed) throw new Exit(EXIT.failed)
    })
}
