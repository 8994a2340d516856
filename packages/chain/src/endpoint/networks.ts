import { PinGoError } from '@pingo/wire'

/** Global ids of TON's own networks. */
export const MAINNET = -239
export const TESTNET = -3
/** Global id of PinGo's local chain ("PGO"): what is signed for it is void anywhere else. */
export const LOCAL = 0x50474f

/** Networks by the names that people use. */
export const NETWORKS = { local: LOCAL, testnet: TESTNET, mainnet: MAINNET } as const
export type NetworkName = keyof typeof NETWORKS

/** @throws PinGoError NETWORK_UNKNOWN */
export function networkOf(name: string): NetworkName {
  if (Object.hasOwn(NETWORKS, name)) return name as NetworkName
  throw new PinGoError('NETWORK_UNKNOWN', `There is no network ${JSON.stringify(name.slice(0, 40))}.`, {
    hint: `Choose one of ${Object.keys(NETWORKS).join(', ')}.`,
  })
}
