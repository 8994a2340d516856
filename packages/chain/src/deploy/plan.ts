import { type Address, Cell, type Contract } from '@ton/core'
import type { ContractName } from '../compile/contracts.ts'
import { EmissionVault } from '../contracts/emission-vault.ts'
import { JettonMinter } from '../contracts/jetton.ts'
import { JettonVesting } from '../contracts/jetton-vesting.ts'
import { NodeStake, STAKE_DEPLOY_VALUE } from '../contracts/node-stake.ts'
import { AccessGate, ContributorCollection } from '../contracts/pass.ts'
import { RewardDistributor } from '../contracts/rewards.ts'
import { NETWORKS } from '../endpoint/networks.ts'
import * as schema from '../schema/index.ts'
import { encode } from '../schema/index.ts'
import { decayFor, FULL_FEE_SHARE, HALF_LIFE_EPOCHS } from '../token/emission.ts'
import { encodeMetadata, type TokenMetadata } from '../token/metadata.ts'
import { AIRDROP_TERMS, REWARD_TERMS } from '../token/reward-account.ts'
import { DECIMALS, type Holder, SPLIT, SUPPLY } from '../token/split.ts'
import { longVesting } from '../token/vesting.ts'
import type { GenesisConfig } from './config.ts'

const DAY_SECONDS = 24 * 3600

/** One contract of the deployment. */
export interface Deployed {
  /** Its name in the address book. */
  name: string
  purpose: string
  code: ContractName
  contract: Contract & { init?: { code: Cell; data: Cell } }
  /** GRAM that it is deployed with: rent for years. */
  value: bigint
}

/** All contracts of a network, with addresses that follow from the configuration alone. */
export interface Deployment {
  config: GenesisConfig
  minter: JettonMinter
  vaults: Record<'platform' | 'cdn', EmissionVault>
  vestings: Record<'institutional' | 'team', JettonVesting>
  rewards: RewardDistributor
  airdrop: RewardDistributor
  collection: ContributorCollection
  gate: AccessGate
  stake: NodeStake
  /** To whom genesis mints. */
  holders: Map<Address, bigint>
  /** In the order in which they are deployed; the minter is last, by genesis itself. */
  contracts: Deployed[]
}

/** What wallets show of PINGO. */
export function pingoMetadata(image?: string): TokenMetadata {
  return {
    name: 'PinGo',
    symbol: 'PINGO',
    description: 'The currency of PinGo, the network that trains AI models on idle CPUs.',
    decimals: DECIMALS,
    ...(image && { image }),
  }
}

/** Works out every contract and address. Nothing is sent: anyone who has the configuration gets the same. */
export function planDeployment(config: GenesisConfig): Deployment {
  const minter = JettonMinter.fromConfig({
    kind: 'pingo',
    maxSupply: SUPPLY,
    admin: config.deployer,
    content: encodeMetadata(pingoMetadata(config.image)),
  })
  const rewards = RewardDistributor.fromConfig({
    ...REWARD_TERMS,
    minter: minter.address,
    authority: config.authority,
    arbiter: config.arbiter,
    treasury: config.treasury,
    deadline: 0,
    funded: 0n,
  })
  const vault = (holder: 'platform' | 'cdn') =>
    EmissionVault.fromConfig({
      decay: decayFor(HALF_LIFE_EPOCHS),
      feeShare: BigInt(Math.floor(config.feeShare * Number(FULL_FEE_SHARE))),
      minter: minter.address,
      distributor: rewards.address,
      amount: amountOf(holder),
      floor: config.floor,
      // two vaults of one configuration would have one address: the second begins a second later
      start: config.start + (holder === 'platform' ? 0 : 1),
      epochSeconds: config.epochSeconds,
    })
  const vesting = (holder: 'institutional' | 'team') =>
    JettonVesting.fromConfig({
      ...longVesting(amountOf(holder), config.start),
      kind: 'pingo',
      minter: minter.address,
      beneficiary: config[holder],
    })
  const vaults = { platform: vault('platform'), cdn: vault('cdn') }
  const vestings = { institutional: vesting('institutional'), team: vesting('team') }
  const airdrop = RewardDistributor.fromConfig({
    ...AIRDROP_TERMS,
    minter: minter.address,
    authority: config.authority,
    arbiter: config.arbiter,
    treasury: vaults.platform.address,
    deadline: config.start + config.airdropDays * DAY_SECONDS,
    funded: amountOf('airdrop'),
  })
  const picture = config.image ? { image: config.image } : {}
  const collection = ContributorCollection.fromConfig({
    authority: config.authority,
    unit: config.passUnit,
    collection: {
      name: 'PinGo passes',
      symbol: 'PASS',
      description: 'Earned by work for PinGo; bound to whoever earned it.',
      decimals: 0,
      ...picture,
    },
    levels: new Map(),
  })
  const gate = AccessGate.fromConfig({ collection: collection.address, minLevel: 1, grantSeconds: DAY_SECONDS })
  const stake = NodeStake.fromConfig({
    minter: minter.address,
    treasury: config.treasury,
    arbiterKey: config.arbiter,
    network: NETWORKS[config.network],
    minBond: config.minBond,
    unbondSeconds: config.unbondSeconds,
    bountyParts: config.bountyParts,
  })
  const holders = new Map([
    [vaults.platform.address, amountOf('platform')],
    [vaults.cdn.address, amountOf('cdn')],
    [vestings.institutional.address, amountOf('institutional')],
    [vestings.team.address, amountOf('team')],
    [airdrop.address, amountOf('airdrop')],
  ])
  const entry = (
    name: string,
    code: ContractName,
    contract: Deployed['contract'],
    value: bigint,
    purpose: string,
  ): Deployed => ({ name, code, contract, value, purpose })
  return {
    config,
    minter,
    vaults,
    vestings,
    rewards,
    airdrop,
    collection,
    gate,
    stake,
    holders,
    contracts: [
      entry('rewards', 'reward-distributor', rewards, 300_000_000n, 'pays what contributors have earned'),
      entry(
        'platform-vault',
        'emission-vault',
        vaults.platform,
        200_000_000n,
        'emits 40 % to compute contribution and AI creation',
      ),
      entry('cdn-vault', 'emission-vault', vaults.cdn, 200_000_000n, 'emits 40 % to CDN nodes and users'),
      entry(
        'institutional',
        'jetton-vesting',
        vestings.institutional,
        200_000_000n,
        'holds 15 %, vested over four years',
      ),
      entry('team', 'jetton-vesting', vestings.team, 200_000_000n, 'holds 4 %, vested over four years'),
      entry('airdrop', 'reward-distributor', airdrop, 300_000_000n, 'pays 1 % by Merkle claims'),
      entry('passes', 'contributor-collection', collection, 300_000_000n, 'the collection of passes'),
      entry('gate', 'access-gate', gate, 200_000_000n, 'lets pass holders in'),
      entry('stake', 'node-stake', stake, STAKE_DEPLOY_VALUE, 'holds the bonds of fog nodes'),
      entry('minter', 'pingo-minter', minter, 0n, 'PINGO itself: its supply, and the address of every wallet'),
    ],
  }
}

/** The body with which contracts are deployed: GRAM that stays. */
export const DEPLOY_BODY = encode(schema.TopUp, {})

function amountOf(holder: Holder): bigint {
  return (SPLIT.find((share) => share.holder === holder) as (typeof SPLIT)[number]).amount
}

/** A contract of the address book. */
export interface BookEntry {
  name: string
  purpose: string
  address: string
  contract: ContractName
  /** Hash of its code: what `npm run build -w packages/chain` derives from the sources. */
  codeHash: string
}

/** The address book of a deployment: with it and the sources, anyone can work all of it out again. */
export function addressBook({ contracts }: Deployment): BookEntry[] {
  return contracts.map(({ name, purpose, code, contract }) => ({
    name,
    purpose,
    address: contract.address.toString(),
    contract: code,
    codeHash: (contract.init?.code ?? Cell.EMPTY).hash().toString('hex'),
  }))
}
