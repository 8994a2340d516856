import assert from 'node:assert/strict'
import test from 'node:test'
import { toNano } from '@ton/core'
import fc from 'fast-check'
import * as schema from '../schema/index.ts'
import { encode } from '../schema/index.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { checkSequences } from '../testing/sequences.ts'
import { TEST_EPOCH } from '../testing/world.ts'
import { longVesting, MONTH_SECONDS, vestedAt } from '../token/vesting.ts'
import { JettonVesting } from './jetton-vesting.ts'

const action = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 8 * MONTH_SECONDS }) }),
  fc.record({
    kind: fc.constant('release' as const),
    who: fc.constantFrom('team', 'mallory'),
    value: fc.oneof(fc.constant(toNano('0.1')), fc.bigInt({ min: 0n, max: toNano('0.06') })),
  }),
  fc.record({ kind: fc.constant('steal' as const), amount: fc.bigInt({ min: 1n, max: 10n ** 18n }) }),
  fc.record({ kind: fc.constant('gift' as const), amount: fc.bigInt({ min: 1n, max: 1000n }) }),
)

test('whatever is sent: what is released grows, goes to the beneficiary alone, and never passes the schedule', async () => {
  await checkSequences({
    async world() {
      const pingo = await pingoWorld()
      const [team, mallory] = [await pingo.place.person('team'), await pingo.place.person('mallory')]
      const schedule = longVesting(10n ** 16n + 3n, TEST_EPOCH)
      const vesting = pingo.place.chain.openContract(
        JettonVesting.fromConfig({
          ...schedule,
          kind: 'pingo',
          minter: pingo.minter.address,
          beneficiary: team.address,
        }),
      )
      await vesting.sendDeploy(mallory.getSender())
      await pingo.genesis([
        [vesting.address, schedule.total],
        [mallory.address, 10n ** 9n],
      ])
      return { chain: pingo.place.chain, pingo, people: { team, mallory }, schedule, vesting }
    },
    action,
    async run({ pingo, people, schedule, vesting }, actions) {
      let gifts = 0n
      let before = 0n
      for (const step of actions) {
        if (step.kind === 'wait') pingo.place.now += step.seconds
        else if (step.kind === 'release') {
          await vesting.sendRelease(people[step.who as 'team'].getSender(), step.value)
        } else if (step.kind === 'gift') {
          const had = await pingo.balance(people.mallory.address)
          await pingo
            .wallet(people.mallory.address)
            .sendTransfer(people.mallory.getSender(), { to: vesting.address, amount: step.amount, forwardAmount: 1n })
          gifts += had - (await pingo.balance(people.mallory.address))
        } else {
          const body = encode(schema.JettonBurn, {
            queryId: 0n,
            amount: step.amount,
            responseDestination: null,
            customPayload: null,
          })
          await people.mallory.send({ to: pingo.wallet(vesting.address).address, value: toNano('0.1'), body })
        }
        const { released, vested } = await vesting.getVestingData()
        assert.equal(vested, vestedAt(schedule, pingo.place.now))
        assert.ok(released >= before && released <= vested, 'released out of bounds')
        assert.equal(await pingo.balance(people.team.address), released)
        assert.equal(await pingo.balance(vesting.address), schedule.total - released + gifts)
        before = released
      }
    },
  })
})
