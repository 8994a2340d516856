import assert from 'node:assert/strict'
import test from 'node:test'
import { beginCell, type Cell, toNano } from '@ton/core'
import { createEmptyShardAccount } from '@ton/sandbox'
import { forwardFee, pricesOf } from '../endpoint/emulator/config.ts'
import * as schema from '../schema/index.ts'
import { decode, EXIT, encode, forwardPayload } from '../schema/index.ts'
import {
  assertPrice,
  assertRent,
  assertUndone,
  dataWithoutExcesses,
  deliver,
  gramOf,
  storageFee,
} from '../testing/fees.ts'
import { jettonWorld, profileOf, SUPPLY } from '../testing/jetton.ts'
import { exitOf, messagesBetween } from '../testing/world.ts'
import { holderTable, JettonMinter } from './jetton.ts'

const YEAR = 365 * 24 * 3600
const note = beginCell().storeBuffer(Buffer.alloc(100, 1)).endCell()

for (const kind of ['pingo', 'meme'] as const) {
  const named = profileOf(kind)
  const of = (name: string) => named[name] ?? 0n

  test(`${kind}: a transfer is refused for a nano less than its price, and leaves a year's rent on a new wallet, to the nano`, async () => {
    for (const forwardAmount of [0n, 1n, toNano('0.03')]) {
      const { place, alice, bob, wallet } = await jettonWorld(kind)
      const { chain } = place
      const [from, to] = [wallet(alice.address), wallet(bob.address)]
      const prices = pricesOf(chain.config)
      const rent = storageFee(chain, YEAR, of('WALLET_BITS'), of('WALLET_CELLS'))
      const price = {
        messages: forwardAmount === 0n ? 1n : 2n,
        gas: of('GAS_TRANSFER') + of('GAS_RECEIVE'),
        // its price must be left over
        leaves: forwardAmount + forwardFee(prices, of('WALLET_BITS'), of('WALLET_CELLS')) - prices.lump + rent + 1n,
      }
      const send = (value: bigint) =>
        from.sendTransfer(alice.getSender(), { to: bob.address, amount: 9n, value, forwardAmount })
      const start = chain.snapshot()
      const transactions = await assertPrice(chain, from.address, send, price)
      assert.equal((await to.getWalletData()).balance, 9n)
      assert.equal(messagesBetween(transactions, to.address, bob.address).length, forwardAmount === 0n ? 0 : 1)
      await chain.loadFrom(start)
      await send(toNano('0.2'))
      assert.equal(await gramOf(chain, to.address), rent)
    }
  })

  test(`${kind}: a burn is refused for a nano less than its price`, async () => {
    const { place, alice, minter, wallet } = await jettonWorld(kind)
    const prices = pricesOf(place.chain.config)
    const mine = wallet(alice.address)
    const price = {
      messages: 0n,
      gas: of('GAS_BURN') + of('GAS_BURN_NOTIFICATION'),
      leaves: forwardFee(prices, 754n, 1n) + 1n,
    }
    await assertPrice(place.chain, mine.address, (value) => mine.sendBurn(alice.getSender(), 9n, value), price)
    assert.equal((await minter.getJettonData()).supply, SUPPLY - 9n)
  })

  test(`${kind}: a burn that no minter takes comes back`, async () => {
    const { place, alice, minter, wallet } = await jettonWorld(kind)
    const mine = wallet(alice.address)
    await place.chain.setShardAccount(minter.address, createEmptyShardAccount(minter.address))
    await mine.sendBurn(alice.getSender(), 9n)
    assert.equal((await mine.getWalletData()).balance, SUPPLY)
  })

  test(`${kind}: what can't be sent is undone, and its GRAM goes back`, async () => {
    const { place, alice, bob, minter, wallet } = await jettonWorld(kind)
    const { chain } = place
    const mine = wallet(alice.address)
    // its price counts the cells of a new wallet, not those of the payload: whoever sent it has paid for them at the old price
    const long = Array.from({ length: 20 }).reduce<Cell>((tail) => beginCell().storeRef(tail).endCell(), note)
    await assertUndone(chain, mine.address, alice.address, (via) =>
      mine.sendTransfer(via, { to: bob.address, amount: 9n, payload: long, value: toNano('14000') }),
    )
    // a notification that can't be sent: the jettons go back to where they came from
    const credit = creditOf(7n, { forwardAmount: 1n, forwardPayload: forwardPayload(note) })
    await assertUndone(chain, mine.address, minter.address, () =>
      deliver(chain, minter.address, mine.address, toNano('1'), credit),
    )
    const question = encode(schema.ProvideWalletAddress, { queryId: 5n, owner: bob.address, includeAddress: true })
    await assertUndone(chain, minter.address, bob.address, () =>
      deliver(chain, bob.address, minter.address, toNano('1'), question),
    )
  })

  test(`${kind}: credits and burns are booked though nothing is left to give back`, async () => {
    const { place, alice, bob, minter, wallet } = await jettonWorld(kind)
    const { chain } = place
    const mine = wallet(alice.address)
    const credit = creditOf(7n, { responseAddress: bob.address })
    const send = (value: bigint) => deliver(chain, minter.address, mine.address, value, credit)
    const credited = await dataWithoutExcesses(chain, mine.address, minter.address, () => send(toNano('0.1')))
    assert.equal(decode(schema.JettonWalletStorage, credited).balance, SUPPLY + 7n)
    await assertRent(chain, mine.address, send, storageFee(chain, YEAR, of('WALLET_BITS'), of('WALLET_CELLS')))
    const burnt = encode(schema.BurnNotification, {
      queryId: 0n,
      amount: 7n,
      sender: alice.address,
      responseDestination: bob.address,
    })
    const data = await dataWithoutExcesses(chain, minter.address, mine.address, () =>
      deliver(chain, mine.address, minter.address, toNano('0.1'), burnt),
    )
    assert.equal(decode(schema.JettonMinterStorage, data).supply, SUPPLY - 7n)
  })

  test(`${kind}: genesis with the very least leaves the minter its rent and nothing to give back; with a nano less it bounces`, async () => {
    const { place, deployer, alice } = await jettonWorld(kind)
    const { chain } = place
    const other = chain.openContract(
      JettonMinter.fromConfig({ kind, maxSupply: 10n, admin: deployer.address, content: note }),
    )
    const up = encode(schema.TopUp, {})
    await deployer.send({ to: other.address, value: toNano('0.01'), init: other.init, body: up })
    const body = encode(schema.Genesis, {
      queryId: 0n,
      respondTo: deployer.address,
      valueEach: toNano('0.05'),
      holders: holderTable(new Map([[alice.address, 10n]])),
    })
    const start = chain.snapshot()
    const genesis = async (value: bigint) => {
      await chain.loadFrom(start)
      return (await deployer.send({ to: other.address, value, body })).transactions
    }
    let [poor, least] = [toNano('0.05'), toNano('0.3')]
    while (least - poor > 1n) {
      const middle = (poor + least) / 2n
      if (exitOf(await genesis(middle), other.address) === 0) least = middle
      else poor = middle
    }
    const bounced = await genesis(poor)
    assert.equal(messagesBetween(bounced, other.address, deployer.address).length, 1, 'the GRAM goes back')
    assert.equal((await other.getJettonData()).supply, 0n)
    const transactions = await genesis(least)
    assert.equal((await other.getJettonData()).supply, 10n)
    assert.equal(await gramOf(chain, other.address), toNano('0.05'))
    assert.equal(messagesBetween(transactions, other.address, deployer.address).length, 0)
    await chain.loadFrom(start)
    await assertUndone(chain, other.address, deployer.address, () =>
      deliver(chain, deployer.address, other.address, toNano('1'), body),
    )
    // without rent to keep for it, a credit that is too dear is undone too
    const dear = encode(schema.Genesis, {
      queryId: 0n,
      respondTo: deployer.address,
      valueEach: toNano('5'),
      holders: holderTable(new Map([[alice.address, 10n]])),
    })
    const { transactions: undone } = await deployer.send({ to: other.address, value: toNano('1'), body: dear })
    assert.notEqual(exitOf(undone, other.address), 0)
    assert.notEqual(exitOf(undone, other.address), EXIT.NOT_ADMIN)
    assert.equal(messagesBetween(undone, other.address, deployer.address).length, 1, 'the GRAM goes back')
  })
}

/** What the minter or another wallet sends to a wallet. */
function creditOf(amount: bigint, o: Partial<schema.Of<typeof schema.InternalTransfer>>) {
  return encode(schema.InternalTransfer, {
    queryId: 0n,
    amount,
    from: null,
    responseAddress: null,
    forwardAmount: 0n,
    forwardPayload: forwardPayload(null),
    ...o,
  })
}
