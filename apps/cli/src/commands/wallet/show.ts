import type { ChainEndpoint, WalletFile } from '@pingo/chain'
import { isPinGoError } from '@pingo/wire'
import type { Command } from 'commander'
import { type ChainOptions, chainCommand, withChain } from '../../chain.ts'
import type { Context } from '../../context.ts'
import type { Output } from '../../output.ts'
import { knownMinter, withMinter } from './pingo.ts'
import { loadWallet, type WalletOptions, walletFileCommand, walletPath } from './wallet-file.ts'

interface ShowOptions extends WalletOptions, ChainOptions {
  minter?: string
  offline?: boolean
}

export function showWalletCommand({ signal }: Context): Command {
  return withMinter(
    chainCommand(
      walletFileCommand('show', 'Tell the address of a wallet and what is in it. The passphrase is not needed.', [
        'pingo wallet show',
        'pingo wallet show --network testnet',
        'pingo wallet show --network mainnet --offline',
      ]),
    ),
  )
    .option('--offline', 'ask no network: the address alone')
    .action(async (flags: ShowOptions) => {
      const file = await loadWallet(flags.wallet)
      if (flags.offline) return show(file, flags)
      await withChain(flags, (endpoint, output) => show(file, flags, { endpoint, output, signal })).catch((error) => {
        if (isPinGoError(error, 'CHAIN_UNKNOWN')) return show(file, flags)
        throw error
      })
    })
}

async function show(
  file: WalletFile,
  flags: ShowOptions,
  chain?: { endpoint: ChainEndpoint; output: Output; signal: AbortSignal },
): Promise<void> {
  const { formatAddress, formatAmount, JettonWallet, NETWORKS, networkOf, open, w5Of } = await import('@pingo/chain')
  const { Output } = await import('../../output.ts')
  const output = chain?.output ?? new Output(flags)
  const name = networkOf(flags.network)
  const network = NETWORKS[name]
  const { address } = w5Of(Buffer.from(file.publicKey, 'hex'), network)

  const held: { gram?: string; pingo?: string; deployed?: boolean } = {}
  if (chain) {
    const { endpoint, signal } = chain
    const { balance, status } = await endpoint.account(address, { signal })
    held.gram = formatAmount(balance)
    held.deployed = status === 'active'
    const minter = await knownMinter(endpoint, flags)
    if (minter) {
      const jettons = JettonWallet.of('pingo', minter, address)
      const { code } = await endpoint.account(jettons.address, { signal })
      held.pingo = formatAmount(code ? (await open(endpoint, jettons).getWalletData()).balance : 0n)
    }
  }
  const shown = {
    wallet: flags.wallet,
    network: name,
    address: formatAddress(address, { network }),
    raw: address.toRawString(),
    publicKey: file.publicKey,
    file: walletPath(flags.wallet),
    ...held,
  }
  output.result(shown, () => {
    const row = (what: string, value: string) => output.say(`${output.colour.dim(what.padEnd(12))}${value}`)
    row('address', shown.address)
    row('raw', shown.raw)
    row('network', name)
    if (held.gram !== undefined) row('GRAM', held.gram)
    if (held.pingo !== undefined) row('PINGO', held.pingo)
    row('public key', shown.publicKey)
    row('file', shown.file)
  })
  if (!chain && !flags.offline) output.note('No local chain runs on this machine: what is in the wallet is not known.')
}
