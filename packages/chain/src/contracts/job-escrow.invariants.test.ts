import assert from 'node:assert/strict'
import test from 'node:test'
import { toNano } from '@ton/core'
import fc from 'fast-check'
import { breakWallet, fund, signerNamed } from '../testing/pay.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { checkSequences } from '../testing/sequences.ts'
import { TEST_EPOCH } from '../testing/world.ts'
import { signVoucher, voucherForm } from '../voucher/voucher.ts'
import { JobEscrow, signJobVerdict } from './job-escrow.ts'

const DAY = 86_400
const NETWORK = -3
const START = 10n ** 9n
const FUNDED = 1000n
const DEADLINE = TEST_EPOCH + 5 * DAY
const PEOPLE = ['payer', 'payee', 'mallory'] as const
const key = signerNamed('p')
const arbiter = signerNamed('a')
const forger = signerNamed('f')
const job = Buffer.alloc(32, 3)

/** With this much a message always pays for itself; with less it may fail, and then nothing may have happened. */
const RICH = toNano('0.3')
const who = fc.constantFrom(...PEOPLE)
const value = fc.oneof(fc.constant(RICH), fc.constant(RICH), fc.bigInt({ min: 0n, max: toNano('0.1') }))
const honest = fc.constantFrom(true, true, true, false)
const broken = fc.constantFrom(false, false, true)
const amount = fc.bigInt({ min: 0n, max: 1500n })
const action = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 3 * DAY }) }),
  fc.record({ kind: fc.constant('fund' as const), who, amount: fc.bigInt({ min: 1n, max: 1000n }) }),
  fc.record({ kind: fc.constant('release' as const), who, amount, honest, value, broken }),
  fc.record({ kind: fc.constant('dispute' as const), who, value }),
  fc.record({ kind: fc.constant('verdict' as const), who, amount, honest, value, broken }),
  fc.record({ kind: fc.constant('refund' as const), who, value, broken }),
)

interface Books {
  funded: bigint
  released: bigint
  refunded: bigint
  granted: bigint
  disputedAt: number
  isDecided: boolean
}

/** All that is held is paid out: to the payee what is still due of a verdict, to the payer the rest. */
function payAll(books: Books): void {
  const held = books.funded - books.released - books.refunded
  const open = books.granted > books.released ? books.granted - books.released : 0n
  const due = open < held ? open : held
  books.released += due
  books.refunded += held - due
}

test('whatever is sent: no more is paid than came in, and to each only what is theirs', async () => {
  await checkSequences({
    async world() {
      const pingo = await pingoWorld()
      const [payer, payee, mallory] = [
        await pingo.place.person('payer'),
        await pingo.place.person('payee'),
        await pingo.place.person('mallory'),
      ]
      const escrow = pingo.place.chain.openContract(
        JobEscrow.fromConfig({
          minter: pingo.minter.address,
          payer: payer.address,
          payee: payee.address,
          payerKey: key.publicKey,
          arbiterKey: arbiter.publicKey,
          job,
          network: NETWORK,
          deadline: DEADLINE,
          disputeSeconds: DAY,
          verdictSeconds: 2 * DAY,
        }),
      )
      await escrow.sendDeploy(mallory.getSender())
      await pingo.genesis([payer, payee, mallory].map(({ address }) => [address, START] as const))
      await fund(pingo, payer, escrow.address, FUNDED)
      return { chain: pingo.place.chain, pingo, people: { payer, payee, mallory }, escrow }
    },
    action,
    async run({ pingo, people, escrow }, actions) {
      const form = voucherForm(NETWORK, escrow.address)
      let model: Books = {
        funded: FUNDED,
        released: 0n,
        refunded: 0n,
        granted: 0n,
        disputedAt: 0,
        isDecided: false,
      }
      const paidIn = { payer: FUNDED, payee: 0n, mallory: 0n }
      for (const step of actions) {
        const { now } = pingo.place
        const after = { ...model }
        const held = model.funded - model.released - model.refunded
        const isOver = model.isDecided || model.refunded > 0n
        const refundableAt = model.disputedAt === 0 ? DEADLINE + DAY : model.disputedAt + 2 * DAY
        let rich = true
        if (step.kind === 'wait') pingo.place.now += step.seconds
        else if (step.kind === 'fund') {
          await fund(pingo, people[step.who], escrow.address, step.amount)
          after.funded += step.amount
          paidIn[step.who] += step.amount
        } else {
          rich = step.value === RICH
          const via = people[step.who].getSender()
          const mend = 'broken' in step && step.broken ? await breakWallet(pingo, escrow.address) : undefined
          if (step.kind === 'release') {
            await escrow.sendRelease(via, signVoucher(form, step.amount, step.honest ? key : forger), step.value)
            const fits = step.amount > model.released && step.amount <= model.funded
            if (step.honest && !isOver && fits && !mend) after.released = step.amount
          } else if (step.kind === 'dispute') {
            await escrow.sendDispute(via, step.value)
            const isInTime = !isOver && model.disputedAt === 0 && now < DEADLINE + DAY
            if (step.who !== 'mallory' && isInTime) after.disputedAt = now
          } else if (step.kind === 'verdict') {
            const payeeTotal = step.amount
            const said = { network: NETWORK, contract: escrow.address, job, payeeTotal }
            const signature = signJobVerdict(said, step.honest ? arbiter : forger)
            await escrow.sendVerdict(via, { payeeTotal, signature }, step.value)
            if (step.honest && !isOver && model.disputedAt > 0 && payeeTotal <= model.funded && held > 0n) {
              after.isDecided = true
              after.granted = payeeTotal
              if (!mend) payAll(after)
            }
          } else {
            await escrow.sendRefund(via, step.value)
            if ((isOver || now >= refundableAt || step.who === 'payee') && held > 0n && !mend) payAll(after)
          }
          await mend?.()
        }
        const { funded, released, refunded, granted, disputedAt, isDecided } = await escrow.getJobData()
        const is: Books = { funded, released, refunded, granted, disputedAt, isDecided }
        // what is too poor may fail, but then nothing has happened
        if (!rich && (Object.keys(is) as (keyof Books)[]).every((each) => is[each] === model[each])) continue
        assert.deepEqual(is, after, step.kind)
        assert.ok(released + refunded <= funded, 'more was paid than came in')
        model = after
        assert.equal(await pingo.balance(escrow.address), funded - released - refunded, 'books and wallet')
        assert.equal(await pingo.balance(people.payee.address), START - paidIn.payee + released)
        assert.equal(await pingo.balance(people.payer.address), START - paidIn.payer + refunded)
        assert.equal(await pingo.balance(people.mallory.address), START - paidIn.mallory)
      }
    },
  })
})
