import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { type Address, beginCell, toNano } from '@ton/core'
import { CreditTree } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { EXIT, encode } from '../schema/index.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { exitOf, gasOf, messagesBetween, TEST_EPOCH } from '../testing/world.ts'
import {
  AIRDROP_TERMS,
  claim,
  NEW_ACCOUNT,
  REWARD_TERMS,
  type RewardTerms,
  release,
  slash,
} from '../token/reward-account.ts'
import { RewardAccount, RewardDistributor, signVerdict } from './rewards.ts'

const DAY = 24 * 3600
const FUNDS = 1_000_000_000n
const arbiter = generateKeyPairSync('ed25519')
const arbiterKey = arbiter.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)

const hashOf = (owner: Address) => BigInt(`0x${owner.hash.toString('hex')}`)
const claimantOf = (owner: Address, tree: CreditTree) => hashOf(owner) ^ BigInt(`0x${tree.root().toString('hex')}`)

async function rewardWorld(terms: RewardTerms = REWARD_TERMS, deadline = 0) {
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
      arbiter: arbiterKey,
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
  const setRoot = async (tree: CreditTree, promised: bigint) =>
    distributor.sendSetRoot(authority.getSender(), { epoch: ++epoch, root: tree.root(), promised })
  return { pingo, authority, alice, bob, treasury, distributor, account, setRoot, terms }
}

test('a claim pays a quarter at once and the rest over 180 days, as the model says', async (t) => {
  const { pingo, alice, bob, account, distributor, setRoot, terms } = await rewardWorld()
  const tree = CreditTree.from([
    [alice.address, 1_000_003n],
    [bob.address, 50n],
  ])
  await setRoot(tree, 1_000_053n)
  const mine = account(alice.address)
  assert.ok(mine.address.equals(await distributor.getAccountAddress(alice.address)))
  const grant = tree.proof(alice.address)
  const first = await mine.sendClaim(alice.getSender(), grant)
  t.diagnostic(
    `gas: account ${gasOf(first.transactions, mine.address)}, distributor ${gasOf(first.transactions, distributor.address)}`,
  )
  let model = claim(NEW_ACCOUNT, terms, 1_000_003n, TEST_EPOCH)
  assert.equal(await pingo.balance(alice.address), model?.pay)
  const again = await mine.sendClaim(alice.getSender(), grant)
  assert.equal(exitOf(again.transactions, mine.address), EXIT.NOTHING_DUE)
  let paid = model?.pay ?? 0n
  for (const day of [1, 17, 90, 179, 180, 200]) {
    pingo.place.now = TEST_EPOCH + day * DAY
    const { transactions } = await mine.sendRelease(alice.getSender())
    model = model && release(model.state, terms, pingo.place.now)
    assert.equal(exitOf(transactions, mine.address), model ? 0 : EXIT.NOTHING_DUE, `day ${day}`)
    if (!model) break
    paid += model.pay
    assert.equal(await pingo.balance(alice.address), paid, `day ${day}`)
  }
  assert.equal(paid, 1_000_003n)
  assert.equal((await distributor.getDistributorData()).paid, paid)
})

test('false proofs are refused by the distributor and taken back by the account', async () => {
  const { pingo, alice, bob, account, distributor, setRoot } = await rewardWorld()
  const tree = CreditTree.from([
    [alice.address, 1000n],
    [bob.address, 5000n],
  ])
  await setRoot(tree, 6000n)
  const other = CreditTree.from([
    [alice.address, 9000n],
    [bob.address, 5000n],
  ])
  const mine = account(alice.address)
  const false_ = [other.proof(alice.address), tree.proof(bob.address), beginCell().endCell()]
  for (const grant of false_) {
    const { transactions } = await mine.sendClaim(alice.getSender(), grant)
    assert.notEqual(exitOf(transactions, mine.address) || exitOf(transactions, distributor.address), 0)
    if (exitOf(transactions, mine.address) === -1) continue
    assert.deepEqual(
      { ...(await mine.getAccountData()), owner: 0, distributor: 0 },
      { owner: 0, distributor: 0, claimed: 0n, locked: 0n, free: 0n, slashes: 0 },
    )
  }
  assert.equal(await pingo.balance(alice.address), 0n)
  const good = await mine.sendClaim(alice.getSender(), tree.proof(alice.address))
  assert.equal(exitOf(good.transactions, distributor.address), 0)
  assert.equal(await pingo.balance(alice.address), 250n)
})

test('only the owner claims, only an account asks for a payout, only the authority sets a root', async () => {
  const { authority, alice, bob, account, distributor, setRoot } = await rewardWorld()
  const tree = CreditTree.from([[alice.address, 1000n]])
  await setRoot(tree, 1000n)
  const grant = tree.proof(alice.address)
  const mine = account(alice.address)
  await mine.sendClaim(alice.getSender(), grant)
  const stolen = await mine.sendRelease(bob.getSender())
  assert.equal(exitOf(stolen.transactions, mine.address), EXIT.NOT_OWNER)
  const forged = await bob.send({
    to: distributor.address,
    value: toNano('0.2'),
    body: encode(schema.Payout, { queryId: 0n, due: 5n, pay: 5n, claimant: claimantOf(bob.address, tree) }),
  })
  assert.equal(exitOf(forged.transactions, distributor.address), EXIT.NOT_ACCOUNT)
  const free = await bob.send({
    to: distributor.address,
    value: toNano('0.2'),
    body: encode(schema.PayoutFree, { queryId: 0n, pay: 5n, owner: hashOf(bob.address) }),
  })
  assert.equal(exitOf(free.transactions, distributor.address), EXIT.NOT_ACCOUNT)
  const usurped = await distributor.sendSetRoot(bob.getSender(), { epoch: 2, root: tree.root(), promised: 1000n })
  assert.equal(exitOf(usurped.transactions, distributor.address), EXIT.NOT_ADMIN)
  for (const [epoch, promised, exit] of [
    [1, 2000n, EXIT.WRONG_EPOCH],
    [3, 2000n, EXIT.WRONG_EPOCH],
    [2, 999n, EXIT.WRONG_EPOCH],
    [2, FUNDS + 1n, EXIT.NOT_FUNDED],
    [2, FUNDS, 0],
  ] as const) {
    const { transactions } = await distributor.sendSetRoot(authority.getSender(), {
      epoch,
      root: tree.root(),
      promised,
    })
    assert.equal(exitOf(transactions, distributor.address), exit)
  }
})

test('a verdict takes locked rewards to the treasury, once; without the arbiter’s signature nothing', async () => {
  const { pingo, alice, bob, treasury, account, distributor, setRoot, terms } = await rewardWorld()
  const tree = CreditTree.from([[alice.address, 1000n]])
  await setRoot(tree, 1000n)
  const mine = account(alice.address)
  await mine.sendClaim(alice.getSender(), tree.proof(alice.address))
  let model = claim(NEW_ACCOUNT, terms, 1000n, TEST_EPOCH)?.state ?? NEW_ACCOUNT
  const verdict = { distributor: distributor.address, owner: alice.address, amount: 300n, sequence: 1, evidence: 9n }
  const signature = signVerdict(verdict, arbiter.privateKey)
  const forged = await distributor.sendSlash(bob.getSender(), { ...verdict, amount: 301n }, signature)
  assert.equal(exitOf(forged.transactions, distributor.address), EXIT.WRONG_SIGNATURE)
  await distributor.sendSlash(bob.getSender(), verdict, signature)
  assert.equal(await pingo.balance(treasury.address), 300n)
  model = slash(model, 300n).state
  assert.equal((await mine.getAccountData()).locked, 450n)
  const again = await distributor.sendSlash(bob.getSender(), verdict, signature)
  assert.equal(exitOf(again.transactions, mine.address), EXIT.STALE)
  const direct = await bob.send({
    to: mine.address,
    value: toNano('0.1'),
    body: encode(schema.SlashAccount, { queryId: 0n, amount: 1n, sequence: 9, respondTo: bob.address }),
  })
  assert.equal(exitOf(direct.transactions, mine.address), EXIT.NOT_DISTRIBUTOR)
  pingo.place.now = TEST_EPOCH + 400 * DAY
  await mine.sendRelease(alice.getSender())
  assert.equal(await pingo.balance(alice.address), 250n + (release(model, terms, pingo.place.now)?.pay ?? 0n))
  assert.equal(await pingo.balance(alice.address), 700n)
})

test('the airdrop is paid at once, and after its deadline the rest goes to the treasury', async () => {
  const deadline = TEST_EPOCH + 30 * DAY
  const { pingo, alice, bob, treasury, account, distributor, setRoot } = await rewardWorld(AIRDROP_TERMS, deadline)
  const tree = CreditTree.from([
    [alice.address, 400n],
    [bob.address, 600n],
  ])
  await setRoot(tree, 1000n)
  await account(alice.address).sendClaim(alice.getSender(), tree.proof(alice.address))
  assert.equal(await pingo.balance(alice.address), 400n)
  const early = await distributor.sendSweep(bob.getSender())
  assert.equal(exitOf(early.transactions, distributor.address), EXIT.TOO_EARLY)
  pingo.place.now = deadline
  await distributor.sendSweep(bob.getSender())
  assert.equal(await pingo.balance(treasury.address), FUNDS - 400n)
  const late = await account(bob.address).sendClaim(bob.getSender(), tree.proof(bob.address))
  assert.equal(exitOf(late.transactions, distributor.address), EXIT.NOT_FUNDED)
  assert.equal(await pingo.balance(bob.address), 0n)
})

test('a claim that does not pay for itself is refused and can be made again', async () => {
  const { pingo, alice, account, setRoot } = await rewardWorld()
  const tree = CreditTree.from([[alice.address, 1000n]])
  await setRoot(tree, 1000n)
  const grant = tree.proof(alice.address)
  const mine = account(alice.address)
  for (const value of ['0.002', '0.01', '0.03']) {
    const { transactions } = await mine.sendClaim(alice.getSender(), grant, toNano(value))
    assert.notEqual(exitOf(transactions, mine.address), 0, value)
  }
  await mine.sendClaim(alice.getSender(), grant)
  assert.equal(await pingo.balance(alice.address), 250n)
})

test('a release that the distributor can’t pay stays free, and is paid when money comes', async () => {
  const deadline = TEST_EPOCH + 30 * DAY
  const { pingo, alice, bob, treasury, account, distributor, setRoot } = await rewardWorld(REWARD_TERMS, deadline)
  const tree = CreditTree.from([[alice.address, 1000n]])
  await setRoot(tree, 1000n)
  const mine = account(alice.address)
  await mine.sendClaim(alice.getSender(), tree.proof(alice.address))
  pingo.place.now = deadline + 200 * DAY
  await distributor.sendSweep(bob.getSender())
  const before = await mine.getAccountData()
  const refused = await mine.sendRelease(alice.getSender())
  assert.equal(exitOf(refused.transactions, distributor.address), EXIT.NOT_FUNDED)
  const { claimed, locked, free } = await mine.getAccountData()
  assert.deepEqual({ claimed, locked, free }, { claimed: before.claimed, locked: before.locked, free: before.free })
  assert.equal(free, 750n)
  await pingo.wallet(treasury.address).sendTransfer(treasury.getSender(), {
    to: distributor.address,
    amount: 750n,
    forwardAmount: toNano('0.02'),
  })
  await mine.sendRelease(alice.getSender())
  assert.equal(await pingo.balance(alice.address), 1000n)
  assert.equal((await mine.getAccountData()).free, 0n)
})

test('what is left goes back in a message that does not bounce', async () => {
  const { alice, authority, distributor } = await rewardWorld()
  const tree = CreditTree.from([[alice.address, 1000n]])
  const { transactions } = await distributor.sendSetRoot(authority.getSender(), {
    epoch: 1,
    root: tree.root(),
    promised: 1000n,
  })
  const [excesses] = messagesBetween(transactions, distributor.address, authority.address)
  assert.equal(excesses?.info.type === 'internal' && excesses.info.bounce, false)
})
