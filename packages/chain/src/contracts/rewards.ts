import type { KeyObject } from 'node:crypto'
import { sign } from 'node:crypto'
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
import { encode, type Of } from '../schema/index.ts'
import type { RewardTerms } from '../token/reward-account.ts'
import { sendBody } from './send.ts'

/** What fixes a distributor: the same words give the same address. */
export interface RewardDistributorConfig extends RewardTerms {
  minter: Address
  /** Sets roots. */
  authority: Address
  /** Ed25519 public key whose signature slashes, 32 bytes. */
  arbiter: Buffer
  /** Where slashed and unclaimed units go. */
  treasury: Address
  /** When what nobody claimed goes to the treasury, seconds since 1970; 0 is never. */
  deadline: number
  /** Units that genesis gives it; those of vaults come later. */
  funded: bigint
}

/** GRAM that a claim takes along; what is left comes back. */
export const CLAIM_VALUE = 150_000_000n

/** A distributor of rewards or of the airdrop (`contracts/rewards/reward-distributor.tolk`). */
export class RewardDistributor implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  static fromConfig(config: RewardDistributorConfig): RewardDistributor {
    const { minter, authority, arbiter, treasury, deadline, funded, liquid, lock } = config
    const init = {
      code: codeOf('reward-distributor'),
      data: encode(schema.RewardDistributorStorage, {
        paid: 0n,
        funded,
        root: 0n,
        wallet: null,
        liquid,
        lock,
        accountCode: codeOf('reward-account'),
        epoch: 0,
        promised: 0n,
        config: {
          minter,
          walletCode: codeOf('pingo-wallet'),
          deadline,
          roles: { authority, arbiter: BigInt(`0x${arbiter.toString('hex')}`), treasury },
        },
      }),
    }
    return new RewardDistributor(contractAddress(0, init), init)
  }

  async sendDeploy(provider: ContractProvider, via: Sender, value = 100_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.TopUp, {}))
  }

  /** The authority sets the next epoch's tree: `root` of 32 bytes, `promised` the sum of its amounts. */
  async sendSetRoot(
    provider: ContractProvider,
    via: Sender,
    { epoch, root, promised }: { epoch: number; root: Buffer; promised: bigint },
    value = 50_000_000n,
  ): Promise<void> {
    await sendBody(
      provider,
      via,
      value,
      encode(schema.SetRoot, { queryId: 0n, epoch, root: BigInt(`0x${root.toString('hex')}`), promised }),
    )
  }

  /** Anyone brings the arbiter's verdict: `signVerdict`. */
  async sendSlash(
    provider: ContractProvider,
    via: Sender,
    verdict: Of<typeof schema.SlashVerdict>,
    signature: Buffer,
    value = 200_000_000n,
  ): Promise<void> {
    await sendBody(provider, via, value, encode(schema.SlashReward, { queryId: 0n, signature, verdict }))
  }

  /** After the deadline, anyone: what nobody claimed goes to the treasury. */
  async sendSweep(provider: ContractProvider, via: Sender, value = 150_000_000n): Promise<void> {
    await sendBody(provider, via, value, encode(schema.Sweep, { queryId: 0n }))
  }

  /** Root, money and terms; amounts in units. */
  async getDistributorData(provider: ContractProvider) {
    const { stack } = await provider.get('get_distributor_data', [])
    return {
      authority: stack.readAddress(),
      epoch: stack.readNumber(),
      root: stack.readBigNumber(),
      promised: stack.readBigNumber(),
      funded: stack.readBigNumber(),
      paid: stack.readBigNumber(),
      liquid: stack.readNumber(),
      lock: stack.readNumber(),
      deadline: stack.readNumber(),
      treasury: stack.readAddress(),
      arbiter: stack.readBigNumber(),
    }
  }

  /** The chain's word on an account's address; `RewardAccount.of` computes the same here. */
  async getAccountAddress(provider: ContractProvider, owner: Address): Promise<Address> {
    const { stack } = await provider.get('get_account_address', [
      { type: 'slice', cell: beginCell().storeAddress(owner).endCell() },
    ])
    return stack.readAddress()
  }
}

/** The arbiter's signature over a verdict, 64 bytes. */
export function signVerdict(verdict: Of<typeof schema.SlashVerdict>, key: KeyObject): Buffer {
  return sign(null, encode(schema.SlashVerdict, verdict).hash(), key)
}

/** A claimant's account with a distributor (`contracts/rewards/reward-account.tolk`). */
export class RewardAccount implements Contract {
  readonly address: Address
  readonly init?: { code: Cell; data: Cell }

  constructor(address: Address, init?: { code: Cell; data: Cell }) {
    this.address = address
    this.init = init
  }

  /** The account of an owner, computed here; its owner deploys it with the first claim. */
  static of(distributor: Address, { liquid, lock }: RewardTerms, owner: Address): RewardAccount {
    const init = {
      code: codeOf('reward-account'),
      data: encode(schema.RewardAccountStorage, {
        owner,
        distributor,
        liquid,
        claimed: 0n,
        newest: 0n,
        newestSince: 0,
        olderCount: 0,
        older: null,
        lock,
        released: 0n,
        slashes: 0,
      }),
    }
    return new RewardAccount(contractAddress(0, init), init)
  }

  /** The owner claims what the tree grants it in total: `CreditTree.proof`. */
  async sendClaim(provider: ContractProvider, via: Sender, proof: Cell, value = CLAIM_VALUE): Promise<void> {
    await sendBody(provider, via, value, encode(schema.Claim, { queryId: 0n, proof }))
  }

  /** The owner takes what became free. */
  async sendRelease(provider: ContractProvider, via: Sender, value = CLAIM_VALUE): Promise<void> {
    await sendBody(provider, via, value, encode(schema.Release, { queryId: 0n }))
  }

  /** What was claimed, what is still locked, and what of it is free to take; amounts in units. */
  async getAccountData(provider: ContractProvider) {
    const { stack } = await provider.get('get_account_data', [])
    return {
      owner: stack.readAddress(),
      distributor: stack.readAddress(),
      claimed: stack.readBigNumber(),
      locked: stack.readBigNumber(),
      free: stack.readBigNumber(),
      slashes: stack.readNumber(),
    }
  }
}
