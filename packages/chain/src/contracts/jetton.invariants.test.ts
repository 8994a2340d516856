import assert from 'node:assert/strict'
import test from 'node:test'
import { type Address, beginCell, type Cell, toNano } from '@ton/core'
import fc from 'fast-check'
import * as schema from '../schema/index.ts'
import { encode, forwardPayload } from '../schema/index.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { checkSequences } from '../testing/sequences.ts'
import { SUPPLY } from '../token/split.ts'
import { JettonMinter, jettonTransfer } from './jetton.ts'

const NAMES = ['alice', 'bob', 'mallory'] as const
const name = fc.constantFrom(...NAMES)
const amount = fc.oneof(fc.bigInt({ min: 0n, max: 50n }), fc.bigInt({ min: 0n, max: SUPPLY * 2n }))
/** GRAM that goes along: often too little. */
const value = fc.oneof(fc.constant(toNano('0.1')), fc.bigInt({ min: 0n, max: toNano('0.06') }))

const action = fc.oneof(
  fc.record({
    kind: fc.constant('transfer' as const),
    from: name,
    to: name,
    amount,
    value,
    forward: fc.bigInt({ min: 0n, max: toNano('0.08') }),
  }),
  fc.record({ kind: fc.constant('burn' as const), from: name, amount, value }),
  fc.record({ kind: fc.constant('foreign' as const), from: name, to: name, amount, value }),
  fc.record({ kind: fc.constant('credit' as const), from: name, to: name, amount, value }),
  fc.record({ kind: fc.constant('burnt' as const), from: name, to: name, amount, value }),
  fc.record({ kind: fc.constant('genesis' as const), from: name, amount, value }),
  fc.record({
    kind: fc.constant('noise' as const),
    from: name,
    to: name,
    bits: fc.uint8Array({ maxLength: 60 }),
    value,
  }),
)

test('whatever is sent: balances add up to the supply, the supply only shrinks, and only owners lose jettons', async () => {
  await checkSequences({
    async world() {
      const pingo = await pingoWorld()
      const people = Object.fromEntries(
        await Promise.all(NAMES.map(async (each) => [each, await pingo.place.person(each)] as const)),
      )
      await pingo.genesis([
        [people.alice?.address as Address, SUPPLY - 100n],
        [people.bob?.address as Address, 100n],
      ])
      return { chain: pingo.place.chain, pingo, people }
    },
    action,
    async run({ pingo, people }, actions) {
      const address = (who: string) => people[who]?.address as Address
      const walletOf = (who: string) => pingo.wallet(address(who)).address
      const balances = () => Promise.all(NAMES.map((each) => pingo.balance(address(each))))
      let supply = SUPPLY
      let before = await balances()
      for (const step of actions) {
        const sender = people[step.from]
        if (!sender) throw new Error('unreachable')
        const send = (to: Address, body: Cell) => sender.send({ to, value: step.value, body })
        const [owner] = NAMES.filter((each) => each === step.from)
        if (step.kind === 'transfer') {
          await send(
            walletOf(step.from),
            jettonTransfer({
              to: address(step.to),
              amount: step.amount,
              forwardAmount: step.forward,
              respondTo: sender.address,
            }),
          )
        } else if (step.kind === 'foreign') {
          await send(
            walletOf(step.to),
            jettonTransfer({ to: sender.address, amount: step.amount, respondTo: sender.address }),
          )
        } else if (step.kind === 'burn') {
          await send(
            walletOf(step.from),
            encode(schema.JettonBurn, {
              queryId: 0n,
              amount: step.amount,
              responseDestination: sender.address,
              customPayload: null,
            }),
          )
        } else if (step.kind === 'credit') {
          const credit = {
            queryId: 0n,
            amount: step.amount,
            from: address(step.to),
            responseAddress: null,
            forwardAmount: 0n,
            forwardPayload: forwardPayload(null),
          }
          await send(walletOf(step.from), encode(schema.InternalTransfer, credit))
        } else if (step.kind === 'burnt') {
          await send(
            pingo.minter.address,
            encode(schema.BurnNotification, {
              queryId: 0n,
              amount: step.amount,
              sender: address(step.to),
              responseDestination: null,
            }),
          )
        } else if (step.kind === 'genesis') {
          const minter = pingo.place.chain.openContract(new JettonMinter(pingo.minter.address))
          await minter.sendGenesis(sender.getSender(), new Map([[sender.address, step.amount < 1n ? 1n : step.amount]]))
        } else {
          await send(walletOf(step.to), beginCell().storeBuffer(Buffer.from(step.bits)).endCell())
        }
        const after = await balances()
        const data = await pingo.minter.getJettonData()
        const sum = after.reduce((total, each) => total + each, 0n)
        assert.equal(sum, data.supply, `${step.kind}: balances and supply`)
        assert.ok(data.supply <= supply && data.supply >= 0n, `${step.kind}: the supply grew`)
        if (step.kind !== 'burn') assert.equal(data.supply, supply, `${step.kind}: the supply changed`)
        assert.equal(data.mintable, false)
        for (const [i, each] of NAMES.entries()) {
          if (each !== owner)
            assert.ok((after[i] as bigint) >= (before[i] as bigint), `${step.kind}: ${each} lost jettons to ${owner}`)
        }
        supply = data.supply
        before = after
      }
    },
  })
})
