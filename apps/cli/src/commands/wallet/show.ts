import type { Command } from 'commander'
import type { Context } from '../../context.ts'
import { Output } from '../../output.ts'
import {
  loadWallet,
  type NetworkOptions,
  type WalletOptions,
  walletFileCommand,
  walletPath,
  withNetwork,
} from './wallet-file.ts'

export function showWalletCommand(_: Context): Command {
  return withNetwork(
    walletFileCommand('show', 'Tell the address of a wallet. The passphrase is not needed.', [
      'pingo wallet show',
      'pingo wallet show --network testnet',
    ]),
  ).action(async (flags: WalletOptions & NetworkOptions) => {
    const output = new Output(flags)
    const { formatAddress, NETWORKS, networkOf, w5Of } = await import('@pingo/chain')
    const name = networkOf(flags.network)
    const file = await loadWallet(flags.wallet)
    const network = NETWORKS[name]
    const { address } = w5Of(Buffer.from(file.publicKey, 'hex'), network)
    const shown = {
      wallet: flags.wallet,
      file: walletPath(flags.wallet),
      network: name,
      address: formatAddress(address, { network }),
      raw: address.toRawString(),
      publicKey: file.publicKey,
    }
    output.result(shown, () => {
      const row = (what: string, value: string) => output.say(`${output.colour.dim(what.padEnd(12))}${value}`)
      row('address', shown.address)
      row('raw', shown.raw)
      row('network', name)
      row('public key', shown.publicKey)
      row('file', shown.file)
    })
  })
}
