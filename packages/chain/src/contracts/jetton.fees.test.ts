import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, beginCell, type Cell, type Transaction, toNano } from '@ton/core'
import * as schema from '../schema/index.ts'
import { decode, EXIT, encode, forwardPayload } from '../schema/index.ts'
import { jettonWorld, profileOf, SUPPLY } from '../testing/jetton.ts'
import { exitOf, gasOf, messagesBetween, sizeOf, transactionsOf } from '../testing/world.ts'
import { holderTable, JettonMinter, jettonTransfer, TRANSFER_VALUE } from './jetton.ts'

const payload = beginCell().storeBuffer(Buffer.alloc(100, 1)).endCell()

/** The smallest amount, to a microGRAM, with which `goes` says yes; it must say yes from there on. */
async function least(goes: (value: bigint) => Promise<boolean>): Promise<bigint> {
  let [no, yes] = [0n, toNano('1')]
  while (yes - no > 1000n) {
    const middle = (no + yes) / 2n
    if (await goes(middle)) yes = middle
    else no = middle
  }
  return yes
}

const sameOrLess = (name: string, measured: number, named: bigint | undefined) => {
  const constant = Number(named)
  assert.ok(measured <= constant, `${name}: ${measured} measured, ${constant} assumed`)
  assert.ok(constant <= measured * 1.08, `${name}: ${measured} measured, ${constant} assumed is too much`)
}

for (const kind of ['pingo', 'meme'] as const) {
  test(`${kind}: the gas and sizes that fees assume are what the contracts take, and little more`, async () => {
    const { place, alice, bob, minter, wallet } = await jettonWorld(kind)
    const constants = profileOf(kind)
    const [from, to] = [wallet(alice.address), wallet(bob.address)]
    let [sends, receives] = [0, 0]
    for (const forwardAmount of [0n, 1n]) {
      for (const each of [null, payload]) {
        const { transactions } = await from.sendTransfer(alice.getSender(), {
          to: bob.address,
          amount: 2n ** 60n,
          forwardAmount,
          payload: each,
        })
        sends = Math.max(sends, gasOf(transactions, from.address))
        receives = Math.max(receives, gasOf(transactions, to.address))
      }
    }
    sameOrLess('GAS_TRANSFER', sends, constants.GAS_TRANSFER)
    sameOrLess('GAS_RECEIVE', receives, constants.GAS_RECEIVE)
    const { transactions } = await to.sendBurn(bob.getSender(), 5n)
    sameOrLess('GAS_BURN', gasOf(transactions, to.address), constants.GAS_BURN)
    sameOrLess('GAS_BURN_NOTIFICATION', gasOf(transactions, minter.address), constants.GAS_BURN_NOTIFICATION)
    const used = (await place.chain.getContract(from.address)).account.account?.storageStats.used
    assert.ok(used)
    sameOrLess('WALLET_BITS', Number(used.bits), constants.WALLET_BITS)
    sameOrLess('WALLET_CELLS', Number(used.cells), constants.WALLET_CELLS)
    assert.ok(from.init && sizeOf(from.init.code).cells < Number(used.cells))
  })

  for (const forwardAmount of [0n, toNano('0.03')]) {
    test(`${kind}: with the least GRAM a transfer to a new owner, forwarding ${forwardAmount}, does all and leaves a year’s rent`, async (t) => {
      const { place, alice, bob, wallet, gram } = await jettonWorld(kind)
      const [from, to] = [wallet(alice.address), wallet(bob.address)]
      const start = place.chain.snapshot()
      const send = async (value: bigint) => {
        await place.chain.loadFrom(start)
        return from.sendTransfer(alice.getSender(), { to: bob.address, amount: 9n, value, forwardAmount })
      }
      const value = await least(async (each) => {
        const { transactions } = await send(each)
        const code = exitOf(transactions, from.address)
        // below what gas costs the code is the TVM's
        if (code !== 0 && each > toNano('0.006')) assert.equal(code, EXIT.NOT_ENOUGH_GAS)
        return code === 0
      })
      await place.chain.loadFrom(start)
      const before = await gram(from.address)
      const { transactions } = await send(value)
      assert.equal((await to.getWalletData()).balance, 9n)
      assert.equal(await gram(from.address), before, 'the sender’s wallet neither pays nor gains')
      const notices = messagesBetween(transactions, to.address, bob.address)
      assert.equal(notices.length, forwardAmount ? 1 : 0)
      if (notices[0]?.info.type === 'internal') assert.equal(notices[0].info.value.coins, forwardAmount)
      const rent = await gram(to.address)
      place.now += 365 * 24 * 3600
      const later = await bob.send({ to: to.address, value: toNano('0.05'), body: encode(schema.TopUp, {}) })
      const due = storageFeeOf(transactionsOf(later.transactions, to.address)[0])
      t.diagnostic(`least value ${value}, rent ${rent}, a year costs ${due}`)
      assert.ok(rent >= due && rent <= (due * 108n) / 100n, `a year costs ${due}, ${rent} are there`)
      const [left] = messagesBetween(transactions, to.address, alice.address)
      const over = left?.info.type === 'internal' ? left.info.value.coins : 0n
      assert.ok(over < toNano('0.0008'), `${over} too much was asked for`)
      assert.ok(value < TRANSFER_VALUE + forwardAmount, 'the wrapper gives enough')
    })
  }

  test(`${kind}: with the least GRAM a burn is told to the minter`, async () => {
    const { place, alice, minter, wallet } = await jettonWorld(kind)
    const mine = wallet(alice.address)
    const start = place.chain.snapshot()
    const send = async (value: bigint) => {
      await place.chain.loadFrom(start)
      return mine.sendBurn(alice.getSender(), 9n, value)
    }
    const value = await least(async (each) => exitOf((await send(each)).transactions, mine.address) === 0)
    const { transactions } = await send(value)
    assert.equal((await minter.getJettonData()).supply, SUPPLY - 9n)
    const [left] = messagesBetween(transactions, minter.address, alice.address)
    const over = left?.info.type === 'internal' ? left.info.value.coins : 0n
    assert.ok(over < toNano('0.001'), `${over} too much was asked for`)
  })

  test(`${kind}: genesis leaves the minter its rent and gives the rest back; a sum that is wrong, another sender, another holder's bounce`, async () => {
    const { place, deployer, alice, minter, wallet, gram, genesis } = await jettonWorld(kind)
    assert.equal(await gram(minter.address), toNano('0.05'))
    const [left] = messagesBetween(genesis.transactions, minter.address, deployer.address)
    assert.ok(left?.info.type === 'internal' && left.info.value.coins > toNano('0.1'))
    assert.equal(left.info.bounce, false)
    assert.equal(decode(schema.Excesses, left.body).queryId, 0n)
    const [credit] = messagesBetween(genesis.transactions, minter.address, wallet(alice.address).address)
    assert.ok(credit?.info.type === 'internal' && credit.info.value.coins === toNano('0.05') && credit.info.bounce)
    const said = decode(schema.InternalTransfer, credit.body)
    assert.deepEqual([said.amount, said.from, said.responseAddress, said.forwardAmount], [SUPPLY, null, null, 0n])
    assert.equal(said.forwardPayload.asCell().bits.toString(), '4_', 'no payload, in place')

    // a credit that comes back makes the supply smaller: what nobody has does not count
    await place.chain.sendMessage(
      bounced(wallet(alice.address).address, minter.address, schema.InternalTransfer.op ?? 0, 7n),
    )
    assert.equal((await minter.getJettonData()).supply, SUPPLY - 7n)

    const other = place.chain.openContract(
      JettonMinter.fromConfig({ kind, maxSupply: 10n, admin: deployer.address, content: beginCell().endCell() }),
    )
    const thief = await other.sendGenesis(alice.getSender(), new Map([[alice.address, 10n]]))
    assert.equal(exitOf(thief.transactions, other.address), EXIT.NOT_ADMIN)
    for (const amount of [9n, 11n]) {
      const wrong = await other.sendGenesis(deployer.getSender(), new Map([[alice.address, amount]]))
      assert.equal(exitOf(wrong.transactions, other.address), EXIT.SUPPLY_MISMATCH)
    }
    const before = await other.getJettonData()
    assert.equal(before.mintable, true)
    assert.ok(before.admin?.equals(deployer.address))
    // with too little GRAM for its credits genesis undoes itself, and can be sent again
    const poor = await deployer.send({
      to: other.address,
      value: toNano('0.09'),
      body: genesisBody(deployer.address, toNano('0.05'), [
        [alice.address, 4n],
        [deployer.address, 6n],
      ]),
    })
    assert.notEqual(exitOf(poor.transactions, other.address), 0)
    assert.equal((await other.getJettonData()).supply, 0n)
    await other.sendGenesis(deployer.getSender(), new Map([[alice.address, 10n]]))
    assert.equal((await other.getJettonData()).supply, 10n)
  })

  test(`${kind}: what is left of a burn and of a question goes back whole, and costs the minter nothing`, async () => {
    const { alice, bob, minter, wallet, gram } = await jettonWorld(kind)
    const before = await gram(minter.address)
    const burnt = await wallet(alice.address).sendBurn(alice.getSender(), SUPPLY)
    assert.equal((await minter.getJettonData()).supply, 0n, 'all may be burnt')
    const [left] = messagesBetween(burnt.transactions, minter.address, alice.address)
    assert.ok(left?.info.type === 'internal' && left.info.value.coins > toNano('0.04') && !left.info.bounce)
    const body = encode(schema.ProvideWalletAddress, { queryId: 5n, owner: alice.address, includeAddress: true })
    const asked = await bob.send({ to: minter.address, value: toNano('0.05'), body })
    const [answer] = messagesBetween(asked.transactions, minter.address, bob.address)
    assert.ok(answer?.info.type === 'internal' && answer.info.value.coins > toNano('0.04') && !answer.info.bounce)
    const said = decode(schema.TakeWalletAddress, answer.body)
    assert.ok(said.wallet?.equals(wallet(alice.address).address))
    assert.ok(said.owner?.beginParse().loadAddress().equals(alice.address))
    assert.equal(await gram(minter.address), before)
    // nobody to respond to: what is left stays for the rent
    const quiet = await alice.send({
      to: wallet(alice.address).address,
      value: toNano('0.05'),
      body: encode(schema.JettonBurn, { queryId: 0n, amount: 0n, responseDestination: null, customPayload: null }),
    })
    assert.equal(messagesBetween(quiet.transactions, minter.address, alice.address).length, 0)
    assert.ok((await gram(minter.address)) > before)
  })

  test(`${kind}: a wallet that is out of rent is filled up by the next transfer, its debts first`, async () => {
    const { place, alice, bob, wallet, gram } = await jettonWorld(kind)
    const [from, to] = [wallet(alice.address), wallet(bob.address)]
    await from.sendTransfer(alice.getSender(), { to: bob.address, amount: 9n })
    const kept = await gram(to.address)
    place.now += 5 * 365 * 24 * 3600
    const { transactions } = await from.sendTransfer(alice.getSender(), {
      to: bob.address,
      amount: 9n,
      value: toNano('0.2'),
    })
    assert.equal((await to.getWalletData()).balance, 18n)
    assert.ok((await gram(to.address)) > (39n * kept) / 10n, 'what it owes for the four years since is kept for that')
    const [left] = messagesBetween(transactions, to.address, alice.address)
    assert.ok(left?.info.type === 'internal' && left.info.value.coins > toNano('0.1') && !left.info.bounce)
    // what a wallet has beyond its rent is its owner's: a transfer does not take it along
    await bob.send({ to: to.address, value: toNano('3'), body: encode(schema.TopUp, {}) })
    const rich = await gram(to.address)
    await from.sendTransfer(alice.getSender(), { to: bob.address, amount: 9n })
    assert.equal(await gram(to.address), rich)
  })

  test(`${kind}: every unit can be sent; a notification tells who, how much and what, in place or by reference`, async () => {
    const { alice, bob, wallet } = await jettonWorld(kind)
    const [from, to] = [wallet(alice.address), wallet(bob.address)]
    const inPlace = beginCell().storeBit(0).storeBuffer(Buffer.alloc(34, 3)).endCell()
    for (const [each, amount] of [
      [forwardPayload(null), SUPPLY - 10n],
      [forwardPayload(payload), 4n],
      [inPlace.beginParse(), 6n],
    ] as const) {
      const body = encode(schema.JettonTransfer, {
        queryId: 12n,
        amount,
        destination: bob.address,
        responseDestination: alice.address,
        customPayload: null,
        forwardAmount: 2n,
        forwardPayload: each,
      })
      const { transactions } = await alice.send({ to: from.address, value: toNano('0.1'), body })
      const [notice] = messagesBetween(transactions, to.address, bob.address)
      const said = decode(schema.TransferNotification, notice?.body ?? beginCell().endCell())
      assert.deepEqual([said.queryId, said.amount], [12n, amount])
      assert.ok(said.sender?.equals(alice.address))
      assert.ok(said.forwardPayload.asCell().equals(each.asCell()))
      assert.ok(notice?.info.type === 'internal' && !notice.info.bounce)
    }
    assert.equal((await from.getWalletData()).balance, 0n)
    const data = await to.getWalletData()
    assert.equal(data.balance, SUPPLY)
    const junk = beginCell().storeBit(1).storeBit(1).storeRef(payload).endCell()
    const body = encode(schema.JettonTransfer, {
      queryId: 0n,
      amount: 1n,
      destination: alice.address,
      responseDestination: null,
      customPayload: null,
      forwardAmount: 0n,
      forwardPayload: junk.beginParse(),
    })
    const refused = await bob.send({ to: to.address, value: toNano('0.1'), body })
    assert.equal(exitOf(refused.transactions, to.address), 9, 'a payload by reference is all there is')
    const up = await bob.send({ to: to.address, value: toNano('0.1'), body: encode(schema.TopUp, {}) })
    assert.equal(exitOf(up.transactions, to.address), 0)
    const away = new Address(-1, Buffer.alloc(32))
    const far = await bob.send({ to: to.address, value: toNano('0.1'), body: jettonTransfer({ to: away, amount: 1n }) })
    assert.equal(exitOf(far.transactions, to.address), EXIT.WRONG_WORKCHAIN)
  })
}

function genesisBody(respondTo: Address, valueEach: bigint, holders: readonly (readonly [Address, bigint])[]): Cell {
  return encode(schema.Genesis, { queryId: 0n, respondTo, valueEach, holders: holderTable(new Map(holders)) })
}

function bounced(src: Address, dest: Address, op: number, amount: bigint) {
  return {
    info: {
      type: 'internal' as const,
      ihrDisabled: true,
      bounce: false,
      bounced: true,
      src,
      dest,
      value: { coins: toNano('0.05') },
      ihrFee: 0n,
      forwardFee: 0n,
      createdLt: 0n,
      createdAt: 0,
    },
    body: beginCell().storeUint(0xffffffff, 32).storeUint(op, 32).storeUint(0, 64).storeCoins(amount).endCell(),
  }
}

/** What an account owes for its storage up to a transaction, whether it could pay or not. */
function storageFeeOf(transaction: Transaction | undefined): bigint {
  const phase = transaction?.description.type === 'generic' ? transaction.description.storagePhase : undefined
  return (phase?.storageFeesCollected ?? 0n) + (phase?.storageFeesDue ?? 0n)
}
