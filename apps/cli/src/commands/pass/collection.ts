import type { ChainEndpoint } from '@pingo/chain'
import type { Address } from '@ton/core'
import type { Command } from 'commander'
import type { ChainOptions } from '../../chain.ts'
import { readDeployment } from '../chain/book.ts'
import { loadWallet } from '../wallet/wallet-file.ts'

export interface CollectionOptions extends ChainOptions {
  collection?: string
}

export const withCollection = (of: Command): Command =>
  of.option(
    '--collection <address>',
    "the collection of passes (default: PINGO_PASSES, else this machine's deployment)",
  )

/** Which collection's passes count: names can be forged, the collection's address cannot. */
export async function collectionOf(endpoint: ChainEndpoint, flags: CollectionOptions): Promise<Address> {
  const { networkOf, parseAddress } = await import('@pingo/chain')
  const given = flags.collection ?? process.env.PINGO_PASSES
  if (given) return parseAddress(given, endpoint.network).address
  return (await readDeployment(networkOf(flags.network))).collection.address
}

/** The account that is meant: a given address, or the wallet of this machine. */
export async function ownerOf(endpoint: ChainEndpoint, given: string | undefined, wallet: string): Promise<Address> {
  const { parseAddress, w5Of } = await import('@pingo/chain')
  if (given) return parseAddress(given, endpoint.network).address
  return w5Of(Buffer.from((await loadWallet(wallet)).publicKey, 'hex'), endpoint.network).address
}
