import { type Address, toNano } from '@ton/core'
import type { SandboxContract, TreasuryContract } from '@ton/sandbox'
import { JobEscrow, type JobEscrowConfig, signJobVerdict } from '../contracts/job-escrow.ts'
import { bondPayload, NodeStake, type NodeStakeConfig, type NodeVote, signVote, VOTE } from '../contracts/node-stake.ts'
import { VoucherChannel, type VoucherChannelConfig } from '../contracts/voucher-channel.ts'
import { signVoucher, voucherForm } from '../voucher/voucher.ts'
import { fund, signerNamed } from './pay.ts'
import { pingoWorld } from './pingo.ts'
import { exitOf, TEST_EPOCH } from './world.ts'

export const DAY = 86_400
/** Testnet's global id. */
export const NETWORK = -3
/** Id of the network whose nodes have bonds. */
export const NODES_NETWORK = 77
export const BOND = 10_000n

export const payerKey = signerNamed('p')
export const arbiter = signerNamed('a')
export const node = signerNamed('n')
export const job = Buffer.alloc(32, 3)
export const [blockOne, blockTwo] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]

export const DEADLINE = TEST_EPOCH + 10 * DAY
export const REFUND_AT = DEADLINE + 2 * DAY

/** A channel from `payer` to `payee` with 1,000 nano-PINGO in it. */
export async function channelWorld(o: Partial<VoucherChannelConfig> & { funded?: bigint } = {}) {
  const pingo = await pingoWorld()
  const [payer, payee, mallory] = await Promise.all(['payer', 'payee', 'mallory'].map(pingo.place.person))
  if (!payer || !payee || !mallory) throw new Error('nobody there')
  const channel = pingo.place.chain.openContract(
    VoucherChannel.fromConfig({
      minter: pingo.minter.address,
      payer: payer.address,
      payee: payee.address,
      payerKey: payerKey.publicKey,
      network: NETWORK,
      expiresAt: TEST_EPOCH + 30 * DAY,
      challengeSeconds: DAY,
      id: 1n,
      ...o,
    }),
  )
  await channel.sendDeploy(mallory.getSender())
  await pingo.genesis([
    [payer.address, 10n ** 12n],
    [mallory.address, 10n ** 12n],
  ])
  const funding = await fund(pingo, payer, channel.address, o.funded ?? 1000n)
  const form = voucherForm(o.network ?? NETWORK, channel.address)
  const sign = (amount: bigint, by = payerKey) => signVoucher(form, amount, by)
  const wallet = pingo.wallet(channel.address).address
  const gram = async (of: Address) => (await pingo.place.chain.getContract(of)).balance
  return { pingo, payer, payee, mallory, channel, funding, sign, wallet, gram }
}

/** An escrow for a job of `payer`’s by `payee`, with 1,000 nano-PINGO in it. */
export async function escrowWorld(o: Partial<JobEscrowConfig> = {}) {
  const pingo = await pingoWorld()
  const [payer, payee, mallory] = await Promise.all(['payer', 'payee', 'mallory'].map(pingo.place.person))
  if (!payer || !payee || !mallory) throw new Error('nobody there')
  const config = {
    minter: pingo.minter.address,
    payer: payer.address,
    payee: payee.address,
    payerKey: payerKey.publicKey,
    arbiterKey: arbiter.publicKey,
    job,
    network: NETWORK,
    deadline: DEADLINE,
    disputeSeconds: 2 * DAY,
    verdictSeconds: 5 * DAY,
    ...o,
  }
  const escrow = pingo.place.chain.openContract(JobEscrow.fromConfig(config))
  await escrow.sendDeploy(mallory.getSender())
  await pingo.genesis([[payer.address, 10n ** 12n]])
  await fund(pingo, payer, escrow.address, 1000n)
  const form = voucherForm(NETWORK, escrow.address)
  const sign = (amount: bigint, by = payerKey) => signVoucher(form, amount, by)
  const verdict = (payeeTotal: bigint, by = arbiter, of: Partial<{ network: number; job: Buffer }> = {}) => ({
    payeeTotal,
    signature: signJobVerdict({ network: NETWORK, contract: escrow.address, job, payeeTotal, ...of }, by),
  })
  const exit = async (sent: Promise<{ transactions: Parameters<typeof exitOf>[0] }>) =>
    exitOf((await sent).transactions, escrow.address)
  const has = (who: typeof payer) => pingo.balance(who.address)
  const rest = 10n ** 12n - 1000n
  const { address: wallet } = pingo.wallet(escrow.address)
  return { pingo, payer, payee, mallory, config, escrow, sign, verdict, exit, has, rest, wallet }
}

/** The bonds’ contract, without any; `owner` and `mallory` have PINGO. */
export async function stakeWorld(o: Partial<NodeStakeConfig> = {}) {
  const pingo = await pingoWorld()
  const [owner, mallory, treasury, hunter] = await Promise.all(
    ['owner', 'mallory', 'treasury', 'hunter'].map(pingo.place.person),
  )
  if (!owner || !mallory || !treasury || !hunter) throw new Error('nobody there')
  const config = {
    minter: pingo.minter.address,
    treasury: treasury.address,
    arbiterKey: arbiter.publicKey,
    network: NODES_NETWORK,
    minBond: BOND,
    unbondSeconds: 7 * DAY,
    bountyParts: 500,
    ...o,
  }
  const stake = pingo.place.chain.openContract(NodeStake.fromConfig(config))
  await stake.sendDeploy(mallory.getSender())
  await pingo.genesis([
    [owner.address, 10n ** 12n],
    [mallory.address, 10n ** 12n],
  ])
  const bond = (
    who: SandboxContract<TreasuryContract>,
    amount: bigint,
    by = node,
    of: Partial<{ network: number; contract: Address; owner: Address }> = {},
  ) => {
    const payload = bondPayload({ network: NODES_NETWORK, contract: stake.address, owner: who.address, ...of }, by)
    return fund(pingo, who, stake.address, amount, { payload, forwardAmount: toNano('0.1') })
  }
  const exit = async (sent: Promise<{ transactions: Parameters<typeof exitOf>[0] }>) =>
    exitOf((await sent).transactions, stake.address)
  const has = (who: { address: Address }) => pingo.balance(who.address)
  const nodes = async () => (await stake.getStakeData()).nodes
  const mine = async (by = node) => (await nodes()).get(by.publicKey.toString('hex'))
  const vote = (vote: Partial<NodeVote>, by = node, network = NODES_NETWORK) =>
    signVote(network, { slot: 5n, kind: VOTE.notarise, hash: blockOne, ...vote }, by)
  const { address: wallet } = pingo.wallet(stake.address)
  return { pingo, owner, mallory, treasury, hunter, config, stake, bond, exit, has, nodes, mine, vote, wallet }
}
