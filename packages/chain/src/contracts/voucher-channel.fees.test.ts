import assert from 'node:assert/strict'
import test from 'node:test'
import { toNano } from '@ton/core'
import * as schema from '../schema/index.ts'
import { decode } from '../schema/index.ts'
import { assertExcesses, assertPrice, assertRent, assertUndone, dataWithoutExcesses, gramOf } from '../testing/fees.ts'
import { notify } from '../testing/pay.ts'
import { channelWorld, DAY } from '../testing/pay-worlds.ts'
import { messagesBetween, TEST_EPOCH } from '../testing/world.ts'

const RENT = toNano('0.03')
const PAYMENT = { messages: 3n, leaves: toNano('0.02') }

test('a claim and a settlement are refused for a nano less than they cost, and pay for all that follows with it', async () => {
  const { pingo, payer, payee, mallory, channel, sign } = await channelWorld()
  const { chain } = pingo.place
  const kept = await gramOf(chain, channel.address)
  const claim = (value: bigint) => channel.sendClaim(mallory.getSender(), sign(999n), value)
  const transactions = await assertPrice(chain, channel.address, claim, { ...PAYMENT, gas: 21_300n })
  const theirs = pingo.wallet(payee.address).address
  assert.equal(
    messagesBetween(transactions, theirs, payee.address).length,
    0,
    'the payee gets no word that it must pay for',
  )
  assert.equal(await pingo.balance(payee.address), 999n)
  await channel.sendClose(payee.getSender())
  const settle = (value: bigint) => channel.sendSettle(mallory.getSender(), value)
  await assertPrice(chain, channel.address, settle, { ...PAYMENT, gas: 21_700n })
  assert.equal(await pingo.balance(payer.address), 10n ** 12n - 999n, 'the last nano-PINGO too')
  assert.equal(await gramOf(chain, channel.address), kept, 'who asks pays, to the nano')
})

test('a nano-PINGO is claimed too', async () => {
  const { pingo, payee, channel, sign } = await channelWorld()
  await channel.sendClaim(payee.getSender(), sign(1n))
  assert.equal(await pingo.balance(payee.address), 1n)
})

test('a payment that can’t be sent is undone, and its GRAM goes back', async () => {
  const { pingo, payee, mallory, channel, sign } = await channelWorld()
  const { chain } = pingo.place
  const [to, from] = [channel.address, mallory.address]
  await assertUndone(chain, to, from, (via) => channel.sendClaim(via, sign(300n)))
  await channel.sendClose(payee.getSender())
  await assertUndone(chain, to, from, (via) => channel.sendSettle(via))
})

test('a funding and a close give back what they leave, keep the rent, and work without anything to give back', async () => {
  const { pingo, payer, mallory, channel, wallet } = await channelWorld()
  const { chain } = pingo.place
  const fund = (value: bigint) => notify(pingo, channel.address, mallory.address, 5n, value)
  const close = (value: bigint) => channel.sendClose(payer.getSender(), value)
  await assertRent(chain, channel.address, fund, RENT)
  assertExcesses((await fund(toNano('0.1'))).transactions, channel.address, mallory.address)
  const funded = await dataWithoutExcesses(chain, channel.address, wallet, () => fund(toNano('0.1')))
  assert.equal(decode(schema.ChannelStorage, funded).funded, 1010n)
  await assertRent(chain, channel.address, close, RENT)
  assertExcesses((await close(toNano('0.1'))).transactions, channel.address, payer.address)
  const closed = await dataWithoutExcesses(chain, channel.address, payer.address, (via) => channel.sendClose(via))
  assert.equal(decode(schema.ChannelStorage, closed).endsAt, TEST_EPOCH + DAY)
})
