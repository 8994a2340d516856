import { Command } from 'commander'
import type { Context } from '../../context.ts'
import { backupCommand } from './backup.ts'
import { historyCommand } from './history.ts'
import { newWalletCommand } from './new.ts'
import { sendCommand } from './send.ts'
import { showWalletCommand } from './show.ts'

export function walletCommand(context: Context): Command {
  const commands = [newWalletCommand, showWalletCommand, sendCommand, historyCommand, backupCommand]
  const wallet = new Command('wallet').description(
    'Wallets on TON: make, see, send, back up. Keys stay on this machine.',
  )
  for (const create of commands) wallet.addCommand(create(context))
  return wallet.addHelpText(
    'after',
    '\nExamples:\n  $ pingo wallet new\n  $ pingo wallet show --network testnet\n  $ pingo wallet send 1.5 GRAM UQ… --network testnet\n' +
      '  $ pingo wallet history\n  $ pingo wallet backup',
  )
}
