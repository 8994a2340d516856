import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, toNano } from '@ton/core'
import * as schema from '../schema/index.ts'
import { decode, EXIT, encode, forwardPayload } from '../schema/index.ts'
import { assertExcesses, assertPrice, assertUndone, dataWithoutExcesses, gramOf } from '../testing/fees.ts'
import { breakWallet } from '../testing/pay.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { exitOf, gasOf, messagesBetween, TEST_EPOCH } from '../testing/world.ts'
import {
  decayFor,
  type EmissionState,
  EPOCH_SECONDS,
  FULL_FEE_SHARE,
  HALF_LIFE_EPOCHS,
  payFees,
  releaseEpoch,
} from '../token/emission.ts'
import { REWARD_TERMS } from '../token/reward-account.ts'
import { UNIT } from '../token/split.ts'
import { EmissionVault, MOST_EPOCHS } from './emission-vault.ts'
import { RewardDistributor } from './rewards.ts'

const AMOUNT = 400_000_000n * UNIT
const curve = { decay: decayFor(HALF_LIFE_EPOCHS), feeShare: FULL_FEE_SHARE }

async function vaultWorld(floor = 1000n * UNIT) {
  const pingo = await pingoWorld()
  const anyone = await pingo.place.person('anyone')
  const distributor = pingo.place.chain.openContract(
    RewardDistributor.fromConfig({
      ...REWARD_TERMS,
      minter: pingo.minter.address,
      authority: anyone.address,
      arbiter: Buffer.alloc(32, 1),
      treasury: anyone.address,
      deadline: 0,
      funded: 0n,
    }),
  )
  const vault = pingo.place.chain.openContract(
    EmissionVault.fromConfig({
      ...curve,
      minter: pingo.minter.address,
      distributor: distributor.address,
      amount: AMOUNT,
      floor,
      start: TEST_EPOCH,
    }),
  )
  await distributor.sendDeploy(anyone.getSender())
  await vault.sendDeploy(anyone.getSender())
  await pingo.genesis([
    [vault.address, AMOUNT],
    [anyone.address, 1_000_000n * UNIT],
  ])
  const state: EmissionState = { rest: AMOUNT, fees: 0n, floor, epoch: 0 }
  return { pingo, anyone, vault, distributor, state }
}

const fee = forwardPayload(encode(schema.ProtocolFee, {}).beginParse().asCell())

test('no epoch is released before it has ended, and each only once', async (t) => {
  const { pingo, anyone, vault, distributor } = await vaultWorld()
  const early = await vault.sendRelease(anyone.getSender())
  assert.equal(exitOf(early.transactions, vault.address), EXIT.TOO_EARLY)
  pingo.place.now = TEST_EPOCH + EPOCH_SECONDS
  const first = await vault.sendRelease(anyone.getSender(), 5)
  assert.equal(exitOf(first.transactions, vault.address), 0)
  t.diagnostic(`gas of a release ${gasOf(first.transactions, vault.address)}`)
  assert.equal((await vault.getVaultData()).epoch, 1)
  assert.equal(await pingo.balance(distributor.address), 1000n * UNIT)
  assert.equal((await distributor.getDistributorData()).funded, 1000n * UNIT)
  const again = await vault.sendRelease(anyone.getSender())
  assert.equal(exitOf(again.transactions, vault.address), EXIT.TOO_EARLY)
})

test('fees of jobs raise an epoch’s release up to the curve, and join the rest', async () => {
  const { pingo, anyone, vault, state } = await vaultWorld(0n)
  const wallet = pingo.wallet(anyone.address)
  const pay = (amount: bigint, payload: typeof fee | null) =>
    wallet.sendTransfer(anyone.getSender(), {
      to: vault.address,
      amount,
      forwardAmount: toNano('0.02'),
      payload: payload && encode(schema.ProtocolFee, {}),
    })
  await pay(5000n * UNIT, fee)
  await pay(77n, null)
  assert.equal((await vault.getVaultData()).fees, 5000n * UNIT, 'a gift is no fee')
  let expected = { ...payFees(state, 5000n * UNIT), rest: AMOUNT + 5000n * UNIT + 77n }
  pingo.place.now = TEST_EPOCH + 2 * EPOCH_SECONDS
  await vault.sendRelease(anyone.getSender(), 2)
  for (let i = 0; i < 2; i++) expected = releaseEpoch(expected, curve).state
  const { rest, fees, floor, epoch } = await vault.getVaultData()
  assert.deepEqual({ rest, fees, floor, epoch }, expected)
  assert.equal(await pingo.balance(vault.address), rest)
})

test('however many fees come in, an epoch releases no more than the curve lets it', async () => {
  const { pingo, anyone, vault, state } = await vaultWorld()
  await pingo.wallet(anyone.address).sendTransfer(anyone.getSender(), {
    to: vault.address,
    amount: 900_000n * UNIT,
    forwardAmount: toNano('0.02'),
    payload: encode(schema.ProtocolFee, {}),
  })
  pingo.place.now = TEST_EPOCH + 2 * EPOCH_SECONDS
  await vault.sendRelease(anyone.getSender(), 1)
  const step = releaseEpoch(payFees(state, 900_000n * UNIT), curve)
  assert.ok(step.released < 200_000n * UNIT, 'the curve binds')
  const { rest, fees, floor, epoch } = await vault.getVaultData()
  assert.deepEqual({ rest, fees, floor, epoch }, step.state)
})

test('an epoch without floor and fees passes, pays nobody and gives the GRAM back; a single unit is paid', async () => {
  for (const floor of [0n, 1n]) {
    const { pingo, anyone, vault, distributor } = await vaultWorld(floor)
    pingo.place.now = TEST_EPOCH + EPOCH_SECONDS
    const { transactions } = await vault.sendRelease(anyone.getSender(), 1, toNano('0.2'))
    assert.equal(exitOf(transactions, vault.address), 0)
    assert.equal((await vault.getVaultData()).epoch, 1)
    assert.equal(await pingo.balance(distributor.address), floor)
    const orders = messagesBetween(transactions, vault.address, pingo.wallet(vault.address).address)
    assert.equal(orders.length, Number(floor))
    const [left] = messagesBetween(transactions, vault.address, anyone.address)
    if (floor === 0n)
      assert.ok(left?.info.type === 'internal' && left.info.value.coins > toNano('0.19') && !left.info.bounce)
  }
})

test('a payment that comes back is not lost: it can be released later', async () => {
  const { pingo, anyone, vault, distributor } = await vaultWorld()
  const mend = await breakWallet(pingo, vault.address)
  pingo.place.now = TEST_EPOCH + EPOCH_SECONDS
  await vault.sendRelease(anyone.getSender())
  assert.equal((await vault.getVaultData()).rest, AMOUNT)
  await mend()
  pingo.place.now += EPOCH_SECONDS
  await vault.sendRelease(anyone.getSender())
  const { rest } = await vault.getVaultData()
  assert.equal(rest + (await pingo.balance(distributor.address)), AMOUNT)
  assert.equal(await pingo.balance(vault.address), rest)
})

test('with the least GRAM a release does all, for one epoch and for many', async () => {
  const { pingo, anyone, vault, distributor } = await vaultWorld()
  pingo.place.now = TEST_EPOCH + 40 * EPOCH_SECONDS
  // the rent until today is paid
  await vault.sendDeploy(anyone.getSender())
  const start = pingo.place.chain.snapshot()
  const gram = async () => (await pingo.place.chain.getContract(vault.address)).balance
  for (const most of [1, MOST_EPOCHS]) {
    const send = async (value: bigint) => {
      await pingo.place.chain.loadFrom(start)
      return vault.sendRelease(anyone.getSender(), most, value)
    }
    let [poor, enough] = [0n, toNano('0.2')]
    while (enough - poor > 10_000n) {
      const middle = (poor + enough) / 2n
      if (exitOf((await send(middle)).transactions, vault.address) === 0) enough = middle
      else poor = middle
    }
    await pingo.place.chain.loadFrom(start)
    const before = await gram()
    const { transactions } = await send(enough)
    const funded = (await distributor.getDistributorData()).funded
    assert.ok(funded > 0n, 'the distributor was told')
    assert.equal(await pingo.balance(distributor.address), funded)
    assert.ok((await gram()) >= before, 'the vault pays nothing')
    const left = transactions.flatMap(({ outMessages }) =>
      outMessages
        .values()
        .filter(({ info }) => info.type === 'internal' && info.dest.equals(anyone.address) && !info.bounced),
    )
    const over = left.reduce((sum, { info }) => sum + (info.type === 'internal' ? info.value.coins : 0n), 0n)
    assert.ok(over < toNano('0.02'), `${over} too much was asked for`)
    assert.ok(enough < toNano('0.1'))
  }
})

test('a notification that is not from the vault’s own wallet is refused', async () => {
  const { anyone, vault } = await vaultWorld()
  const forged = await anyone.send({
    to: vault.address,
    value: toNano('0.1'),
    body: encode(schema.TransferNotification, { queryId: 0n, amount: 5n, sender: anyone.address, forwardPayload: fee }),
  })
  assert.equal(exitOf(forged.transactions, vault.address), EXIT.NOT_JETTON_WALLET)
})

test('a release that does not pay for itself is refused and changes nothing', async () => {
  const { pingo, anyone, vault, state } = await vaultWorld()
  pingo.place.now = TEST_EPOCH + EPOCH_SECONDS
  for (const value of ['0.001', '0.02', '0.04']) {
    const poor = await vault.sendRelease(anyone.getSender(), 1, toNano(value))
    assert.notEqual(exitOf(poor.transactions, vault.address), 0, value)
  }
  assert.equal((await vault.getVaultData()).rest, state.rest)
})

test('more than a unit for a unit of fees can’t be configured', () => {
  const anywhere = new Address(0, Buffer.alloc(32))
  assert.throws(
    () =>
      EmissionVault.fromConfig({
        decay: curve.decay,
        feeShare: FULL_FEE_SHARE + 1n,
        minter: anywhere,
        distributor: anywhere,
        amount: 1n,
        floor: 0n,
        start: 0,
      }),
    { code: 'CHAIN_CONFIG' },
  )
})

test('four years, to the day: the vault is what the model says', async () => {
  const { pingo, anyone, vault, distributor, state } = await vaultWorld()
  let model = state
  let released = 0n
  for (let day = MOST_EPOCHS; day <= 1461; day += day + MOST_EPOCHS > 1461 && day < 1461 ? 1461 - day : MOST_EPOCHS) {
    pingo.place.now = TEST_EPOCH + day * EPOCH_SECONDS
    const { transactions } = await vault.sendRelease(anyone.getSender(), MOST_EPOCHS)
    assert.equal(exitOf(transactions, vault.address), 0)
    while (model.epoch < day) {
      const step = releaseEpoch(model, curve)
      model = step.state
      released += step.released
    }
    const { rest, fees, floor, epoch } = await vault.getVaultData()
    assert.deepEqual({ rest, fees, floor, epoch }, model, `day ${day}`)
  }
  assert.equal(model.epoch, 1461)
  assert.equal(await pingo.balance(distributor.address), released)
})

test('a release is refused for a nano less than it costs, for one epoch and for many, and pays for all that follows', async () => {
  const { pingo, anyone, vault, distributor } = await vaultWorld()
  const { chain } = pingo.place
  pingo.place.now = TEST_EPOCH + 40 * EPOCH_SECONDS
  await vault.sendDeploy(anyone.getSender())
  const start = chain.snapshot()
  const kept = await gramOf(chain, vault.address)
  for (const most of [1, 5, MOST_EPOCHS + 3]) {
    await chain.loadFrom(start)
    const price = { messages: 3n, gas: 25_000n + 800n * BigInt(most), leaves: toNano('0.05') }
    await assertPrice(chain, vault.address, (value) => vault.sendRelease(anyone.getSender(), most, value), price)
    assert.equal((await vault.getVaultData()).epoch, Math.min(most, MOST_EPOCHS))
    assert.equal((await distributor.getDistributorData()).funded, await pingo.balance(distributor.address))
    assert.equal(await gramOf(chain, vault.address), kept, 'who asks pays, to the nano')
  }
})

test('a release that can’t be sent is undone; one that pays nobody needs nothing to give back', async () => {
  const { pingo, anyone, vault } = await vaultWorld()
  pingo.place.now = TEST_EPOCH + EPOCH_SECONDS
  await assertUndone(pingo.place.chain, vault.address, anyone.address, (via) => vault.sendRelease(via))
  const none = await vaultWorld(0n)
  none.pingo.place.now = TEST_EPOCH + EPOCH_SECONDS
  const { chain } = none.pingo.place
  const send: Parameters<typeof assertUndone>[3] = (via) => none.vault.sendRelease(via)
  const data = await dataWithoutExcesses(chain, none.vault.address, anyone.address, send)
  assert.equal(decode(schema.EmissionVaultStorage, data).epoch, 1)
  assertExcesses((await send(chain.sender(anyone.address))).transactions, none.vault.address, anyone.address)
})
