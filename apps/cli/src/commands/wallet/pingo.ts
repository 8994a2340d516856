import type { ChainEndpoint } from '@pingo/chain'
import { isPinGoError, PinGoError } from '@pingo/wire'
import type { Address } from '@ton/core'
import type { Command } from 'commander'
import type { ChainOptions } from '../../chain.ts'
import { readDeployment } from '../chain/book.ts'

export interface MinterOptions extends ChainOptions {
  minter?: string
}

export const withMinter = (of: Command): Command =>
  of.option('--minter <address>', "PINGO's minter (default: PINGO_MINTER, else that of the deployment known here)")

/** Which jetton is PINGO: names can be forged, the minter's address cannot. Undefined where nobody has said. */
export async function knownMinter(endpoint: ChainEndpoint, flags: MinterOptions): Promise<Address | undefined> {
  const { networkOf, parseAddress } = await import('@pingo/chain')
  const given = flags.minter ?? process.env.PINGO_MINTER
  if (given) return parseAddress(given, endpoint.network).address
  try {
    return (await readDeployment(networkOf(flags.network))).minter.address
  } catch (error) {
    if (isPinGoError(error, 'CHAIN_NOT_DEPLOYED')) return undefined
    throw error
  }
}

/** @throws PinGoError USAGE_MINTER */
export async function pingoMinter(endpoint: ChainEndpoint, flags: MinterOptions): Promise<Address> {
  const minter = await knownMinter(endpoint, flags)
  if (minter) return minter
  throw new PinGoError('USAGE_MINTER', "PINGO's minter on this network is not known here.", {
    hint: 'Give its address with --minter or in PINGO_MINTER.',
  })
}
