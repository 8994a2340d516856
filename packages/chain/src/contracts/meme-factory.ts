import { PinGoError } from '@pingo/wire'
import {
  type Address,
  beginCell,
  type Cell,
  type Contract,
  type ContractProvider,
  contractAddress,
  type Sender,
} from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import * as schema from '../schema/index.ts'
import { encode } from '../schema/index.ts'
import { encodeMetadata, type TokenMetadata } from '../token/metadata.ts'
import { holderTable, JettonWallet } from './jetton.ts'
import { sendBody } from './send.ts'

/** The terms of a factory: the same words give the same address, and nobody can change them. */
export interface MemeFactoryConfig {
  /** Gets the fees. */
  treasury: Address
  /** Nano-GRAM. */
  feeGram: bigint
  /** Units of PINGO. */
  feePingo: bigint
  /** Percent of a supply that its creator may have at most. */
  mostPercent: number
  /** Seconds in which a creator gets nothing of its share. */
  cliff: number
  /** Seconds after the cliff in which the share becomes free, linearly. */
  duration: number
  pingoMinter: Address
}

const DAY = 24 * 3600

/** Terms that keep creators honest: a tenth at most, nothing for 30 days, then a year. */
export const MEME_TERMS = { mostPercent: 10, cliff: 30 * DAY, duration: 365 * DAY } as const

/** A token to be launched. `metadata.imageHash` is required: a picture that was swapped must show. */
export interface MemeLaunch {
  /** Units, all of which are minted at once. */
  supply: bigint
  /** Percent of the supply that the creator gets, vested; rounded down. */
  creatorPercent: number
  /** Who gets the rest, to the unit: 32 at most, in the base workchain, the creator not among them. */
  holders: ReadonlyMap<Address, bigint>
  metadata: TokenMetadata & { imageHash: string }
  queryId?: bigint
}

/** Holders of a launch at most; `contracts/meme/launch.tolk` has the same figure. */
export const MOST_HOLDERS = 32

/** Units of a supply that are the creator's. */
export function creatorShare(supply: bigint, percent: number): bigint {
  return (supply * BigInt(percent)) / 100n
}

/** GRAM that a launch takes along besides the fee: more than it needs at today's prices; the rest comes back to the creator. */
export function launchValue(launch: MemeLaunch): bigint {
  const bytes = BigInt(launchBody(launch).toBoc().length)
  return 500_000_000n + BigInt(launch.holders.size) * 70_000_000n + bytes * 40_000n
}

/** The factory of tokens (`contracts/meme/factory.tolk`). */
export class MemeFactory implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  static fromConfig(config: MemeFactoryConfig): MemeFactory {
    const init = {
      code: codeOf('meme-factory'),
      data: encode(schema.MemeFactoryStorage, {
        count: 0n,
        wallet: null,
        config: {
          ...config,
          pingoWalletCode: codeOf('pingo-wallet'),
          templates: {
            minterCode: codeOf('meme-minter'),
            walletCode: codeOf('meme-wallet'),
            vestingCode: codeOf('meme-vesting'),
          },
        },
      }),
    }
    return new MemeFactory(contractAddress(0, init), init)
  }

  /** Deploys the factory, by anyone. */
  async sendDeploy(provider: ContractProvider, via: Sender, value = 100_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.TopUp, {}))
  }

  /** Launches a token for the sender and pays in GRAM. */
  async sendLaunch(provider: ContractProvider, via: Sender, launch: MemeLaunch, feeGram: bigint): Promise<void> {
    await sendBody(provider, via, feeGram + launchValue(launch), launchBody(launch))
  }

  /** The terms, the number of launches, and the hashes of the codes that it deploys. */
  async getFactoryData(provider: ContractProvider) {
    const { stack } = await provider.get('get_factory_data', [])
    return {
      count: stack.readBigNumber(),
      treasury: stack.readAddress(),
      feeGram: stack.readBigNumber(),
      feePingo: stack.readBigNumber(),
      mostPercent: stack.readNumber(),
      cliff: stack.readNumber(),
      duration: stack.readNumber(),
      pingoMinter: stack.readAddress(),
      minterHash: hex(stack.readBigNumber()),
      walletHash: hex(stack.readBigNumber()),
      vestingHash: hex(stack.readBigNumber()),
    }
  }

  /** Where a launch of these words is: a token of another address was not launched here on these terms. */
  async getMemeAddress(
    provider: ContractProvider,
    origin: { number: bigint; creator: Address; creatorPercent: number; at: number },
    supply: bigint,
    content: Cell,
  ) {
    const { stack } = await provider.get('get_meme_address', [
      { type: 'int', value: origin.number },
      { type: 'slice', cell: beginCell().storeAddress(origin.creator).endCell() },
      { type: 'int', value: BigInt(origin.creatorPercent) },
      { type: 'int', value: BigInt(origin.at) },
      { type: 'int', value: supply },
      { type: 'cell', cell: content },
    ])
    return { minter: stack.readAddress(), vesting: stack.readAddress() }
  }
}

/** Launches a token and pays in PINGO: a transfer of the fee from the creator's wallet, with the launch as its payload. */
export function pingoLaunch(pingoMinter: Address, factory: Address, launch: MemeLaunch, feePingo: bigint) {
  const forwardAmount = launchValue(launch)
  return {
    wallet: (creator: Address) => JettonWallet.of('pingo', pingoMinter, creator),
    transfer: {
      to: factory,
      amount: feePingo,
      forwardAmount,
      payload: launchBody(launch),
      value: forwardAmount + 150_000_000n,
    },
  }
}

/**
 * The message of a launch.
 *
 * @throws PinGoError CHAIN_LAUNCH when the parts do not add up or there are too many holders; CHAIN_METADATA when the words do not fit.
 */
export function launchBody(launch: MemeLaunch): Cell {
  const { supply, creatorPercent, holders, metadata } = launch
  const given = [...holders.values()].reduce((sum, amount) => sum + amount, 0n)
  if (supply <= 0n || given + creatorShare(supply, creatorPercent) !== supply) {
    throw new PinGoError('CHAIN_LAUNCH', "the holders' parts and the creator's share do not add up to the supply")
  }
  if (holders.size > MOST_HOLDERS)
    throw new PinGoError('CHAIN_LAUNCH', `a launch has ${MOST_HOLDERS} holders at most, these are ${holders.size}`)
  if (!/^[0-9a-f]{64}$/.test(metadata.imageHash))
    throw new PinGoError('CHAIN_LAUNCH', "the hash of the token's picture is missing or is no SHA-256")
  return encode(schema.LaunchMeme, {
    queryId: launch.queryId ?? 0n,
    supply,
    creatorPercent,
    holders: holderTable(holders),
    content: encodeMetadata(metadata),
  })
}

function hex(hash: bigint): string {
  return hash.toString(16).padStart(64, '0')
}
