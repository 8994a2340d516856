import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { advanceCommand } from './advance.ts'
import { deployCommand } from './deploy.ts'
import { fundCommand } from './fund.ts'
import { statusCommand } from './status.ts'
import { upCommand } from './up.ts'

export function chainCommands(context: Context): Command {
  const chain = new Command('chain').description(
    'The chain that PINGO and passes live on: TON, or one on this machine.',
  )
  for (const create of [upCommand, statusCommand, deployCommand, fundCommand, advanceCommand])
    chain.addCommand(create(context))
  return chain.addHelpText(
    'after',
    '\nExamples:\n  $ pingo chain up                      # a chain on this machine, with the real TVM\n' +
      '  $ pingo chain deploy                  # PINGO, passes and all else on it\n' +
      '  $ pingo chain status --network testnet',
  )
}
