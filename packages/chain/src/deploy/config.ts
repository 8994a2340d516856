import { PinGoError } from '@pingo/wire'
import { Address } from '@ton/core'
import { z } from 'zod'
import { NETWORKS } from '../endpoint/networks.ts'
import { isSafeKey } from '../keys/ed25519.ts'
import { capOf, decayFor, HALF_LIFE_EPOCHS } from '../token/emission.ts'
import { SPLIT, UNIT } from '../token/split.ts'

const AddressText = z
  .string()
  .max(80)
  .transform((text, context) => {
    try {
      return Address.parse(text)
    } catch {
      context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is no address` })
      return z.NEVER
    }
  })
const Key = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'a public key has 64 hexadecimal digits')
  .transform((hex) => Buffer.from(hex, 'hex'))
  .refine(isSafeKey, 'with this key anybody could sign')
const Units = z.union([z.string().regex(/^\d{1,20}$/), z.bigint()]).transform(BigInt)
const Seconds = z
  .number()
  .int()
  .positive()
  .max(2 ** 31)

/**
 * Everything that the owner decides before genesis; nothing of it can be changed afterwards. The addresses of all contracts follow
 * from it.
 */
export const GenesisConfigSchema = z.strictObject({
  network: z.enum(Object.keys(NETWORKS) as [keyof typeof NETWORKS]),
  /** Sends the deployment; has no rights once genesis is done. */
  deployer: AddressText,
  /** Sets the roots of rewards and credit, and revokes passes. A multisig where it matters. */
  authority: AddressText,
  /** Public key whose signature slashes rewards and bonds. */
  arbiter: Key,
  /** Where slashed units go. */
  treasury: AddressText,
  institutional: AddressText,
  team: AddressText,
  /** When emission and vesting begin, seconds since 1970. */
  start: Seconds,
  epochSeconds: Seconds.default(24 * 3600),
  /** What the first epoch of each vault releases without fees, units. */
  floor: Units,
  /** What an epoch releases for each unit of fees; 1 at most. */
  feeShare: z.number().positive().max(1),
  /** Days in which the airdrop can be claimed. */
  airdropDays: z.number().int().positive().max(3650),
  /** Credit of a pass of level 1. */
  passUnit: Units.refine((unit) => unit > 0n, 'a pass takes some credit'),
  /** Least bond of a fog node, units, and how long it takes to get one back. */
  minBond: Units,
  unbondSeconds: Seconds,
  /** Share of a lost bond that goes to whoever showed it, in 1/10,000. */
  bountyParts: z.number().int().min(0).max(2000),
  /** Picture of PINGO and of passes. */
  image: z.url().max(300).optional(),
})

/** What the owner decides. */
export type GenesisConfig = z.output<typeof GenesisConfigSchema>

/** The words in which a file or a caller gives it. */
export type GenesisInput = z.input<typeof GenesisConfigSchema>

/** @throws PinGoError CHAIN_CONFIG with the field that is wrong. */
export function parseGenesisConfig(input: unknown): GenesisConfig {
  const parsed = GenesisConfigSchema.safeParse(input)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new PinGoError(
    'CHAIN_CONFIG',
    `the configuration is wrong at ${issue?.path.join('.') || 'its root'}: ${issue?.message}`,
  )
}

const VAULT = SPLIT.find(({ holder }) => holder === 'platform') as (typeof SPLIT)[number]

/**
 * Sensible words for all but the people: a floor of a quarter of what the first epoch may release, a unit of release for each unit
 * of fees, an airdrop of half a year, bonds of a thousand PINGO for three weeks.
 */
export function defaultGenesis(people: {
  network: GenesisInput['network']
  deployer: string
  arbiter: string
  start: number
}): GenesisInput {
  const { deployer } = people
  return {
    ...people,
    authority: deployer,
    treasury: deployer,
    institutional: deployer,
    team: deployer,
    floor: String(capOf(VAULT.amount, decayFor(HALF_LIFE_EPOCHS)) / 4n),
    feeShare: 1,
    airdropDays: 180,
    passUnit: '1000000',
    minBond: String(1000n * UNIT),
    unbondSeconds: 21 * 24 * 3600,
    bountyParts: 1000,
  }
}
