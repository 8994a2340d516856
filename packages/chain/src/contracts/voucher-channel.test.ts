import assert from 'node:assert/strict'
import test from 'node:test'
import { beginCell, Cell, contractAddress, toNano } from '@ton/core'
import { createShardAccount } from '@ton/sandbox'
import { compile } from '../compile/compile.ts'
import * as schema from '../schema/index.ts'
import { EXIT, encode, forwardPayload } from '../schema/index.ts'
import { breakWallet, fund, signerNamed } from '../testing/pay.ts'
import { channelWorld, DAY, payerKey as key, NETWORK } from '../testing/pay-worlds.ts'
import { exitOf, gasOf, messagesBetween, sizeOf, TEST_EPOCH, transactionsOf } from '../testing/world.ts'
import { signVoucher, voucherForm } from '../voucher/voucher.ts'
import { VoucherChannel } from './voucher-channel.ts'

const forger = signerNamed('f')

test('a claim pays the payee what the voucher says, less what was paid; the asker gets its GRAM back', async (t) => {
  const { pingo, payee, mallory, channel, funding, sign, wallet, gram } = await channelWorld()
  assert.equal(exitOf(funding.transactions, channel.address), 0)
  const first = await channel.sendClaim(payee.getSender(), sign(300n))
  assert.equal(await pingo.balance(payee.address), 300n)
  const before = await gram(mallory.address)
  const kept = await gram(channel.address)
  const second = await channel.sendClaim(mallory.getSender(), sign(450n))
  assert.equal(await pingo.balance(payee.address), 450n)
  assert.equal((await channel.getChannelData()).claimed, 450n)
  assert.ok(before - (await gram(mallory.address)) < toNano('0.03'), 'the rest of the GRAM goes back')
  assert.ok((await gram(channel.address)) >= kept, 'the channel pays nothing')
  for (const { transactions } of [first, second]) {
    const gas = gasOf(transactions, channel.address)
    t.diagnostic(`gas of a claim ${gas} + its transfer ${gasOf(transactions, wallet)} +`)
    assert.ok(gas <= 5300, `a claim takes ${gas} gas`)
  }
})

test('a smaller, forged, foreign or over-funded voucher pays nothing', async () => {
  const { pingo, payee, channel, sign } = await channelWorld()
  const claims = async (voucher: { amount: bigint; signature: Buffer }) =>
    exitOf((await channel.sendClaim(payee.getSender(), voucher)).transactions, channel.address)
  assert.equal(await claims(sign(300n)), 0)
  assert.equal(await claims(sign(300n)), EXIT.NOTHING_DUE)
  assert.equal(await claims(sign(299n)), EXIT.NOTHING_DUE)
  assert.equal(await claims(sign(1001n)), EXIT.NOT_FUNDED)
  assert.equal(await claims(sign(400n, forger)), EXIT.WRONG_SIGNATURE)
  assert.equal(await claims({ ...sign(400n), amount: 401n }), EXIT.WRONG_SIGNATURE)
  const other = await channelWorld({ id: 2n })
  assert.equal(await claims(other.sign(400n)), EXIT.WRONG_SIGNATURE)
  const elsewhere = signVoucher(voucherForm(-239, channel.address), 400n, key)
  assert.equal(await claims(elsewhere), EXIT.WRONG_SIGNATURE)
  assert.equal(await claims(sign(1000n)), 0)
  assert.equal(await pingo.balance(payee.address), 1000n)
})

test('a claim that is too poor fails before anything is booked, at every price', async () => {
  const { pingo, payee, mallory, channel, sign, wallet } = await channelWorld()
  let refused = 0
  let paid = 0
  for (let milli = 1n; milli <= 40n; milli++) {
    const before = (await channel.getChannelData()).claimed
    const { transactions } = await channel.sendClaim(mallory.getSender(), sign(milli), milli * 1_000_000n)
    const claimed = (await channel.getChannelData()).claimed
    assert.equal(messagesBetween(transactions, wallet, channel.address).length, 0, `${milli}: nothing comes back`)
    assert.equal(await pingo.balance(payee.address), claimed)
    if (claimed === before) refused++
    else paid++
  }
  assert.ok(refused > 20 && paid > 5, `${refused} refused, ${paid} paid`)
})

test('PINGO are believed from the own wallet alone', async () => {
  const { payer, mallory, channel } = await channelWorld()
  for (const who of [payer, mallory]) {
    const body = encode(schema.TransferNotification, {
      queryId: 0n,
      amount: 5n,
      sender: payer.address,
      forwardPayload: forwardPayload(null),
    })
    const { transactions } = await who.send({ to: channel.address, value: toNano('0.1'), body })
    assert.equal(exitOf(transactions, channel.address), EXIT.NOT_JETTON_WALLET)
  }
  assert.equal((await channel.getChannelData()).funded, 1000n)
})

test('before the first funding no wallet is known: another is refused, a claim is not funded', async () => {
  const { pingo, payer, mallory, sign } = await channelWorld()
  const fresh = pingo.place.chain.openContract(
    VoucherChannel.fromConfig({
      minter: pingo.minter.address,
      payer: payer.address,
      payee: mallory.address,
      payerKey: key.publicKey,
      network: NETWORK,
      expiresAt: TEST_EPOCH + DAY,
      challengeSeconds: DAY,
      id: 3n,
    }),
  )
  await fresh.sendDeploy(payer.getSender())
  const body = encode(schema.TransferNotification, {
    queryId: 0n,
    amount: 5n,
    sender: null,
    forwardPayload: forwardPayload(null),
  })
  const fake = await mallory.send({ to: fresh.address, value: toNano('0.1'), body })
  assert.equal(exitOf(fake.transactions, fresh.address), EXIT.NOT_JETTON_WALLET)
  const voucher = signVoucher(voucherForm(NETWORK, fresh.address), 5n, key)
  const { transactions } = await fresh.sendClaim(mallory.getSender(), voucher)
  assert.equal(exitOf(transactions, fresh.address), EXIT.NOT_FUNDED)
  assert.ok(sign(1n))
})

test('anyone may top up; what is not needed comes back to whoever paid in', async () => {
  const { pingo, payee, mallory, channel, sign, gram } = await channelWorld()
  const before = await gram(mallory.address)
  const { transactions } = await fund(pingo, mallory, channel.address, 500n, { forwardAmount: toNano('0.5') })
  assert.equal((await channel.getChannelData()).funded, 1500n)
  assert.equal(messagesBetween(transactions, channel.address, mallory.address).length, 1)
  assert.ok(before - (await gram(mallory.address)) < toNano('0.05'))
  await channel.sendClaim(payee.getSender(), sign(1500n))
  assert.equal(await pingo.balance(payee.address), 1500n)
})

test('the payer gets the rest only after the challenge window, in which the payee may claim', async (t) => {
  const { pingo, payer, payee, mallory, channel, sign } = await channelWorld()
  const had = await pingo.balance(payer.address)
  const stranger = await channel.sendClose(mallory.getSender())
  assert.equal(exitOf(stranger.transactions, channel.address), EXIT.NOT_PARTY)
  const early = await channel.sendSettle(payer.getSender())
  assert.equal(exitOf(early.transactions, channel.address), EXIT.TOO_EARLY)
  const close = await channel.sendClose(payer.getSender())
  assert.equal(exitOf(close.transactions, channel.address), 0)
  assert.equal((await channel.getChannelData()).endsAt, TEST_EPOCH + DAY)
  pingo.place.now += DAY / 2
  await channel.sendClose(payer.getSender())
  assert.equal((await channel.getChannelData()).endsAt, TEST_EPOCH + DAY, 'to close again changes nothing')
  pingo.place.now = TEST_EPOCH + DAY - 1
  assert.equal(exitOf((await channel.sendSettle(payer.getSender())).transactions, channel.address), EXIT.TOO_EARLY)
  assert.equal(exitOf((await channel.sendClaim(payee.getSender(), sign(600n))).transactions, channel.address), 0)
  pingo.place.now = TEST_EPOCH + DAY
  const late = await channel.sendClaim(payee.getSender(), sign(700n))
  assert.equal(exitOf(late.transactions, channel.address), EXIT.TOO_LATE)
  assert.equal(exitOf((await channel.sendClose(payer.getSender())).transactions, channel.address), EXIT.TOO_LATE)
  const settle = await channel.sendSettle(mallory.getSender())
  t.diagnostic(`gas of closing ${gasOf(close.transactions, channel.address)}`)
  t.diagnostic(`gas of settling ${gasOf(settle.transactions, channel.address)}`)
  assert.ok(gasOf(settle.transactions, channel.address) <= 5700)
  assert.equal(await pingo.balance(payer.address), had + 400n)
  assert.equal(await pingo.balance(payee.address), 600n)
  assert.equal(exitOf((await channel.sendSettle(payer.getSender())).transactions, channel.address), EXIT.NOTHING_DUE)
  await fund(pingo, mallory, channel.address, 5n)
  await channel.sendSettle(mallory.getSender())
  assert.equal(await pingo.balance(payer.address), had + 405n, 'what comes after the end is the payer’s')
})

test('a window never lasts past the channel’s end, and at the end no close is needed', async () => {
  const { pingo, payer, payee, channel, sign } = await channelWorld({ challengeSeconds: 60 * DAY })
  await channel.sendClose(payer.getSender())
  assert.equal((await channel.getChannelData()).endsAt, TEST_EPOCH + 30 * DAY)
  pingo.place.now = TEST_EPOCH + 30 * DAY
  assert.equal(
    exitOf((await channel.sendClaim(payee.getSender(), sign(7n))).transactions, channel.address),
    EXIT.TOO_LATE,
  )
  await channel.sendSettle(payer.getSender())
  assert.equal(await pingo.balance(channel.address), 0n)
})

test('the payee may end the channel at once', async () => {
  const { pingo, payer, payee, channel, sign } = await channelWorld()
  const had = await pingo.balance(payer.address)
  await channel.sendClaim(payee.getSender(), sign(100n))
  await channel.sendClose(payee.getSender())
  await channel.sendSettle(payee.getSender())
  assert.equal(await pingo.balance(payer.address), had + 900n)
  assert.equal(
    exitOf((await channel.sendClaim(payee.getSender(), sign(101n))).transactions, channel.address),
    EXIT.TOO_LATE,
  )
})

test('a payment that comes back restores the books and can be asked for again', async () => {
  const { pingo, payer, payee, channel, sign, wallet } = await channelWorld()
  await channel.sendClaim(payee.getSender(), sign(100n))
  let mend = await breakWallet(pingo, channel.address)
  const failed = await channel.sendClaim(payee.getSender(), sign(300n))
  assert.equal(exitOf(failed.transactions, wallet), EXIT.NOT_ENOUGH_BALANCE)
  assert.equal(transactionsOf(failed.transactions, channel.address).length, 2, 'it came back')
  assert.equal(exitOf(failed.transactions, channel.address), 0)
  assert.equal((await channel.getChannelData()).claimed, 100n)
  await mend()
  await channel.sendClaim(payee.getSender(), sign(300n))
  assert.equal(await pingo.balance(payee.address), 300n)
  await channel.sendClose(payee.getSender())
  mend = await breakWallet(pingo, channel.address)
  await channel.sendSettle(payer.getSender())
  const { claimed, returned } = await channel.getChannelData()
  assert.deepEqual([claimed, returned], [300n, 0n])
  await mend()
  await channel.sendSettle(payer.getSender())
  assert.equal((await channel.getChannelData()).returned, 700n)
})

test('a settlement that is too poor fails before anything is booked', async () => {
  const { pingo, payee, channel, wallet } = await channelWorld()
  await channel.sendClose(payee.getSender())
  for (const milli of [1n, 5n, 10n, 20n, 28n]) {
    const { transactions } = await channel.sendSettle(payee.getSender(), milli * 1_000_000n)
    assert.notEqual(exitOf(transactions, channel.address), 0)
    assert.equal(messagesBetween(transactions, wallet, channel.address).length, 0)
  }
  assert.equal((await channel.getChannelData()).returned, 0n)
  assert.equal(await pingo.balance(channel.address), 1000n)
})

test('a key that anybody could sign for pays nobody; the wrapper refuses such terms', async () => {
  const identity = Buffer.from([1, ...Buffer.alloc(31)])
  const terms = (await channelWorld()).channel
  const good = await terms.getChannelData()
  const { pingo, payee } = await channelWorld()
  for (const weak of [Buffer.alloc(32), identity]) {
    assert.throws(() => VoucherChannel.fromConfig({ ...good, minter: payee.address, expiresAt: 1, payerKey: weak }), {
      code: 'CHAIN_TERMS',
    })
    const { init } = VoucherChannel.fromConfig({ ...good, minter: pingo.minter.address, expiresAt: good.endsAt })
    if (!init) throw new Error('no state')
    const storage = schema.decode(schema.ChannelStorage, init.data)
    const data = encode(schema.ChannelStorage, {
      ...storage,
      funded: 1000n,
      wallet: payee.address,
      terms: { ...storage.terms, payerKey: BigInt(`0x${weak.toString('hex')}`) },
    })
    const bad = pingo.place.chain.openContract(
      new VoucherChannel(contractAddress(0, { code: init.code, data }), { code: init.code, data }),
    )
    await bad.sendDeploy(payee.getSender())
    // R = S·B holds for the neutral element whatever the message: S = 0, R = the neutral element
    const signature = Buffer.concat([identity, Buffer.alloc(32)])
    const { transactions } = await bad.sendClaim(payee.getSender(), { amount: 10n, signature })
    assert.equal(exitOf(transactions, bad.address), EXIT.WEAK_KEY)
  }
  const parties = { ...good, minter: payee.address, expiresAt: 1 }
  assert.throws(() => VoucherChannel.fromConfig({ ...parties, payee: good.payer }), { code: 'CHAIN_TERMS' })
  assert.throws(() => VoucherChannel.fromConfig({ ...parties, challengeSeconds: 10 }), { code: 'CHAIN_TERMS' })
})

test('what it does not know is refused; GRAM may be left on it', async () => {
  const { mallory, channel, gram } = await channelWorld()
  const unknown = beginCell().storeUint(0x12345678, 32).storeUint(0, 64).endCell()
  const { transactions } = await mallory.send({ to: channel.address, value: toNano('0.1'), body: unknown })
  assert.equal(exitOf(transactions, channel.address), EXIT.UNKNOWN_OP)
  const before = await gram(channel.address)
  await channel.sendDeploy(mallory.getSender(), toNano('1'))
  assert.ok((await gram(channel.address)) > before + toNano('0.99'))
})

test('without its transfer a claim takes 3,800 gas at most', async (t) => {
  const { channel, payee, sign, pingo } = await channelWorld()
  const whole = gasOf((await channel.sendClaim(payee.getSender(), sign(300n))).transactions, channel.address)
  // the same contract with the transfer left out
  const silent = await compile('voucher-channel', (file, text) =>
    file === 'common/payout.tolk'
      ? text.replace(/createMessage\(\{\s+bounce: BounceMode.Rich[\s\S]*?\.send\([^;]*;/, '')
      : text,
  )
  const account = await pingo.place.chain.getContract(channel.address)
  const { accountState } = account
  if (accountState?.type !== 'active' || !accountState.state.data) throw new Error('not deployed')
  const code = Cell.fromBase64(silent.code)
  await pingo.place.chain.setShardAccount(
    channel.address,
    createShardAccount({ address: channel.address, code, data: accountState.state.data, balance: account.balance }),
  )
  const alone = gasOf((await channel.sendClaim(payee.getSender(), sign(400n))).transactions, channel.address)
  t.diagnostic(`a claim takes ${whole} gas, of which ${whole - alone} order the transfer`)
  assert.ok(whole - alone > 1500, 'the transfer was left out')
  assert.ok(alone <= 3800)
})

test('its rent of two years is reserved, whatever is sent', async (t) => {
  const { pingo, channel, gram, payee, payer, mallory, sign } = await channelWorld()
  await channel.sendClaim(payee.getSender(), sign(10n))
  await channel.sendClose(payer.getSender())
  const left = await gram(channel.address)
  assert.ok(left >= 30_000_000n, `${left}`)
  const state = (await pingo.place.chain.getContract(channel.address)).accountState
  if (state?.type !== 'active' || !state.state.code || !state.state.data) throw new Error('not deployed')
  const seen = new Set<string>()
  const [code, data] = [sizeOf(state.state.code, seen), sizeOf(state.state.data, seen)]
  t.diagnostic(`storage: ${code.cells + data.cells} cells, ${code.bits + data.bits} bits`)
  pingo.place.now += 2 * 365 * DAY
  await channel.sendDeploy(mallory.getSender(), toNano('0.01'))
  const rent = left + toNano('0.01') - (await gram(channel.address))
  t.diagnostic(`rent of two years: ${Number(rent) / 1e9} GRAM`)
  assert.ok(rent <= 30_000_000n)
})
