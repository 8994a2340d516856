import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, beginCell, type Cell, type Message, toNano } from '@ton/core'
import { forwardFee, pricesOf } from '../endpoint/emulator/config.ts'
import { EXIT, TransferNotification } from '../schema/index.ts'
import {
  assertBounces,
  assertPrice,
  assertRent,
  assertUndone,
  dataWithoutExcesses,
  gramOf,
  priceOf,
} from '../testing/fees.ts'
import { FEE_GRAM, FEE_PINGO, factoryWorld, launchesOf, metadata, rawLaunch } from '../testing/meme.ts'
import type { PingoWorld } from '../testing/pingo.ts'
import { exitOf, messagesBetween, sizeOf } from '../testing/world.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { holderTable } from './jetton.ts'
import type { MemeLaunch } from './meme-factory.ts'

/** What a launch must bring, and `besides` it. */
function priceOfLaunch({ place }: PingoWorld, { holders, metadata }: MemeLaunch, besides: bigint) {
  const cells = BigInt(sizeOf(encodeMetadata(metadata)).cells)
  const wallets = BigInt(holders.size) + 1n
  return {
    messages: 4n + wallets,
    gas: 40_000n + BigInt(holders.size) * 9_000n + cells * 160n,
    leaves:
      besides +
      forwardFee(pricesOf(place.chain.config), 16_000n + cells * 1023n, 50n + cells) +
      // minter, vesting contract and wallets
      toNano('0.15') +
      wallets * toNano('0.05'),
  }
}

const crowd = (count: number) =>
  new Map(
    Array.from(
      { length: count },
      (_, i) => [new Address(0, Buffer.alloc(32, i + 1)), i === 0 ? 900_004n - BigInt(count) : 1n] as const,
    ),
  )

test('a launch is refused for a nano less than its price, and pays for all that follows with it', async () => {
  const { pingo, creator, factory, words } = await factoryWorld()
  const { chain } = pingo.place
  for (const each of [
    words,
    { ...words, metadata: { ...metadata, description: 'x'.repeat(10_000) } },
    { ...words, holders: crowd(32) },
  ]) {
    const body = rawLaunch(each)
    const send = (value: bigint) => creator.send({ to: factory.address, value, body })
    const kept = await gramOf(chain, factory.address)
    const transactions = await assertPrice(chain, factory.address, send, priceOfLaunch(pingo, each, FEE_GRAM))
    assert.equal(launchesOf(transactions, factory.address).length, 1)
    assert.equal(await gramOf(chain, factory.address), kept, 'who launches pays, to the nano')
  }
})

test('a launch in PINGO begins at its price; for a nano less the fee comes back, without a word to whom it was from', async () => {
  const { pingo, creator, treasury, factory, words } = await factoryWorld()
  const { chain } = pingo.place
  const body = rawLaunch(words)
  const send = (forwardAmount: bigint) =>
    pingo.wallet(creator.address).sendTransfer(creator.getSender(), {
      to: factory.address,
      amount: FEE_PINGO,
      payload: body,
      forwardAmount,
      value: forwardAmount + toNano('0.2'),
    })
  const least = await priceOf(chain, factory.address, send, priceOfLaunch(pingo, words, toNano('0.05')))
  const refused = (await send(least - 1n)).transactions
  assert.equal(launchesOf(refused, factory.address).length, 0)
  assert.equal(await pingo.balance(creator.address), 10_000n)
  const mine = pingo.wallet(creator.address).address
  const said = messagesBetween(refused, mine, creator.address).filter(({ body }) => isNotice(body))
  assert.equal(said.length, 0)
  const { transactions } = await send(least)
  assert.equal(launchesOf(transactions, factory.address).length, 1)
  assert.equal(await pingo.balance(treasury.address), FEE_PINGO)
  const theirs = pingo.wallet(treasury.address).address
  assert.equal(messagesBetween(transactions, theirs, treasury.address).length, 0, 'the fee comes without a word')
  const [order] = messagesBetween(transactions, factory.address, pingo.wallet(factory.address).address)
  assert.ok(order?.info.type === 'internal' && order.info.bounce && order.info.value.coins === toNano('0.05'))
})

test('each part of a launch gets its GRAM whole; only genesis may come back', async () => {
  const { creator, treasury, factory, words } = await factoryWorld()
  const { transactions } = await factory.sendLaunch(creator.getSender(), words, FEE_GRAM)
  const [launched] = launchesOf(transactions, factory.address)
  assert.ok(launched?.vesting)
  const sent = (to: Address) => {
    const [message] = messagesBetween(transactions, factory.address, to)
    return message?.info.type === 'internal' ? { value: message.info.value.coins, bounce: message.info.bounce } : {}
  }
  assert.deepEqual(sent(treasury.address), { value: FEE_GRAM, bounce: false })
  assert.deepEqual(sent(launched.vesting), { value: toNano('0.05'), bounce: false })
  assert.equal(sent(launched.minter).bounce, true)
})

test('a launch keeps the factory’s rent; one that can’t be sent is undone', async () => {
  const { pingo, creator, factory, words } = await factoryWorld()
  const { chain } = pingo.place
  const launch = () => factory.sendLaunch(creator.getSender(), words, FEE_GRAM)
  await assertRent(chain, factory.address, launch, toNano('0.05'))
  // its price counts fifty cells for codes and table; with so many holders there are more
  const cells = BigInt(sizeOf(encodeMetadata(words.metadata)).cells)
  const value = (50n + cells) * toNano('1000') + toNano('10')
  const crowded = rawLaunch(words, { creatorPercent: 0, holders: holderTable(crowd(32)), supply: 900_003n })
  await assertUndone(chain, factory.address, creator.address, async (via) => {
    await via.send({ to: factory.address, value, body: crowded })
    return factory.sendDeploy(via)
  })
})

test('a factory whose treasury can’t be paid launches nothing, and gives the GRAM back', async () => {
  const nowhere = new Address(5, Buffer.alloc(32, 1))
  const { pingo, creator, factory, words } = await factoryWorld({ treasury: nowhere })
  await assertBounces(pingo.place.chain, factory.address, () =>
    factory.sendLaunch(creator.getSender(), words, FEE_GRAM),
  )
})

test('nobody in the masterchain launches: a share could not be vested there', async () => {
  const { pingo, factory, words } = await factoryWorld()
  const via = pingo.place.chain.sender(new Address(-1, Buffer.alloc(32, 9)))
  const { transactions } = await factory.sendLaunch(via, words, FEE_GRAM)
  assert.equal(exitOf(transactions, factory.address), EXIT.WRONG_WORKCHAIN)
})

test('what comes back goes to the treasury whole; what is too little to send on stays', async () => {
  const { pingo, market, treasury, factory } = await factoryWorld()
  const { chain } = pingo.place
  const info = {
    type: 'internal' as const,
    ihrDisabled: true,
    bounce: false,
    bounced: true,
    src: market.address,
    dest: factory.address,
    value: { coins: toNano('0.1') },
    ihrFee: 0n,
    forwardFee: 0n,
    createdLt: 0n,
    createdAt: 0,
  }
  const back: Message = { info, body: beginCell().storeUint(0xffffffff, 32).endCell() }
  await dataWithoutExcesses(chain, factory.address, market.address, () => chain.sendMessage(back))
  const kept = await gramOf(chain, factory.address)
  const { transactions } = await chain.sendMessage(back)
  const [passed] = messagesBetween(transactions, factory.address, treasury.address)
  assert.ok(passed?.info.type === 'internal' && !passed.info.bounce && passed.info.value.coins > toNano('0.09'))
  assert.equal(await gramOf(chain, factory.address), kept)
})

const isNotice = (body: Cell) => body.beginParse().loadUint(32) === TransferNotification.op
