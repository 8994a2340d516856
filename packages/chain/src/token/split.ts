/** PINGO has nine digits after the point, as GRAM has. */
export const DECIMALS = 9

/** Units of one PINGO. */
export const UNIT = 10n ** BigInt(DECIMALS)

/** All PINGO that there will ever be, in units: minted once, at genesis. */
export const SUPPLY = 1_000_000_000n * UNIT

/** Who gets a part of the supply at genesis. */
export type Holder = 'platform' | 'cdn' | 'institutional' | 'team' | 'airdrop'

/** A part of the supply. */
export interface Share {
  holder: Holder
  percent: number
  /** Units. */
  amount: bigint
  purpose: string
  release: string
}

/** The split of the supply, as it was published. The amounts add up to the supply: a test says so. */
export const SPLIT: readonly Share[] = [
  share(
    'platform',
    40,
    'compute contribution and AI creation',
    'half-life of four years, gated by the fees of paid jobs',
  ),
  share('cdn', 40, 'CDN nodes and their users', 'half-life of four years, gated by the fees of paid jobs'),
  share('institutional', 15, 'institutional investors', 'nothing for 12 months, then linear for 36 months'),
  share('team', 4, 'team', 'nothing for 12 months, then linear for 36 months'),
  share('airdrop', 1, 'airdrop', 'claimed by Merkle proof; what nobody claims goes to the platform emissions'),
]

function share(holder: Holder, percent: number, purpose: string, release: string): Share {
  return { holder, percent, amount: (SUPPLY * BigInt(percent)) / 100n, purpose, release }
}
