import { access } from 'node:fs/promises'
import { PinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { askHidden, readInput, readPassword } from '../../ask.ts'
import type { Context } from '../../context.ts'
import { Output } from '../../output.ts'
import { sayWords } from '../../view/words.ts'
import { type WalletOptions, walletFileCommand, walletPath, withPassphrase } from './wallet-file.ts'

const MAX_INPUT_BYTES = 4096

export function newWalletCommand(_: Context): Command {
  return withPassphrase(
    walletFileCommand('new', 'Make a wallet, or bring one back from its 24 words.', [
      'pingo wallet new',
      'pingo wallet new --wallet savings',
      'pingo wallet new --from-words < words.txt',
    ]),
  )
    .option('--from-words', 'bring a wallet back: asks for its words, or reads them from the input')
    .action(async (flags: WalletOptions & { fromWords?: boolean }) => {
      const output = new Output(flags)
      const path = walletPath(flags.wallet)
      // told before anybody types anything; the file itself is never overwritten, whoever is first
      if (await exists(path)) throw taken(flags.wallet)
      const { formatAddress, NETWORKS, newMnemonic, parseMnemonic, sealWallet, w5Of, writeWalletFile } = await import(
        '@pingo/chain'
      )
      const words = flags.fromWords ? await parseMnemonic(await readWords()) : await newMnemonic()
      const passphrase = await readPassword({ file: flags.passwordFile, question: 'New passphrase', isNew: true })
      const file = await sealWallet(words, passphrase)
      await writeWalletFile(path, file)
      const publicKey = Buffer.from(file.publicKey, 'hex')
      const addresses = Object.fromEntries(
        Object.entries(NETWORKS).map(([name, network]) => [
          name,
          formatAddress(w5Of(publicKey, network).address, { network }),
        ]),
      )
      output.result({ wallet: flags.wallet, file: path, publicKey: file.publicKey, addresses }, () => {
        for (const [name, address] of Object.entries(addresses))
          output.say(`${output.colour.dim(name.padEnd(9))}${address}`)
        output.note(`The key is in ${path}, which your passphrase opens.`)
        if (flags.fromWords) return
        output.say('')
        sayWords(output, words)
        output.note('')
        output.note('Write these words down, in this order, on paper. Whoever has them has the wallet and all in it;')
        output.note('without them, or the file and its passphrase, nobody can bring it back.')
      })
      if (output.json && !flags.fromWords) output.note('Its 24 words: `pingo wallet backup`.')
    })
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const taken = (name: string) =>
  new PinGoError('WALLET_EXISTS', `There is a wallet ${name} on this machine already.`, {
    hint: 'Give the new one another name: --wallet NAME.',
  })

async function readWords(): Promise<string> {
  return (await askHidden('The 24 words (they are not shown): ')) ?? (await readInput(MAX_INPUT_BYTES))
}
