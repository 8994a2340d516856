import assert from 'node:assert/strict'
import test from 'node:test'
import { toNano } from '@ton/core'
import { EXIT } from '../schema/index.ts'
import { assertPrice, assertUndone, gramOf } from '../testing/fees.ts'
import { breakWallet } from '../testing/pay.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { exitOf, gasOf, messagesBetween, TEST_EPOCH } from '../testing/world.ts'
import { UNIT } from '../token/split.ts'
import { longVesting, MONTH_SECONDS, vestedAt } from '../token/vesting.ts'
import { JettonVesting } from './jetton-vesting.ts'

async function vestingWorld() {
  const pingo = await pingoWorld()
  const team = await pingo.place.person('team')
  const anyone = await pingo.place.person('anyone')
  const schedule = longVesting(40_000_000n * UNIT + 7n, TEST_EPOCH)
  const vesting = pingo.place.chain.openContract(
    JettonVesting.fromConfig({ ...schedule, kind: 'pingo', minter: pingo.minter.address, beneficiary: team.address }),
  )
  await vesting.sendDeploy(anyone.getSender())
  await pingo.genesis([[vesting.address, schedule.total]])
  return { pingo, team, anyone, schedule, vesting }
}

test('nothing is paid before the cliff, whoever asks', async () => {
  const { pingo, team, anyone, vesting } = await vestingWorld()
  for (const month of [0, 6, 12]) {
    pingo.place.now = TEST_EPOCH + month * MONTH_SECONDS
    for (const who of [team, anyone]) {
      const { transactions } = await vesting.sendRelease(who.getSender())
      assert.equal(exitOf(transactions, vesting.address), EXIT.NOTHING_DUE)
    }
  }
  assert.equal(await pingo.balance(team.address), 0n)
})

test('four years, to the day: the beneficiary has what the schedule says, and nobody else anything', async (t) => {
  const { pingo, team, anyone, schedule, vesting } = await vestingWorld()
  let before = 0n
  for (let day = 366; day <= 1470; day += day % 7 === 0 ? 1 : 24) {
    pingo.place.now = TEST_EPOCH + day * 24 * 3600
    const { transactions } = await vesting.sendRelease(anyone.getSender())
    const vested = vestedAt(schedule, pingo.place.now)
    if (vested > before) assert.equal(exitOf(transactions, vesting.address), 0)
    assert.equal(await pingo.balance(team.address), vested, `day ${day}`)
    before = vested
    if (day < 400) t.diagnostic(`gas of a release ${gasOf(transactions, vesting.address)}`)
  }
  assert.equal(before, schedule.total)
  assert.equal(await pingo.balance(anyone.address), 0n)
  assert.equal(await pingo.balance(vesting.address), 0n)
})

test('a release that does not pay for itself is refused and stays due', async () => {
  const { pingo, team, anyone, vesting } = await vestingWorld()
  pingo.place.now = TEST_EPOCH + 20 * MONTH_SECONDS
  for (const value of ['0.001', '0.01', '0.02']) {
    const { transactions } = await vesting.sendRelease(anyone.getSender(), toNano(value))
    assert.notEqual(exitOf(transactions, vesting.address), 0, value)
  }
  await vesting.sendRelease(anyone.getSender())
  const { vested, released } = await vesting.getVestingData()
  assert.equal(released, vested)
  assert.equal(await pingo.balance(team.address), vested)
})

test('a payment that comes back stays due, and a single unit is paid', async () => {
  const pingo = await pingoWorld()
  const team = await pingo.place.person('team')
  const schedule = { total: 10n, start: TEST_EPOCH, cliff: 100, duration: 100 }
  const vesting = pingo.place.chain.openContract(
    JettonVesting.fromConfig({ ...schedule, kind: 'pingo', minter: pingo.minter.address, beneficiary: team.address }),
  )
  await vesting.sendDeploy(team.getSender())
  await pingo.genesis([[vesting.address, schedule.total]])
  pingo.place.now = TEST_EPOCH + 110
  const mend = await breakWallet(pingo, vesting.address)
  await vesting.sendRelease(team.getSender())
  assert.equal((await vesting.getVestingData()).released, 0n)
  await mend()
  const { transactions } = await vesting.sendRelease(team.getSender())
  assert.equal((await vesting.getVestingData()).released, 1n)
  assert.equal(await pingo.balance(team.address), 1n)
  const [notice] = messagesBetween(transactions, pingo.wallet(team.address).address, team.address)
  assert.ok(notice?.info.type === 'internal' && notice.info.value.coins === 1n, 'the beneficiary is told, with a nano')
})

test('with the least GRAM a release does all', async () => {
  const { pingo, team, anyone, vesting } = await vestingWorld()
  pingo.place.now = TEST_EPOCH + 20 * MONTH_SECONDS
  const start = pingo.place.chain.snapshot()
  const send = async (value: bigint) => {
    await pingo.place.chain.loadFrom(start)
    return vesting.sendRelease(anyone.getSender(), value)
  }
  let [poor, enough] = [0n, toNano('0.2')]
  while (enough - poor > 10_000n) {
    const middle = (poor + enough) / 2n
    if (exitOf((await send(middle)).transactions, vesting.address) === 0) enough = middle
    else poor = middle
  }
  const { transactions } = await send(enough)
  assert.equal(await pingo.balance(team.address), (await vesting.getVestingData()).vested)
  const [left] = messagesBetween(transactions, pingo.wallet(team.address).address, anyone.address)
  const over = left?.info.type === 'internal' ? left.info.value.coins : 0n
  assert.ok(over < toNano('0.02'), `${over} too much was asked for`)
})

test('a release is refused for a nano less than it costs, and pays for all that follows; one that can’t be sent is undone', async () => {
  const { pingo, team, anyone, vesting } = await vestingWorld()
  const { chain } = pingo.place
  pingo.place.now = TEST_EPOCH + 20 * MONTH_SECONDS
  await vesting.sendDeploy(anyone.getSender())
  const kept = await gramOf(chain, vesting.address)
  await assertUndone(chain, vesting.address, anyone.address, (via) => vesting.sendRelease(via))
  const price = { messages: 3n, gas: 23_500n, leaves: toNano('0.02') }
  await assertPrice(chain, vesting.address, (value) => vesting.sendRelease(anyone.getSender(), value), price)
  assert.equal(await pingo.balance(team.address), (await vesting.getVestingData()).vested)
  assert.equal(await gramOf(chain, vesting.address), kept, 'who asks pays, to the nano')
})
