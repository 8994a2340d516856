import assert from 'node:assert/strict'
import test from 'node:test'
import { toNano } from '@ton/core'
import fc from 'fast-check'
import { breakWallet, fund, signerNamed } from '../testing/pay.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { checkSequences } from '../testing/sequences.ts'
import { TEST_EPOCH } from '../testing/world.ts'
import { signVoucher, voucherForm } from '../voucher/voucher.ts'
import { VoucherChannel } from './voucher-channel.ts'

const DAY = 86_400
const NETWORK = -3
const START = 10n ** 9n
const FUNDED = 1000n
const END = TEST_EPOCH + 10 * DAY
const PEOPLE = ['payer', 'payee', 'mallory'] as const
const key = signerNamed('p')
const forger = signerNamed('f')

/** With this much a message always pays for itself; with less it may fail, and then nothing may have happened. */
const RICH = toNano('0.2')
const who = fc.constantFrom(...PEOPLE)
const value = fc.oneof(fc.constant(RICH), fc.constant(RICH), fc.bigInt({ min: 0n, max: toNano('0.06') }))
const broken = fc.constantFrom(false, false, true)
const action = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 3 * DAY }) }),
  fc.record({ kind: fc.constant('fund' as const), who, amount: fc.bigInt({ min: 1n, max: 1000n }) }),
  {
    arbitrary: fc.record({
      kind: fc.constant('claim' as const),
      who,
      amount: fc.bigInt({ min: 0n, max: 1500n }),
      trick: fc.constantFrom(
        'none',
        'none',
        'none',
        'none',
        'forged',
        'other amount',
        'other channel',
        'other network',
      ),
      value,
      broken,
    }),
    weight: 2,
  },
  fc.record({ kind: fc.constant('close' as const), who, value }),
  fc.record({ kind: fc.constant('settle' as const), who, value, broken }),
)

interface Books {
  funded: bigint
  claimed: bigint
  returned: bigint
  endsAt: number
}

test('whatever is sent: the payee has what was claimed, the payer the rest, and both only what is theirs', async () => {
  await checkSequences({
    async world() {
      const pingo = await pingoWorld()
      const [payer, payee, mallory] = [
        await pingo.place.person('payer'),
        await pingo.place.person('payee'),
        await pingo.place.person('mallory'),
      ]
      const channel = pingo.place.chain.openContract(
        VoucherChannel.fromConfig({
          minter: pingo.minter.address,
          payer: payer.address,
          payee: payee.address,
          payerKey: key.publicKey,
          network: NETWORK,
          expiresAt: END,
          challengeSeconds: DAY,
          id: 1n,
        }),
      )
      await channel.sendDeploy(mallory.getSender())
      await pingo.genesis([payer, payee, mallory].map(({ address }) => [address, START] as const))
      await fund(pingo, payer, channel.address, FUNDED)
      return { chain: pingo.place.chain, pingo, people: { payer, payee, mallory }, channel }
    },
    action,
    async run({ pingo, people, channel }, actions) {
      const form = voucherForm(NETWORK, channel.address)
      let model: Books = { funded: FUNDED, claimed: 0n, returned: 0n, endsAt: END }
      const paidIn = { payer: FUNDED, payee: 0n, mallory: 0n }
      for (const step of actions) {
        const { now } = pingo.place
        const after = { ...model }
        let rich = true
        if (step.kind === 'wait') pingo.place.now += step.seconds
        else if (step.kind === 'fund') {
          await fund(pingo, people[step.who], channel.address, step.amount)
          after.funded += step.amount
          paidIn[step.who] += step.amount
        } else {
          rich = step.value === RICH
          const via = people[step.who].getSender()
          const mend = 'broken' in step && step.broken ? await breakWallet(pingo, channel.address) : undefined
          if (step.kind === 'claim') {
            const other = voucherForm(NETWORK, people.mallory.address)
            const elsewhere = voucherForm(-239, channel.address)
            const of = step.trick === 'other channel' ? other : step.trick === 'other network' ? elsewhere : form
            const voucher = signVoucher(of, step.amount, step.trick === 'forged' ? forger : key)
            const amount = step.trick === 'other amount' ? step.amount + 1n : step.amount
            await channel.sendClaim(via, { ...voucher, amount }, step.value)
            const fits = amount > model.claimed && amount <= model.funded
            if (step.trick === 'none' && now < model.endsAt && fits && !mend) after.claimed = amount
          } else if (step.kind === 'close') {
            await channel.sendClose(via, step.value)
            if (now < model.endsAt && step.who === 'payee') after.endsAt = now
            if (now < model.endsAt && step.who === 'payer') after.endsAt = Math.min(model.endsAt, now + DAY)
          } else {
            await channel.sendSettle(via, step.value)
            if (now >= model.endsAt && !mend) after.returned = model.funded - model.claimed
          }
          await mend?.()
        }
        const { funded, claimed, returned, endsAt } = await channel.getChannelData()
        const is: Books = { funded, claimed, returned, endsAt }
        // what is too poor may fail, but then nothing has happened
        if (!rich && (Object.keys(is) as (keyof Books)[]).every((each) => is[each] === model[each])) continue
        assert.deepEqual(is, after, step.kind)
        assert.ok(claimed >= model.claimed && claimed + returned <= funded)
        model = after
        assert.equal(await pingo.balance(channel.address), funded - claimed - returned, 'books and wallet')
        assert.equal(await pingo.balance(people.payee.address), START - paidIn.payee + claimed)
        assert.equal(await pingo.balance(people.payer.address), START - paidIn.payer + returned)
        assert.equal(await pingo.balance(people.mallory.address), START - paidIn.mallory)
      }
    },
  })
})
