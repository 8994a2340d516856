import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { Output } from '../../output.ts'
import { sayWords } from '../../view/words.ts'
import { loadWallet, type WalletOptions, walletFileCommand, withKey, withPassphrase } from './wallet-file.ts'

export function backupCommand(_: Context): Command {
  return withPassphrase(
    walletFileCommand('backup', 'Show the 24 words of a wallet, to write down.', [
      'pingo wallet backup',
      'pingo wallet backup --wallet savings',
    ]),
  ).action(async (flags: WalletOptions) => {
    const output = new Output(flags)
    await withKey(await loadWallet(flags.wallet), flags, async (wallet) => {
      const words = wallet.words()
      output.result({ words }, () => {
        sayWords(output, words)
        output.note('')
        output.note('Write these words down, in this order, on paper. Whoever has them has the wallet and all in it.')
      })
    })
  })
}
