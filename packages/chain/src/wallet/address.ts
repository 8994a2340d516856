import { PinGoError } from '@pingo/wire'
import { Address } from '@ton/core'
import { MAINNET } from '../endpoint/networks.ts'

/** An address as a person gave it. */
export interface GivenAddress {
  address: Address
  /** What its form asks for: that a message to it comes back when it fails. Undefined in the raw form, which asks nothing. */
  bounceable: boolean | undefined
}

/**
 * Reads an address in any of its forms: user-friendly (48 characters of base64 or base64url, with a checksum) or raw (`0:` and hex).
 *
 * @throws PinGoError ADDRESS_INVALID, which says what is wrong; ADDRESS_TESTNET for one that says it is for test networks, on mainnet
 */
export function parseAddress(text: string, network: number): GivenAddress {
  const given = text.trim()
  if (/^-?\d+:/.test(given)) {
    if (!/^(0|-1):[0-9a-fA-F]{64}$/.test(given))
      throw invalid(given, 'In its raw form an address is 0: (or -1:) and 64 hexadecimal digits.')
    return { address: Address.parseRaw(given), bounceable: undefined }
  }
  if (/\.(ton|t\.me)$/i.test(given)) throw invalid(given, 'Names are not looked up here: give the address itself.')
  if (!/^[A-Za-z0-9+/_-]+$/.test(given)) throw invalid(given, 'An address has letters, digits, - and _ only.')
  if (given.length !== 48) throw invalid(given, `An address has 48 characters, this has ${given.length}.`)
  const bytes = Buffer.from(given.replaceAll('-', '+').replaceAll('_', '/'), 'base64')
  if (bytes[1] !== 0 && bytes[1] !== 0xff) throw invalid(given, 'A character of it is wrong.')
  let friendly: ReturnType<typeof Address.parseFriendly>
  try {
    friendly = Address.parseFriendly(given)
  } catch {
    throw invalid(given, 'A character of it is wrong: its checksum does not fit. Copy it once more.')
  }
  if (friendly.isTestOnly && network === MAINNET)
    throw new PinGoError('ADDRESS_TESTNET', `${given} is for test networks only.`, {
      hint: 'Ask its owner for the address on mainnet.',
    })
  return { address: friendly.address, bounceable: friendly.isBounceable }
}

/**
 * An address as people see it. Wallets are shown as not bounceable, so that what is sent to them before they are deployed stays there;
 * contracts as bounceable. All networks but mainnet have the mark of test networks.
 */
export function formatAddress(address: Address, o: { network: number; bounceable?: boolean }): string {
  return address.toString({ bounceable: o.bounceable ?? false, testOnly: o.network !== MAINNET, urlSafe: true })
}

const invalid = (text: string, hint: string) =>
  new PinGoError('ADDRESS_INVALID', `${JSON.stringify(text.slice(0, 80))} is no address.`, { hint })
