import type { ChainEndpoint } from '@pingo/chain'
import { PinGoError } from '@pingo/wire'
import type { Address } from '@ton/core'
import type { Command } from 'commander'

export interface MinterOptions {
  minter?: string
}

export const withMinter = (of: Command): Command =>
  of.option('--minter <address>', "PINGO's minter on this network (default: PINGO_MINTER)")

/** Which jetton is PINGO: names can be forged, the minter's address cannot. Undefined where nobody has said. */
export async function knownMinter(endpoint: ChainEndpoint, flags: MinterOptions): Promise<Address | undefined> {
  const given = flags.minter ?? process.env.PINGO_MINTER
  if (!given) return undefined
  const { parseAddress } = await import('@pingo/chain')
  return parseAddress(given, endpoint.network).address
}

/** @throws PinGoError USAGE_MINTER */
export async function pingoMinter(endpoint: ChainEndpoint, flags: MinterOptions): Promise<Address> {
  const minter = await knownMinter(endpoint, flags)
  if (minter) return minter
  throw new PinGoError('USAGE_MINTER', "PINGO's minter on this network is not known here.", {
    hint: 'Give its address with --minter or in PINGO_MINTER.',
  })
}
