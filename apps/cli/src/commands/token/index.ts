import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { infoCommand } from './info.ts'

export function tokenCommand(context: Context): Command {
  return new Command('token')
    .description('PINGO, the currency: its supply, who got it, and what is released when.')
    .addCommand(infoCommand(context))
    .addHelpText('after', '\nExamples:\n  $ pingo token info\n  $ pingo token info --verify --network testnet')
}
