import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { claimCommand } from './claim.ts'
import { proveCommand } from './prove.ts'
import { rootCommand } from './root.ts'
import { showCommand } from './show.ts'
import { verifyCommand } from './verify.ts'

export function passCommand(context: Context): Command {
  const pass = new Command('pass').description(
    'The pass: the right to use the network, earned by work and bound to whoever earned it.',
  )
  for (const create of [showCommand, claimCommand, proveCommand, verifyCommand, rootCommand])
    pass.addCommand(create(context))
  return pass.addHelpText(
    'after',
    '\nExamples:\n  $ pingo pass claim --tree credit.csv\n  $ pingo pass show\n  $ pingo pass verify UQ… --min-level 2',
  )
}
