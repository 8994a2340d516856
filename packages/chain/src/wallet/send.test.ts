import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Address, beginCell, toNano } from '@ton/core'
import { JettonMinter, JettonWallet, jettonTransfer, walletAddress } from '../contracts/jetton.ts'
import { LocalChain, localEndpoint } from '../endpoint/emulator/index.ts'
import { open } from '../endpoint/open.ts'
import { signerOf } from '../keys/ed25519.ts'
import { encode, TransferNotification } from '../schema/index.ts'
import { TEST_EPOCH } from '../testing/world.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { estimateTransfer } from './estimate.ts'
import { walletHistory } from './history.ts'
import { type ChainWallet, walletOn } from './send.ts'
import { commentBody, type Transfer } from './w5.ts'

const SUPPLY = 10n ** 18n

/** A chain with two wallets that have 10 GRAM each. */
async function setting(t: TestContext) {
  const time = { now: TEST_EPOCH * 1000 }
  const chain = await LocalChain.open({ clock: () => time.now })
  t.after(() => chain.close())
  const endpoint = localEndpoint(chain)
  const [wallet, bob] = await Promise.all(
    [9, 66].map(async (byte) => {
      const made = walletOn(endpoint, signerOf(Buffer.alloc(32, byte)))
      await endpoint.waitFor(await chain.fund(made.address, toNano('10')))
      return made
    }),
  )
  if (!wallet || !bob) throw new Error('unreachable')
  const send = async (from: ChainWallet, transfer: Transfer) => from.submit(await from.prepare([transfer]))
  const balance = async (of: Address) => (await endpoint.account(of)).balance
  return { endpoint, bob, wallet, send, balance, time }
}

test('what is sent arrives; fee and balance add up to the last billionth, as estimated before', async (t) => {
  const { endpoint, bob, wallet, balance, time } = await setting(t)
  // also when the wallet owes the rent of 400 days
  for (const [count, days] of [
    [1, 0],
    [1, 0],
    [3, 400],
  ] as const) {
    time.now += days * 86_400_000
    const transfers = Array.from({ length: count }, (_, i) => ({
      to: bob.address,
      value: toNano('1') + BigInt(i),
      bounce: false,
    }))
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

test('what is sent so that it bounces comes back from where there is nobody, and that is told', async (t) => {
  const { bob, wallet, send, balance } = await setting(t)
  const { failed, fee } = await send(wallet, { to: bob.address, value: toNano('1'), bounce: true })
  assert.deepEqual(
    failed.map(({ account, word }) => [account, word]),
    [[bob.address.hash.toString('hex'), 'there is no contract']],
  )
  assert.ok((await balance(wallet.address)) > toNano('10') - fee - 2_000_000n)
})

test('more than there is: told before it is sent, and after it when only the fee was missing', async (t) => {
  const { endpoint, bob, wallet, balance } = await setting(t)
  await assert.rejects(wallet.prepare([{ to: bob.address, value: toNano('10') }]), { code: 'BALANCE_TOO_LOW' })
  const all = (await balance(wallet.address)) - 1n
  const message = await wallet.prepare([{ to: bob.address, value: all }])
  assert.equal((await estimateTransfer(endpoint, wallet.address, message)).messages, 0)
  await assert.rejects(wallet.submit(message), { code: 'TRANSFER_NOT_SENT' })
  assert.ok((await balance(wallet.address)) > toNano('9.9'))
  await assert.rejects(wallet.submit(message), { code: 'CHAIN_REFUSED' })
  await assert.rejects(estimateTransfer(endpoint, wallet.address, message), { code: 'CHAIN_REFUSED' })
})

test('as the sender of wrappers: many calls at once, one after another; a refusal by a contract is told in words', async (t) => {
  const { endpoint, wallet, bob } = await setting(t)
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

test('history: who, how much, in which asset; a message that only looks like PINGO is not taken for it', async (t) => {
  const { endpoint, wallet, bob, send } = await setting(t)
  const minter = JettonMinter.fromConfig({
    kind: 'pingo',
    maxSupply: SUPPLY,
    admin: bob.address,
    content: encodeMetadata({ name: 'PINGO', symbol: 'PINGO', description: '', decimals: 9 }),
  })
  await open(endpoint, minter).sendGenesis(bob, new Map([[wallet.address, SUPPLY]]))
  const own = walletAddress('pingo', minter.address, wallet.address)
  const body = jettonTransfer({ to: bob.address, amount: 5n, respondTo: wallet.address })
  await send(wallet, { to: own, value: toNano('0.05'), body })
  await send(wallet, { to: bob.address, value: toNano('2'), body: commentBody('for the cake') })
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
  await send(bob, { to: wallet.address, value: 1n, body: forged })
  const [newest] = await walletHistory(endpoint, wallet.address, { limit: 1, minter: minter.address })
  assert.deepEqual(shown(newest?.movements ?? []), [['in', 'GRAM', 1n, undefined]])
})
