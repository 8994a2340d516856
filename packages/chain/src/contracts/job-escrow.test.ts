import assert from 'node:assert/strict'
import test from 'node:test'
import { beginCell, contractAddress, toNano } from '@ton/core'
import * as schema from '../schema/index.ts'
import { EXIT, encode, forwardPayload } from '../schema/index.ts'
import { breakWallet, fund } from '../testing/pay.ts'
import { arbiter, DAY, DEADLINE, escrowWorld, payerKey, REFUND_AT } from '../testing/pay-worlds.ts'
import { exitOf, gasOf, messagesBetween, sizeOf, TEST_EPOCH, transactionsOf } from '../testing/world.ts'
import { JobEscrow } from './job-escrow.ts'

test('vouchers release the budget to the payee, each for a total', async (t) => {
  const { payee, mallory, escrow, sign, exit, has } = await escrowWorld()
  const { transactions } = await escrow.sendRelease(mallory.getSender(), sign(300n))
  const gas = gasOf(transactions, escrow.address)
  t.diagnostic(`gas of a release ${gas} and its transfer`)
  assert.ok(gas <= 6000)
  assert.ok(messagesBetween(transactions, escrow.address, payee.address).length === 0)
  assert.equal(await has(payee), 300n)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(300n))), EXIT.NOTHING_DUE)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(1001n))), EXIT.NOT_FUNDED)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(500n, arbiter))), EXIT.WRONG_SIGNATURE)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), { ...sign(500n), amount: 501n })), EXIT.WRONG_SIGNATURE)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(301n))), 0, 'a nano-PINGO is paid too')
  assert.equal(await has(payee), 301n)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(1000n))), 0)
  assert.equal(await has(payee), 1000n)
})

test('the rest returns to the payer some time after the deadline, and the vouchers are good until then', async (t) => {
  const { pingo, payer, payee, mallory, escrow, sign, exit, has, rest } = await escrowWorld()
  for (const when of [TEST_EPOCH, DEADLINE, REFUND_AT - 1]) {
    pingo.place.now = when
    for (const who of [payer, mallory])
      assert.equal(await exit(escrow.sendRefund(who.getSender())), EXIT.TOO_EARLY, `${when}`)
  }
  pingo.place.now = REFUND_AT
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(250n))), 0)
  const { transactions } = await escrow.sendRefund(mallory.getSender())
  t.diagnostic(`gas of a refund ${gasOf(transactions, escrow.address)}`)
  assert.ok(gasOf(transactions, escrow.address) <= 11000)
  assert.equal(await has(payer), rest + 750n)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(300n))), EXIT.TOO_LATE)
  assert.equal(await exit(escrow.sendRefund(payer.getSender())), EXIT.NOTHING_DUE)
  assert.equal(await exit(escrow.sendDispute(payee.getSender())), EXIT.TOO_LATE)
  await fund(pingo, payer, escrow.address, 5n)
  await escrow.sendRefund(payer.getSender())
  assert.equal(await has(payer), rest + 750n, 'what comes later goes back')
})

test('the payee may let go at any time, in a dispute too', async () => {
  for (const disputed of [false, true]) {
    const { payer, payee, escrow, has, rest, exit } = await escrowWorld()
    if (disputed) await escrow.sendDispute(payer.getSender())
    assert.equal(await exit(escrow.sendRefund(payee.getSender())), 0)
    assert.equal(await has(payer), rest + 1000n)
  }
})

test('once the payee has let go, the vouchers and disputes are over, and what comes later is anybody’s to send back', async () => {
  const { pingo, payer, payee, mallory, escrow, sign, exit, has, rest } = await escrowWorld()
  await escrow.sendRefund(payee.getSender())
  await fund(pingo, payer, escrow.address, 5n)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(5n))), EXIT.TOO_LATE)
  assert.equal(await exit(escrow.sendDispute(payer.getSender())), EXIT.TOO_LATE)
  assert.equal(await exit(escrow.sendRefund(mallory.getSender())), 0)
  assert.equal(await has(payer), rest + 1000n)
})

test('a dispute makes the refund wait for the verdict, which divides the budget', async (t) => {
  const { pingo, payer, payee, mallory, escrow, sign, verdict, exit, has, rest } = await escrowWorld()
  await escrow.sendRelease(payee.getSender(), sign(100n))
  assert.equal(await exit(escrow.sendVerdict(payee.getSender(), verdict(600n))), EXIT.TOO_EARLY, 'no dispute')
  assert.equal(await exit(escrow.sendDispute(mallory.getSender())), EXIT.NOT_PARTY)
  pingo.place.now = DEADLINE - 1
  const dispute = await escrow.sendDispute(payee.getSender())
  t.diagnostic(`gas of a dispute ${gasOf(dispute.transactions, escrow.address)}`)
  assert.equal(messagesBetween(dispute.transactions, escrow.address, payee.address).length, 1, 'the GRAM goes back')
  assert.equal(await exit(escrow.sendDispute(payer.getSender())), EXIT.TOO_LATE, 'once only')
  pingo.place.now = REFUND_AT
  assert.equal(await exit(escrow.sendRefund(payer.getSender())), EXIT.TOO_EARLY, 'it waits')
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(200n))), 0, 'a voucher stays good')
  for (const wrong of [
    verdict(600n, payerKey),
    verdict(600n, arbiter, { network: -239 }),
    verdict(600n, arbiter, { job: Buffer.alloc(32, 4) }),
    { ...verdict(600n), payeeTotal: 601n },
    (await escrowWorld({ deadline: DEADLINE + 1 })).verdict(600n),
  ])
    assert.equal(await exit(escrow.sendVerdict(payee.getSender(), wrong)), EXIT.WRONG_SIGNATURE)
  assert.equal(await exit(escrow.sendVerdict(payee.getSender(), verdict(1001n))), EXIT.NOT_FUNDED)
  const { transactions } = await escrow.sendVerdict(mallory.getSender(), verdict(600n))
  t.diagnostic(`gas of a verdict ${gasOf(transactions, escrow.address)}`)
  assert.ok(gasOf(transactions, escrow.address) <= 11000)
  assert.equal(await has(payee), 600n)
  assert.equal(await has(payer), rest + 400n)
  assert.equal(await exit(escrow.sendVerdict(payee.getSender(), verdict(700n))), EXIT.TOO_LATE)
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(700n))), EXIT.TOO_LATE)
  assert.equal(await exit(escrow.sendDispute(payee.getSender())), EXIT.TOO_LATE)
  await fund(pingo, payer, escrow.address, 50n)
  await escrow.sendRefund(mallory.getSender())
  assert.equal(await has(payer), rest + 400n, 'what comes after a verdict is the payer’s')
})

test('a verdict may give all to one side; what was released stays released', async () => {
  for (const [total, released, payeeGets] of [
    [0n, 0n, 0n],
    [1000n, 0n, 1000n],
    [50n, 300n, 300n],
    [300n, 300n, 300n],
  ] as const) {
    const { payer, payee, escrow, sign, verdict, exit, has, rest, wallet } = await escrowWorld()
    if (released > 0n) await escrow.sendRelease(payee.getSender(), sign(released))
    await escrow.sendDispute(payer.getSender())
    const { transactions } = await escrow.sendVerdict(payer.getSender(), verdict(total))
    assert.equal(messagesBetween(transactions, escrow.address, wallet).length, 1, 'one payment, no empty one beside it')
    assert.equal(await has(payee), payeeGets)
    assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(1000n))), EXIT.TOO_LATE)
    assert.equal(await has(payer), rest + 1000n - payeeGets)
  }
})

test('when the arbiter never speaks, the rest returns to the payer', async () => {
  const { pingo, payer, payee, escrow, sign, verdict, exit, has, rest } = await escrowWorld()
  pingo.place.now = REFUND_AT - 1
  assert.equal(await exit(escrow.sendDispute(payer.getSender())), 0)
  assert.equal((await escrow.getJobData()).refundableAt, REFUND_AT - 1 + 5 * DAY)
  pingo.place.now = REFUND_AT - 2 + 5 * DAY
  assert.equal(await exit(escrow.sendRefund(payer.getSender())), EXIT.TOO_EARLY)
  pingo.place.now += 1
  assert.equal(await exit(escrow.sendRelease(payee.getSender(), sign(10n))), 0)
  assert.equal(await exit(escrow.sendRefund(payer.getSender())), 0)
  assert.deepEqual([await has(payee), await has(payer)], [10n, rest + 990n])
  assert.equal(await exit(escrow.sendVerdict(payee.getSender(), verdict(600n))), EXIT.TOO_LATE)
})

test('after the time for disputes none can be raised', async () => {
  const { pingo, payee, escrow, exit } = await escrowWorld()
  pingo.place.now = REFUND_AT
  assert.equal(await exit(escrow.sendDispute(payee.getSender())), EXIT.TOO_LATE)
})

test('payments that come back restore the books; of a verdict both parts are paid later', async () => {
  const { pingo, payer, payee, mallory, escrow, sign, verdict, has, rest, wallet } = await escrowWorld()
  let mend = await breakWallet(pingo, escrow.address)
  const failed = await escrow.sendRelease(payee.getSender(), sign(100n))
  assert.equal(exitOf(failed.transactions, wallet), EXIT.NOT_ENOUGH_BALANCE)
  assert.equal(transactionsOf(failed.transactions, escrow.address).length, 2)
  assert.equal((await escrow.getJobData()).released, 0n)
  await mend()
  await escrow.sendRelease(payee.getSender(), sign(100n))
  await escrow.sendDispute(payer.getSender())
  mend = await breakWallet(pingo, escrow.address)
  await escrow.sendVerdict(mallory.getSender(), verdict(600n))
  const { released, refunded, granted, isDecided } = await escrow.getJobData()
  assert.deepEqual([released, refunded, granted, isDecided], [100n, 0n, 600n, true])
  await mend()
  await escrow.sendRefund(mallory.getSender())
  assert.deepEqual([await has(payee), await has(payer)], [600n, rest + 400n])
})

test('what is too poor fails before anything is booked', async () => {
  const { payer, payee, escrow, sign, verdict, wallet } = await escrowWorld()
  for (let milli = 1n; milli <= 40n; milli += 3n) {
    const { transactions } = await escrow.sendRelease(payee.getSender(), sign(milli), milli * 1_000_000n)
    assert.equal(messagesBetween(transactions, wallet, escrow.address).length, 0, `${milli}`)
  }
  await escrow.sendDispute(payer.getSender())
  for (let milli = 1n; milli <= 80n; milli += 3n) {
    const { transactions } = await escrow.sendVerdict(payee.getSender(), verdict(600n), milli * 1_000_000n)
    assert.equal(messagesBetween(transactions, wallet, escrow.address).length, 0, `${milli}`)
  }
  assert.equal((await escrow.getJobData()).isDecided, true)
})

test('PINGO are believed from the own wallet alone, and weak keys and unknown messages are refused', async () => {
  const { payer, payee, mallory, config, escrow } = await escrowWorld()
  const note = encode(schema.TransferNotification, {
    queryId: 0n,
    amount: 5n,
    sender: payer.address,
    forwardPayload: forwardPayload(null),
  })
  const fake = await mallory.send({ to: escrow.address, value: toNano('0.1'), body: note })
  assert.equal(exitOf(fake.transactions, escrow.address), EXIT.NOT_JETTON_WALLET)
  const unknown = beginCell().storeUint(7, 32).endCell()
  const { transactions } = await mallory.send({ to: escrow.address, value: toNano('0.1'), body: unknown })
  assert.equal(exitOf(transactions, escrow.address), EXIT.UNKNOWN_OP)
  const refused = { code: 'CHAIN_TERMS' }
  assert.throws(() => JobEscrow.fromConfig({ ...config, arbiterKey: Buffer.alloc(32) }), refused)
  assert.throws(() => JobEscrow.fromConfig({ ...config, payerKey: Buffer.alloc(32) }), refused)
  assert.throws(() => JobEscrow.fromConfig({ ...config, payee: payer.address }), refused)
  assert.throws(() => JobEscrow.fromConfig({ ...config, disputeSeconds: 1 }), refused)
  assert.throws(() => JobEscrow.fromConfig({ ...config, verdictSeconds: 1 }), refused)
  assert.equal((await escrow.getJobData()).payee.toString(), payee.address.toString())
})

test('with a weak key of the arbiter nobody can speak for it', async () => {
  const { pingo, payer, config } = await escrowWorld()
  const { init } = JobEscrow.fromConfig(config)
  if (!init) throw new Error('no state')
  const storage = schema.decode(schema.JobStorage, init.data)
  const terms = { ...storage.terms, keys: { ...storage.terms.keys, arbiterKey: 1n << 248n } }
  const state = { code: init.code, data: encode(schema.JobStorage, { ...storage, disputedAt: 1, funded: 9n, terms }) }
  const weak = pingo.place.chain.openContract(new JobEscrow(contractAddress(0, state), state))
  await weak.sendDeploy(payer.getSender())
  const signature = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])
  const { transactions } = await weak.sendVerdict(payer.getSender(), { payeeTotal: 1n, signature })
  assert.equal(exitOf(transactions, weak.address), EXIT.WEAK_KEY)
})

test('its rent of two years is reserved', async (t) => {
  const { pingo, payee, escrow, sign, mallory } = await escrowWorld()
  await escrow.sendRelease(payee.getSender(), sign(10n))
  await escrow.sendDispute(payee.getSender())
  const gram = async () => (await pingo.place.chain.getContract(escrow.address)).balance
  const left = await gram()
  const state = (await pingo.place.chain.getContract(escrow.address)).accountState
  if (state?.type !== 'active' || !state.state.code || !state.state.data) throw new Error('not deployed')
  const seen = new Set<string>()
  const [code, data] = [sizeOf(state.state.code, seen), sizeOf(state.state.data, seen)]
  t.diagnostic(`storage: ${code.cells + data.cells} cells, ${code.bits + data.bits} bits`)
  pingo.place.now += 2 * 365 * DAY
  await escrow.sendDeploy(mallory.getSender(), toNano('0.01'))
  const rent = left + toNano('0.01') - (await gram())
  t.diagnostic(`rent of two years: ${Number(rent) / 1e9} GRAM`)
  assert.ok(left >= 40_000_000n && rent <= 40_000_000n)
})
