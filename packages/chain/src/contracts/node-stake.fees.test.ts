import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, toNano } from '@ton/core'
import * as schema from '../schema/index.ts'
import { decode, EXIT } from '../schema/index.ts'
import {
  assertEvenly,
  assertExcesses,
  assertPrice,
  assertRent,
  assertUndone,
  dataWithoutExcesses,
  gramOf,
  priceOf,
} from '../testing/fees.ts'
import { breakWallet, fund, notify } from '../testing/pay.ts'
import { arbiter, BOND, blockTwo, DAY, NODES_NETWORK, node, stakeWorld } from '../testing/pay-worlds.ts'
import { exitOf, messagesBetween } from '../testing/world.ts'
import { bondPayload, signStakeVerdict } from './node-stake.ts'

const RENT = toNano('1')
const ONCE = { messages: 3n, gas: 41_000n, leaves: toNano('0.02') }
const TWICE = { messages: 6n, gas: 57_000n, leaves: toNano('0.04') }
const key = node.publicKey

/** A bond of 2 `BOND`, half of it free to withdraw; what the node did wrong, and a debt to `mallory`. */
async function bondedWorld() {
  const here = await stakeWorld()
  const { pingo, owner, mallory, stake, bond, mine, vote } = here
  await bond(owner, 2n * BOND)
  const since = (await mine())?.since ?? 0
  await stake.sendUnbond(owner.getSender(), key, BOND)
  pingo.place.now += 7 * DAY
  const evidence = { key, first: vote({}), second: vote({ hash: blockTwo }) }
  const verdict = (amount: bigint) => {
    const said = { network: NODES_NETWORK, contract: stake.address, key, since, number: 1, amount }
    return { key, number: 1, amount, signature: signStakeVerdict(said, arbiter) }
  }
  const mend = await breakWallet(pingo, stake.address)
  await notify(pingo, stake.address, mallory.address, 3n, toNano('0.1'))
  await mend()
  await pingo.wallet(mallory.address).sendTransfer(mallory.getSender(), { to: stake.address, amount: 3n })
  assert.equal((await stake.getStakeData()).owed.get(mallory.address.toRawString()), 3n)
  return { ...here, evidence, verdict }
}

test('what pays is refused for a nano less than it costs, and pays for all that follows with it', async () => {
  const { pingo, owner, mallory, treasury, hunter, stake, has, wallet, evidence, verdict } = await bondedWorld()
  const { chain } = pingo.place
  const [via, start, to] = [hunter.getSender(), chain.snapshot(), stake.address]
  const before = { owner: await has(owner), mallory: await has(mallory) }
  await assertPrice(chain, to, (value) => stake.sendWithdraw(owner.getSender(), key, value), ONCE)
  assert.equal(await has(owner), before.owner + BOND)
  await assertPrice(chain, to, (value) => stake.sendCollect(via, mallory.address, value), ONCE)
  assert.equal(await has(mallory), before.mallory + 3n)
  for (const slash of [
    (value: bigint) => stake.sendEquivocation(via, evidence, value),
    (value: bigint) => stake.sendVerdict(via, verdict(2n * BOND), value),
  ]) {
    await chain.loadFrom(start)
    assertEvenly(messagesBetween(await assertPrice(chain, to, slash, TWICE), to, wallet))
    assert.deepEqual([await has(hunter), await has(treasury)], [1000n, 2n * BOND - 1000n])
  }
})

test('who asks for a payment pays for it: the contract keeps what it has, to the nano', async () => {
  const { pingo, owner, mallory, hunter, stake, evidence, verdict } = await bondedWorld()
  const keeps = (send: Parameters<typeof assertRent>[2]) => assertRent(pingo.place.chain, stake.address, send, 0n)
  await keeps((value) => stake.sendWithdraw(owner.getSender(), key, value))
  await keeps((value) => stake.sendCollect(hunter.getSender(), mallory.address, value))
  await keeps((value) => stake.sendEquivocation(hunter.getSender(), evidence, value))
  await keeps((value) => stake.sendVerdict(hunter.getSender(), verdict(1n), value))
  await keeps((value) => notify(pingo, stake.address, mallory.address, 3n, value))
})

test('a payment that can’t be sent is undone, and its GRAM goes back', async () => {
  const { pingo, owner, mallory, hunter, stake, evidence, verdict } = await bondedWorld()
  const undone = (send: Parameters<typeof assertUndone>[3], from = hunter.address) =>
    assertUndone(pingo.place.chain, stake.address, from, send)
  await undone((via) => stake.sendWithdraw(via, key), owner.address)
  await undone((via) => stake.sendCollect(via, mallory.address))
  await undone((via) => stake.sendEquivocation(via, evidence))
  await undone((via) => stake.sendVerdict(via, verdict(1n)))
})

test('a bond and its unbonding give back what they leave, keep the rent, and work without anything to give back', async () => {
  const { pingo, owner, stake, wallet } = await stakeWorld()
  const { chain } = pingo.place
  const payload = bondPayload({ network: NODES_NETWORK, contract: stake.address, owner: owner.address }, node)
  const bond = (value: bigint) => notify(pingo, stake.address, owner.address, BOND, value, payload)
  const unbond = (value: bigint) => stake.sendUnbond(owner.getSender(), key, BOND, value)
  await assertRent(chain, stake.address, bond, RENT)
  const bonded = await dataWithoutExcesses(chain, stake.address, wallet, () => bond(toNano('0.1')))
  assert.equal(decode(schema.StakeStorage, bonded).nodeCount, 1)
  assertExcesses((await bond(toNano('0.1'))).transactions, stake.address, owner.address)
  const unbonded = await dataWithoutExcesses(chain, stake.address, owner.address, (via) =>
    stake.sendUnbond(via, key, BOND),
  )
  assert.ok(!unbonded.equals(bonded))
  await assertRent(chain, stake.address, unbond, RENT)
  assertExcesses((await unbond(toNano('0.1'))).transactions, stake.address, owner.address)
})

test('what came by mistake goes back from the very price of the way on; for less it stays', async () => {
  const { pingo, mallory, stake, has, wallet } = await stakeWorld()
  const { chain } = pingo.place
  const send = (forwardAmount: bigint) => fund(pingo, mallory, stake.address, 3n, { forwardAmount })
  const least = await priceOf(chain, stake.address, send, ONCE)
  const before = await has(mallory)
  const { transactions } = await send(least - 1n)
  assert.equal(exitOf(transactions, stake.address), 0)
  assert.equal(messagesBetween(transactions, stake.address, wallet).length, 0)
  assert.equal(await has(mallory), before - 3n)
  await send(least)
  assert.equal(await has(mallory), before - 3n, 'that of the second came back')
})

test('even when the very first PINGO came by mistake and could not go back, they can be collected', async () => {
  const { pingo, owner, mallory, stake, has } = await stakeWorld()
  const before = await has(mallory)
  const mend = await breakWallet(pingo, stake.address)
  await notify(pingo, stake.address, mallory.address, 3n, toNano('0.1'))
  await mend()
  await pingo.wallet(owner.address).sendTransfer(owner.getSender(), { to: stake.address, amount: 3n })
  await stake.sendCollect(owner.getSender(), mallory.address)
  assert.equal(await has(mallory), before + 3n)
})

test('what comes from nobody or from the masterchain is no bond, and stays', async () => {
  const { pingo, stake, nodes, wallet } = await stakeWorld()
  const far = new Address(-1, Buffer.alloc(32, 9))
  const payload = bondPayload({ network: NODES_NETWORK, contract: stake.address, owner: far }, node)
  const before = await gramOf(pingo.place.chain, stake.address)
  for (const sender of [null, far]) {
    const { transactions } = await notify(pingo, stake.address, sender, BOND, toNano('0.2'), payload)
    assert.equal(exitOf(transactions, stake.address), 0)
    assert.equal(messagesBetween(transactions, stake.address, wallet).length, 0)
  }
  assert.equal((await nodes()).size, 0)
  assert.ok((await gramOf(pingo.place.chain, stake.address)) > before)
})

test('nobody in the masterchain can slash: no bounty could be paid there', async () => {
  const { pingo, stake, mine, evidence, verdict } = await bondedWorld()
  const via = pingo.place.chain.sender(new Address(-1, Buffer.alloc(32, 9)))
  for (const { transactions } of [
    await stake.sendEquivocation(via, evidence),
    await stake.sendVerdict(via, verdict(1n)),
  ])
    assert.equal(exitOf(transactions, stake.address), EXIT.WRONG_WORKCHAIN)
  assert.equal((await mine())?.bonded, BOND)
})
