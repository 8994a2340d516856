import assert from 'node:assert/strict'
import test from 'node:test'
import { toNano } from '@ton/core'
import * as schema from '../schema/index.ts'
import { decode } from '../schema/index.ts'
import {
  assertEvenly,
  assertExcesses,
  assertPrice,
  assertRent,
  assertUndone,
  dataWithoutExcesses,
} from '../testing/fees.ts'
import { notify } from '../testing/pay.ts'
import { escrowWorld, REFUND_AT } from '../testing/pay-worlds.ts'
import { messagesBetween, TEST_EPOCH } from '../testing/world.ts'

const RENT = toNano('0.04')
const ONCE = { messages: 3n, gas: 22_000n, leaves: toNano('0.02') }
const TWICE = { messages: 6n, gas: 43_000n, leaves: toNano('0.04') }

test('a release, a verdict and a refund are refused for a nano less than they cost, and pay for all that follows with it', async () => {
  const { pingo, payer, payee, mallory, escrow, sign, verdict, has, rest, wallet } = await escrowWorld()
  const { chain } = pingo.place
  const via = mallory.getSender()
  await assertPrice(chain, escrow.address, (value) => escrow.sendRelease(via, sign(999n), value), ONCE)
  const start = chain.snapshot()
  pingo.place.now = REFUND_AT
  await assertPrice(chain, escrow.address, (value) => escrow.sendRefund(via, value), TWICE)
  assert.deepEqual([await has(payee), await has(payer)], [999n, rest + 1n], 'the last nano-PINGO too')
  await chain.loadFrom(start)
  await notify(pingo, escrow.address, null, 1000n, toNano('0.1'))
  await pingo.wallet(payer.address).sendTransfer(payer.getSender(), { to: escrow.address, amount: 1000n })
  await escrow.sendDispute(payer.getSender())
  const divide = (value: bigint) => escrow.sendVerdict(via, verdict(1500n), value)
  const transactions = await assertPrice(chain, escrow.address, divide, TWICE)
  assertEvenly(messagesBetween(transactions, escrow.address, wallet))
  assert.deepEqual([await has(payee), await has(payer)], [1500n, rest - 1000n + 500n])
})

test('who asks for a payment pays for it: the escrow keeps what it has, to the nano', async () => {
  const { pingo, payer, payee, mallory, escrow, sign, verdict } = await escrowWorld()
  const { chain } = pingo.place
  const via = mallory.getSender()
  const keeps = (send: Parameters<typeof assertRent>[2]) => assertRent(chain, escrow.address, send, 0n)
  await keeps((value) => escrow.sendRelease(via, sign(1n), value))
  await keeps((value) => escrow.sendRefund(payee.getSender(), value))
  await escrow.sendDispute(payer.getSender())
  for (const total of [0n, 600n, 1000n]) await keeps((value) => escrow.sendVerdict(via, verdict(total), value))
})

test('a payment that can’t be sent is undone, and its GRAM goes back', async () => {
  const { pingo, payer, payee, mallory, escrow, sign, verdict } = await escrowWorld()
  const undone = (send: Parameters<typeof assertUndone>[3], from = mallory.address) =>
    assertUndone(pingo.place.chain, escrow.address, from, send)
  await undone((via) => escrow.sendRelease(via, sign(300n)))
  await undone((via) => escrow.sendRefund(via), payee.address)
  await escrow.sendDispute(payer.getSender())
  for (const total of [600n, 1000n]) await undone((via) => escrow.sendVerdict(via, verdict(total)))
})

test('a funding and a dispute give back what they leave, keep the rent, and work without anything to give back', async () => {
  const { pingo, payer, mallory, escrow, wallet } = await escrowWorld()
  const { chain } = pingo.place
  const fund = (value: bigint) => notify(pingo, escrow.address, mallory.address, 5n, value)
  const dispute = (value: bigint) => escrow.sendDispute(payer.getSender(), value)
  await assertRent(chain, escrow.address, fund, RENT)
  assertExcesses((await fund(toNano('0.1'))).transactions, escrow.address, mallory.address)
  const funded = await dataWithoutExcesses(chain, escrow.address, wallet, () => fund(toNano('0.1')))
  assert.equal(decode(schema.JobStorage, funded).funded, 1010n)
  const disputed = await dataWithoutExcesses(chain, escrow.address, payer.address, (via) => escrow.sendDispute(via))
  assert.equal(decode(schema.JobStorage, disputed).disputedAt, TEST_EPOCH)
  await assertRent(chain, escrow.address, dispute, RENT)
  assertExcesses((await dispute(toNano('0.1'))).transactions, escrow.address, payer.address)
})
