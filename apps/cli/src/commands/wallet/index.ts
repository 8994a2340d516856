import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { backupCommand } from './backup.ts'
import { newWalletCommand } from './new.ts'
import { showWalletCommand } from './show.ts'

export function walletCommand(context: Context): Command {
  const commands = [newWalletCommand, showWalletCommand, backupCommand]
  const wallet = new Command('wallet').description('Wallets on TON: make, see, back up. Keys stay on this machine.')
  for (const create of commands) wallet.addCommand(create(context))
  return wallet.addHelpText(
    'after',
    '\nExamples:\n  $ pingo wallet new\n  $ pingo wallet show --network testnet\n  $ pingo wallet backup',
  )
}
