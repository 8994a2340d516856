import assert from 'node:assert/strict'
import test from 'node:test'
import { toNano } from '@ton/core'
import { CreditTree } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { EXIT, encode } from '../schema/index.ts'
import {
  assertBounces,
  assertExcesses,
  assertPrice,
  assertUndone,
  constantsOf,
  deliver,
  gramOf,
} from '../testing/fees.ts'
import { breakWallet } from '../testing/pay.ts'
import { DAY, FUNDS, rewardWorld } from '../testing/rewards.ts'
import { exitOf, messagesBetween, TEST_EPOCH } from '../testing/world.ts'
import { AIRDROP_TERMS, REWARD_TERMS } from '../token/reward-account.ts'

const LOCK = REWARD_TERMS.lock

test('the least that is paid is a unit; what rounds to nothing is due later', async () => {
  const { alice, account, earned, has } = await rewardWorld()
  const mine = account(alice.address)
  const three = await mine.sendClaim(alice.getSender(), (await earned([alice.address, 3n]))(alice.address))
  assert.equal(exitOf(three.transactions, mine.address), EXIT.NOTHING_DUE)
  await mine.sendClaim(alice.getSender(), (await earned([alice.address, 4n]))(alice.address))
  assert.equal(await has(alice), 1n)
})

test('of an airdrop a single unit is paid, and nothing for less than was claimed', async () => {
  const { alice, account, earned, has } = await rewardWorld(AIRDROP_TERMS)
  const mine = account(alice.address)
  const claim = async (total: bigint) =>
    exitOf(
      (await mine.sendClaim(alice.getSender(), CreditTree.from([[alice.address, total]]).proof(alice.address)))
        .transactions,
      mine.address,
    )
  await earned([alice.address, 1n])
  assert.equal(await claim(1n), 0)
  await earned([alice.address, 3n])
  assert.equal(await claim(3n), 0)
  assert.equal(await has(alice), 3n)
  for (const total of [1n, 2n, 3n]) assert.equal(await claim(total), EXIT.NOTHING_DUE)
})

test('on the first second nothing is free, on the last all is; a part that is free is forgotten', async () => {
  const { pingo, alice, account, earned, booksOf, has } = await rewardWorld()
  const mine = account(alice.address)
  await mine.sendClaim(alice.getSender(), (await earned([alice.address, FUNDS / 2n]))(alice.address))
  const early = await mine.sendRelease(alice.getSender())
  assert.equal(exitOf(early.transactions, mine.address), EXIT.NOTHING_DUE)
  pingo.place.now = TEST_EPOCH + DAY + 7
  await mine.sendClaim(alice.getSender(), (await earned([alice.address, FUNDS]))(alice.address))
  assert.deepEqual(
    [(await booksOf(alice.address)).newestSince, (await booksOf(alice.address)).olderCount],
    [TEST_EPOCH + DAY, 1],
  )
  pingo.place.now = TEST_EPOCH + LOCK - 1
  await mine.sendRelease(alice.getSender())
  assert.equal((await booksOf(alice.address)).olderCount, 1)
  pingo.place.now = TEST_EPOCH + LOCK
  await mine.sendRelease(alice.getSender())
  assert.equal((await booksOf(alice.address)).olderCount, 0)
  pingo.place.now = TEST_EPOCH + LOCK + DAY
  await mine.sendRelease(alice.getSender())
  assert.equal(await has(alice), FUNDS, 'the last unit too')
  assert.equal((await mine.getAccountData()).free, 0n)
})

test('claims of a day are one part; of two hundred days and the newest are remembered, no more', async () => {
  const { pingo, alice, account, earned, booksOf, rewrite } = await rewardWorld()
  const mine = account(alice.address)
  const claim = async (total: bigint) =>
    exitOf(
      (await mine.sendClaim(alice.getSender(), (await earned([alice.address, total]))(alice.address))).transactions,
      mine.address,
    )
  assert.equal(await claim(400n), 0)
  pingo.place.now += DAY - 1
  assert.equal(await claim(800n), 0)
  const { newest, olderCount } = await booksOf(alice.address)
  assert.deepEqual([newest, olderCount], [600n, 0])
  await rewrite(alice.address, { olderCount: 199 })
  pingo.place.now += 1
  assert.equal(await claim(1200n), 0)
  assert.equal((await booksOf(alice.address)).olderCount, 200)
  pingo.place.now += DAY
  assert.equal(await claim(1600n), EXIT.TOO_MANY_TRANCHES)
  // a part of a single unit is one all the same, an empty one is none
  await rewrite(alice.address, { newest: 0n, olderCount: 1 })
  assert.equal(await claim(2000n), 0)
  assert.equal((await booksOf(alice.address)).olderCount, 1)
  await rewrite(alice.address, { newest: 1n })
  pingo.place.now += DAY
  assert.equal(await claim(2400n), 0)
  assert.equal((await booksOf(alice.address)).olderCount, 2)
})

test('a refused claim takes back its part alone, a refused release leaves what was free', async () => {
  const deadline = TEST_EPOCH + 30 * DAY
  const { pingo, alice, bob, account, earned, booksOf, distributor } = await rewardWorld(REWARD_TERMS, deadline)
  const mine = account(alice.address)
  const old = (await earned([alice.address, 400n]))(alice.address)
  await mine.sendClaim(alice.getSender(), old)
  pingo.place.now = TEST_EPOCH + DAY
  const proof = (await earned([alice.address, 800n]))(alice.address)
  await earned([alice.address, 900n])
  const stale = await mine.sendClaim(alice.getSender(), proof)
  assert.equal(exitOf(stale.transactions, distributor.address), EXIT.NOT_ACCOUNT)
  const after = await booksOf(alice.address)
  assert.deepEqual([after.claimed, after.newest + (after.olderCount > 0 ? 300n : 0n)], [400n, 300n])
  pingo.place.now = deadline + LOCK
  await distributor.sendSweep(bob.getSender())
  const before = await booksOf(alice.address)
  const refused = await mine.sendRelease(alice.getSender())
  assert.equal(exitOf(refused.transactions, distributor.address), EXIT.NOT_FUNDED)
  assert.equal((await mine.getAccountData()).free, 300n)
  assert.equal((await booksOf(alice.address)).olderCount, before.olderCount + (before.olderCount > 0 ? 0 : 1))
})

test('a verdict takes what is locked at most, a unit at least; where nothing is locked it takes nothing', async () => {
  const { alice, bob, treasury, account, distributor, earned, verdictOf, has } = await rewardWorld()
  const mine = account(alice.address)
  await mine.sendClaim(alice.getSender(), (await earned([alice.address, 1000n]))(alice.address))
  const slash = async (amount: bigint, sequence: number) =>
    exitOf((await distributor.sendSlash(bob.getSender(), ...verdictOf(amount, sequence))).transactions, mine.address)
  assert.equal(await slash(1n, 1), 0)
  assert.equal(await has(treasury), 1n)
  assert.equal(await slash(1n, 1), EXIT.STALE)
  assert.equal(await slash(10n ** 12n, 3), 0)
  assert.equal(await has(treasury), 750n)
  assert.equal(await slash(5n, 4), EXIT.NOTHING_DUE)
  assert.equal(await slash(5n, 2), EXIT.STALE)
})

test('only an account tells what it has lost; a verdict that it refuses does not come back to the distributor', async () => {
  const { pingo, alice, bob, treasury, account, distributor, earned, verdictOf, has, chain } = await rewardWorld()
  const mine = account(alice.address)
  await mine.sendClaim(alice.getSender(), (await earned([alice.address, 1000n]))(alice.address))
  const said = { queryId: 0n, amount: 5n, owner: alice.address, respondTo: bob.address }
  const forged = await deliver(chain, bob.address, distributor.address, toNano('0.2'), encode(schema.Slashed, said))
  assert.equal(exitOf(forged.transactions, distributor.address), EXIT.NOT_ACCOUNT)
  assert.equal(await has(treasury), 0n)
  const taken = await distributor.sendSlash(bob.getSender(), ...verdictOf(300n, 1))
  const [notice] = messagesBetween(taken.transactions, pingo.wallet(treasury.address).address, treasury.address)
  assert.ok(notice?.info.type === 'internal' && notice.info.value.coins === toNano('0.01'), 'the treasury is told')
  const { transactions } = await distributor.sendSlash(bob.getSender(), ...verdictOf(300n, 1))
  assert.equal(exitOf(transactions, mine.address), EXIT.STALE)
  assert.equal(messagesBetween(transactions, mine.address, distributor.address).length, 0)
})

test('what was swept can’t be slashed too: no more is paid than came in', async () => {
  const deadline = TEST_EPOCH + DAY
  const { pingo, alice, bob, treasury, account, distributor, earned, verdictOf, has } = await rewardWorld(
    REWARD_TERMS,
    deadline,
  )
  await account(alice.address).sendClaim(alice.getSender(), (await earned([alice.address, 1000n]))(alice.address))
  pingo.place.now = deadline
  await distributor.sendSweep(bob.getSender())
  const { transactions } = await distributor.sendSlash(bob.getSender(), ...verdictOf(300n, 1))
  assert.equal(exitOf(transactions, distributor.address), EXIT.NOT_FUNDED)
  assert.equal(await has(treasury), FUNDS - 250n)
})

test('a verdict takes the newest parts first, whole ones and then a piece of an older one', async () => {
  const { pingo, alice, bob, account, distributor, earned, verdictOf, booksOf } = await rewardWorld()
  const mine = account(alice.address)
  for (const [day, total] of [800n, 1200n, 1400n].entries()) {
    pingo.place.now = TEST_EPOCH + day * DAY
    await mine.sendClaim(alice.getSender(), (await earned([alice.address, total]))(alice.address))
  }
  const parts = async () => {
    const { newest, newestSince, olderCount, older } = await booksOf(alice.address)
    return [newest, newestSince, olderCount, older !== null]
  }
  assert.deepEqual(await parts(), [150n, TEST_EPOCH + 2 * DAY, 2, true])
  await distributor.sendSlash(bob.getSender(), ...verdictOf(160n, 1))
  assert.deepEqual(await parts(), [290n, TEST_EPOCH + DAY, 1, true])
  await distributor.sendSlash(bob.getSender(), ...verdictOf(300n, 2))
  assert.deepEqual(await parts(), [590n, TEST_EPOCH, 0, false])
})

test('all that there is can be promised and paid, and a promise may stay what it was', async () => {
  const { alice, account, distributor, earned, has } = await rewardWorld(AIRDROP_TERMS)
  const mine = account(alice.address)
  const first = (await earned([alice.address, FUNDS]))(alice.address)
  const second = (await earned([alice.address, FUNDS]))(alice.address)
  assert.equal((await distributor.getDistributorData()).epoch, 2)
  assert.ok(first.equals(second))
  await mine.sendClaim(alice.getSender(), second)
  assert.equal(await has(alice), FUNDS)
})

test('a distributor without a deadline is never swept; with one, to the last unit, and once', async () => {
  const never = await rewardWorld()
  never.pingo.place.now += 400 * DAY
  const sweep = await never.distributor.sendSweep(never.bob.getSender())
  assert.equal(exitOf(sweep.transactions, never.distributor.address), EXIT.TOO_EARLY)
  const deadline = TEST_EPOCH + DAY
  const { pingo, alice, bob, treasury, account, distributor, earned, has } = await rewardWorld(AIRDROP_TERMS, deadline)
  const proof = (await earned([alice.address, FUNDS - 1n]))(alice.address)
  const claimed = await account(alice.address).sendClaim(alice.getSender(), proof)
  const said = messagesBetween(claimed.transactions, pingo.wallet(alice.address).address, alice.address)
  assert.equal(said.length, 1, 'what is left of the GRAM comes back, and no word besides')
  assert.equal(await has(alice), FUNDS - 1n)
  pingo.place.now = deadline
  const { transactions } = await distributor.sendSweep(bob.getSender())
  assert.equal(await has(treasury), 1n)
  const [notice] = messagesBetween(transactions, pingo.wallet(treasury.address).address, treasury.address)
  assert.ok(notice?.info.type === 'internal' && notice.info.value.coins === toNano('0.01'), 'the treasury is told')
  const empty = await distributor.sendSweep(bob.getSender())
  assert.equal(exitOf(empty.transactions, distributor.address), EXIT.NOTHING_DUE)
})

test('a payment by the distributor that comes back is taken out of its books', async () => {
  const deadline = TEST_EPOCH + DAY
  const { pingo, bob, distributor, has, treasury } = await rewardWorld(AIRDROP_TERMS, deadline)
  pingo.place.now = deadline
  const mend = await breakWallet(pingo, distributor.address)
  await distributor.sendSweep(bob.getSender())
  assert.equal((await distributor.getDistributorData()).paid, 0n)
  await mend()
  await distributor.sendSweep(bob.getSender())
  assert.equal(await has(treasury), FUNDS)
})

test('what can’t be sent is undone, and its GRAM goes back', async () => {
  const deadline = TEST_EPOCH + DAY
  const { pingo, chain, alice, bob, account, distributor, earned, verdictOf } = await rewardWorld(
    REWARD_TERMS,
    deadline,
  )
  const mine = account(alice.address)
  const first = await earned([alice.address, 1000n])
  await mine.sendClaim(alice.getSender(), first(alice.address))
  const second = await earned([alice.address, 2000n])
  await assertUndone(chain, mine.address, alice.address, (via) => mine.sendClaim(via, second(alice.address)))
  await assertUndone(chain, distributor.address, bob.address, (via) => distributor.sendSlash(via, ...verdictOf(5n, 1)))
  const slash = encode(schema.SlashAccount, { queryId: 0n, amount: 5n, sequence: 1, respondTo: bob.address })
  await assertUndone(chain, mine.address, distributor.address, () =>
    deliver(chain, distributor.address, mine.address, toNano('1'), slash),
  )
  pingo.place.now = deadline + 90 * DAY
  await assertUndone(chain, mine.address, alice.address, (via) => mine.sendRelease(via))
  await assertUndone(chain, distributor.address, bob.address, (via) => distributor.sendSweep(via))
})

test('what pays is refused for a nano less than its price, and pays for all that follows with it', async () => {
  const deadline = TEST_EPOCH + DAY
  const { pingo, chain, alice, bob, treasury, account, distributor, earned, verdictOf, has, booksOf } =
    await rewardWorld(REWARD_TERMS, deadline)
  const mine = account(alice.address)
  const [account_, distributor_] = ['account', 'distributor'].map((name) => constantsOf(`rewards/reward-${name}.tolk`))
  const of = { ...account_, ...distributor_, ...constantsOf('common/fees.tolk') }
  const payment = { gas: of.GAS_PAYMENT ?? 0n, leaves: of.PAYMENT_LEAVES ?? 0n }
  await mine.sendClaim(alice.getSender(), (await earned([alice.address, 1000n]))(alice.address))
  pingo.place.now = deadline
  const proof = (await earned([alice.address, 2000n]))(alice.address)
  const claim = {
    messages: 3n,
    gas: payment.gas + (of.GAS_CLAIM ?? 0n),
    leaves: payment.leaves + (of.ACCOUNT_KEEPS ?? 0n),
  }
  await assertPrice(chain, mine.address, (value) => mine.sendClaim(alice.getSender(), proof, value), claim)
  assert.equal(await has(alice), 500n)
  const slash = { ...payment, messages: 4n, gas: payment.gas + (of.GAS_SLASH ?? 0n) }
  const send = (value: bigint) => distributor.sendSlash(bob.getSender(), ...verdictOf(5n, 1), value)
  await assertPrice(chain, distributor.address, send, slash)
  assert.equal(await has(treasury), 5n)
  pingo.place.now = deadline + 90 * DAY
  assert.equal((await booksOf(alice.address)).olderCount, 1)
  const release = { ...claim, gas: claim.gas + (of.GAS_RELEASE_EACH ?? 0n) }
  await assertPrice(chain, mine.address, (value) => mine.sendRelease(alice.getSender(), value), release)
  const sweep = { ...slash, messages: 3n }
  await assertPrice(chain, distributor.address, (value) => distributor.sendSweep(bob.getSender(), value), sweep)
  assert.equal((await has(treasury)) + (await has(alice)), FUNDS)
})

test('who sets a root pays for it, and gets back what is left', async () => {
  const { chain, authority, distributor } = await rewardWorld()
  const set = (value: bigint) =>
    distributor.sendSetRoot(authority.getSender(), { epoch: 1, root: Buffer.alloc(32, 7), promised: 5n }, value)
  const before = await gramOf(chain, distributor.address)
  const { transactions } = await set(toNano('0.1'))
  const left = assertExcesses(transactions, distributor.address, authority.address)
  const kept = (await gramOf(chain, distributor.address)) - before
  assert.ok(left > toNano('0.08') && left < toNano('0.0999'), `${left} came back`)
  assert.ok(kept > toNano('0.006') && kept < toNano('0.01'), `${kept} were kept`)
  await assertBounces(chain, distributor.address, () =>
    distributor.sendSetRoot(
      authority.getSender(),
      { epoch: 2, root: Buffer.alloc(32, 7), promised: 5n },
      toNano('0.010001'),
    ),
  )
})
