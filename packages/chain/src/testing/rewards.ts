import { generateKeyPairSync } from 'node:crypto'
import { type Address, toNano } from '@ton/core'
import { createShardAccount } from '@ton/sandbox'
import { codeOf } from '../compile/artifacts.ts'
import { RewardAccount, RewardDistributor, signVerdict } from '../contracts/rewards.ts'
import { CreditTree } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { decode, encode } from '../schema/index.ts'
import { REWARD_TERMS, type RewardTerms } from '../token/reward-account.ts'
import { pingoWorld } from './pingo.ts'

export const DAY = 24 * 3600
/** Units that the distributor has from its beginning. */
export const FUNDS = 1_000_000_000n

const arbiter = generateKeyPairSync('ed25519')

/** A distributor with money, and `alice` and `bob` who may have earned some of it. */
export async function rewardWorld(terms: RewardTerms = REWARD_TERMS, deadline = 0) {
  const pingo = await pingoWorld()
  const [authority, alice, bob, treasury] = await Promise.all(
    ['authority', 'alice', 'bob', 'treasury'].map((name) => pingo.place.person(name)),
  )
  if (!authority || !alice || !bob || !treasury) throw new Error('unreachable')
  const distributor = pingo.place.chain.openContract(
    RewardDistributor.fromConfig({
      ...terms,
      minter: pingo.minter.address,
      authority: authority.address,
      arbiter: arbiter.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
      treasury: treasury.address,
      deadline,
      funded: FUNDS,
    }),
  )
  await distributor.sendDeploy(authority.getSender())
  await pingo.genesis([[distributor.address, FUNDS]])
  const account = (owner: Address) =>
    pingo.place.chain.openContract(RewardAccount.of(distributor.address, terms, owner))
  let epoch = 0
  /** The next epoch, in which these have earned so much in total; gives the proofs. */
  const earned = async (...totals: readonly (readonly [Address, bigint])[]) => {
    const tree = CreditTree.from(totals)
    const promised = totals.reduce((sum, [, total]) => sum + total, 0n)
    await distributor.sendSetRoot(authority.getSender(), { epoch: ++epoch, root: tree.root(), promised })
    return (owner: Address) => tree.proof(owner)
  }
  /** A verdict on alice, signed. */
  const verdictOf = (amount: bigint, sequence: number) => {
    const verdict = { distributor: distributor.address, owner: alice.address, amount, sequence, evidence: 9n }
    return [verdict, signVerdict(verdict, arbiter.privateKey)] as const
  }
  const booksOf = async (owner: Address) => {
    const { accountState } = await pingo.place.chain.getContract(account(owner).address)
    if (accountState?.type !== 'active' || !accountState.state.data) throw new Error('no account there')
    return decode(schema.RewardAccountStorage, accountState.state.data)
  }
  /** Changes what an account remembers. */
  const rewrite = async (owner: Address, change: Partial<schema.Of<typeof schema.RewardAccountStorage>>) => {
    const { address } = account(owner)
    const data = encode(schema.RewardAccountStorage, { ...(await booksOf(owner)), ...change })
    const held = createShardAccount({ address, code: codeOf('reward-account'), data, balance: toNano('0.01') })
    await pingo.place.chain.setShardAccount(address, held)
  }
  const has = (who: { address: Address }) => pingo.balance(who.address)
  const chain = pingo.place.chain
  return {
    pingo,
    chain,
    authority,
    alice,
    bob,
    treasury,
    distributor,
    account,
    earned,
    verdictOf,
    booksOf,
    rewrite,
    has,
  }
}
