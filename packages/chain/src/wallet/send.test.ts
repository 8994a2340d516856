import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, beginCell, toNano } from '@ton/core'
import { JettonMinter, JettonWallet, jettonTransfer, walletAddress } from '../contracts/jetton.ts'
import { open } from '../endpoint/open.ts'
import { signerOf } from '../keys/ed25519.ts'
import { encode, TransferNotification } from '../schema/index.ts'
import { worldEndpoint } from '../testing/endpoint.ts'
import { world } from '../testing/world.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { estimateTransfer } from './estimate.ts'
import { walletHistory } from './history.ts'
import { walletOn } from './send.ts'
import { commentBody } from './w5.ts'

const SUPPLY = 10n ** 18n

async function setting() {
  const { chain, person } = await world()
  const endpoint = worldEndpoint(chain)
  const [rich, bob] = [await person('rich'), await person('bob')]
  const wallet = walletOn(endpoint, signerOf(Buffer.alloc(32, 9)))
  await rich.send({ to: wallet.address, value: toNano('10'), bounce: false })
  const balance = async (of: Address) => (await endpoint.account(of)).balance
  return { chain, endpoint, rich, bob, wallet, balance }
}

test('what is sent arrives; fee and balance add up to the last billionth, as estimated before', async (t) => {
  const { endpoint, bob, wallet, balance } = await setting()
  for (const count of [1, 1, 3]) {
    const transfers = Array.from({ length: count }, (_, i) => ({ to: bob.address, value: toNano('1') + BigInt(i) }))
    const message = await wallet.prepare(transfers)
    const estimate = await estimateTransfer(endpoint, wallet.address, message)
    const before = await balance(wallet.address)
    const { fee, failed, trace } = await wallet.submit(message)
    const gone = transfers.reduce((sum, { value }) => sum + value, 0n)
    assert.equal(before - (await balance(wallet.address)), gone + fee)
    assert.equal(estimate.fee, fee)
    assert.equal(estimate.messages, count)
    assert.equal(trace.transactions.length, count + 1)
    assert.deepEqual(failed, [])
    t.diagnostic(`${count} messages: fee ${fee}`)
  }
})

test('more than there is: told before it is sent, and after it when only the fee was missing', async () => {
  const { endpoint, bob, wallet, balance } = await setting()
  await assert.rejects(wallet.prepare([{ to: bob.address, value: toNano('10') }]), { code: 'BALANCE_TOO_LOW' })
  const all = (await balance(wallet.address)) - 1n
  const message = await wallet.prepare([{ to: bob.address, value: all }])
  assert.equal((await estimateTransfer(endpoint, wallet.address, message)).messages, 0)
  await assert.rejects(wallet.submit(message), { code: 'TRANSFER_NOT_SENT' })
  assert.ok((await balance(wallet.address)) > toNano('9.9'))
  await assert.rejects(wallet.submit(message), { code: 'CHAIN_REFUSED' })
  await assert.rejects(estimateTransfer(endpoint, wallet.address, message), { code: 'CHAIN_REFUSED' })
})

test('as the sender of wrappers: many calls at once, one after another; a refusal by a contract is told in words', async () => {
  const { endpoint, wallet, bob } = await setting()
  const minter = JettonMinter.fromConfig({
    kind: 'pingo',
    maxSupply: SUPPLY,
    admin: wallet.address,
    content: encodeMetadata({ name: 'PINGO', symbol: 'PINGO', description: '', decimals: 9 }),
  })
  await open(endpoint, minter).sendGenesis(wallet, new Map([[wallet.address, SUPPLY]]))
  assert.equal((await open(endpoint, minter).getJettonData()).supply, SUPPLY)
  const own = open(endpoint, JettonWallet.of('pingo', minter.address, wallet.address))
  await Promise.all([1n, 2n, 3n].map((amount) => own.sendTransfer(wallet, { to: bob.address, amount })))
  assert.equal((await own.getWalletData()).balance, SUPPLY - 6n)
  await assert.rejects(
    own.sendTransfer(wallet, { to: bob.address, amount: SUPPLY }),
    (error: Error & { code: string }) => {
      assert.equal(error.code, 'TRANSFER_FAILED')
      assert.match(error.message, /the balance is smaller than the amount \(exit code 47\)/)
      return true
    },
  )
  // the turn of the next is not lost with the failure of one
  await own.sendTransfer(wallet, { to: bob.address, amount: 4n })
  assert.equal((await own.getWalletData()).balance, SUPPLY - 10n)
})

test('history: who, how much, in which asset; a message that only looks like PINGO is not taken for it', async () => {
  const { endpoint, wallet, rich, bob, chain } = await setting()
  const minter = JettonMinter.fromConfig({
    kind: 'pingo',
    maxSupply: SUPPLY,
    admin: rich.address,
    content: encodeMetadata({ name: 'PINGO', symbol: 'PINGO', description: '', decimals: 9 }),
  })
  await chain.openContract(minter).sendGenesis(rich.getSender(), new Map([[wallet.address, SUPPLY]]))
  const own = walletAddress('pingo', minter.address, wallet.address)
  const body = jettonTransfer({ to: bob.address, amount: 5n, respondTo: wallet.address })
  await wallet.submit(await wallet.prepare([{ to: own, value: toNano('0.05'), body }]))
  await wallet.submit(
    await wallet.prepare([{ to: bob.address, value: toNano('2'), body: commentBody('for the cake') }]),
  )
  const history = await walletHistory(endpoint, wallet.address, { limit: 10, minter: minter.address })
  const [cake, excess, sent] = history
  const shown = (movements: (typeof history)[number]['movements']) =>
    movements.map(({ direction, asset, amount, comment }) => [direction, asset, amount, comment])
  assert.deepEqual(shown(cake?.movements ?? []), [['out', 'GRAM', toNano('2'), 'for the cake']])
  assert.ok(cake?.ok && cake.fee > 0n && cake.movements[0]?.peer?.equals(bob.address))
  assert.equal(excess?.movements[0]?.direction, 'in')
  assert.ok(excess?.movements[0]?.peer?.equals(walletAddress('pingo', minter.address, bob.address)))
  assert.deepEqual(shown(sent?.movements ?? []), [
    ['out', 'GRAM', toNano('0.05'), undefined],
    ['out', 'PINGO', 5n, undefined],
  ])
  assert.ok(sent?.movements[1]?.peer?.equals(bob.address))
  const older = await walletHistory(endpoint, wallet.address, { limit: 1, before: { lt: cake.lt, hash: cake.hash } })
  assert.equal(older[0]?.lt, excess?.lt)

  const forged = encode(TransferNotification, {
    queryId: 0n,
    amount: SUPPLY,
    sender: bob.address,
    forwardPayload: beginCell().storeBit(0).endCell().beginParse(),
  })
  const mallory = walletOn(endpoint, signerOf(Buffer.alloc(32, 66)))
  await rich.send({ to: mallory.address, value: toNano('1'), bounce: false })
  await mallory.submit(await mallory.prepare([{ to: wallet.address, value: 1n, body: forged }]))
  const [newest] = await walletHistory(endpoint, wallet.address, { limit: 1, minter: minter.address })
  assert.deepEqual(shown(newest?.movements ?? []), [['in', 'GRAM', 1n, undefined]])
})
