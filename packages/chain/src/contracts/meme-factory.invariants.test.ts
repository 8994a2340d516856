import assert from 'node:assert/strict'
import test from 'node:test'
import { type Address, beginCell, Dictionary, toNano } from '@ton/core'
import fc from 'fast-check'
import * as schema from '../schema/index.ts'
import { decode, dictRoot, encode, forwardPayload } from '../schema/index.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { checkSequences } from '../testing/sequences.ts'
import { transactionsOf } from '../testing/world.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { JettonMinter, JettonWallet } from './jetton.ts'
import { creatorShare, MEME_TERMS, MemeFactory } from './meme-factory.ts'

const NAMES = ['alice', 'bob', 'mallory'] as const
const FEE_GRAM = toNano('1')
const FEE_PINGO = 100n
const name = fc.constantFrom(...NAMES)
const content = encodeMetadata({ name: 'D', symbol: 'D', description: '', decimals: 9, imageHash: '0'.repeat(64) })

const words = {
  from: name,
  holder: name,
  supply: fc.bigInt({ min: 0n, max: 2_000n }),
  percent: fc.nat({ max: 14 }),
  /** What the table of holders gives beyond or below what it should. */
  wrong: fc.oneof(fc.constant(0n), fc.bigInt({ min: -2n, max: 2n })),
  gram: fc.oneof(fc.constant(toNano('2')), fc.bigInt({ min: 0n, max: toNano('2') })),
}
const action = fc.oneof(
  fc.record({ kind: fc.constant('gram' as const), ...words }),
  fc.record({
    kind: fc.constant('pingo' as const),
    ...words,
    fee: fc.oneof(fc.constant(FEE_PINGO), fc.bigInt({ min: 0n, max: 300n })),
  }),
  fc.record({ kind: fc.constant('forged' as const), ...words }),
  fc.record({ kind: fc.constant('genesis' as const), ...words }),
  fc.record({ kind: fc.constant('noise' as const), ...words, bits: fc.uint8Array({ maxLength: 40 }) }),
)

test('whatever is sent: a token that is launched has its whole supply and no admin, PINGO fees are paid or come back, and nothing else is lost', async () => {
  await checkSequences({
    length: 6,
    async world() {
      const pingo = await pingoWorld()
      const people = Object.fromEntries(
        await Promise.all(NAMES.map(async (each) => [each, await pingo.place.person(each)] as const)),
      )
      const treasury = await pingo.place.person('treasury')
      const factory = pingo.place.chain.openContract(
        MemeFactory.fromConfig({
          ...MEME_TERMS,
          treasury: treasury.address,
          feeGram: FEE_GRAM,
          feePingo: FEE_PINGO,
          pingoMinter: pingo.minter.address,
        }),
      )
      await factory.sendDeploy(treasury.getSender())
      await pingo.genesis(NAMES.map((each) => [people[each]?.address as Address, 100_000n] as const))
      return { chain: pingo.place.chain, pingo, people, treasury, factory }
    },
    action,
    async run({ chain, pingo, people, treasury, factory }, actions) {
      const gramOf = async (address: Address) => (await chain.getContract(address)).balance
      let launches = 0n
      let paid = 0n
      for (const step of actions) {
        const sender = people[step.from]
        const holder = people[step.holder]
        if (!sender || !holder) throw new Error('unreachable')
        const rest = step.supply - creatorShare(step.supply, step.percent) + step.wrong
        const table = Dictionary.empty(Dictionary.Keys.BigUint(256), Dictionary.Values.BigVarUint(4))
        if (rest > 0n) table.set(BigInt(`0x${holder.address.hash.toString('hex')}`), rest)
        const launch = encode(schema.LaunchMeme, {
          queryId: 0n,
          supply: step.supply,
          creatorPercent: step.percent,
          holders: dictRoot(table),
          content,
        })
        const before = await gramOf(factory.address)
        const pingoBefore = await pingo.balance(sender.address)
        const { transactions } =
          step.kind === 'pingo'
            ? await pingo.wallet(sender.address).sendTransfer(sender.getSender(), {
                to: factory.address,
                amount: step.fee,
                forwardAmount: step.gram,
                payload: launch,
                value: step.gram + toNano('0.2'),
              })
            : await sender.send({
                to: factory.address,
                value: step.gram,
                body:
                  step.kind === 'gram'
                    ? launch
                    : step.kind === 'forged'
                      ? encode(schema.TransferNotification, {
                          queryId: 0n,
                          amount: FEE_PINGO,
                          sender: sender.address,
                          forwardPayload: forwardPayload(launch),
                        })
                      : step.kind === 'genesis'
                        ? encode(schema.Genesis, {
                            queryId: 0n,
                            respondTo: sender.address,
                            valueEach: 1n,
                            holders: dictRoot(table),
                          })
                        : beginCell().storeBuffer(Buffer.from(step.bits)).endCell(),
              })
        const logged = transactionsOf(transactions, factory.address).flatMap(({ outMessages }) =>
          outMessages.values().filter(({ info }) => info.type === 'external-out'),
        )
        assert.ok(logged.length <= 1)
        const isRight =
          (step.kind === 'gram' || (step.kind === 'pingo' && step.fee === FEE_PINGO)) &&
          step.percent <= MEME_TERMS.mostPercent &&
          step.supply > 0n &&
          step.wrong === 0n &&
          step.holder !== step.from
        if (!isRight) assert.equal(logged.length, 0, `${step.kind}: a token that breaks the terms was launched`)
        else if (step.gram === toNano('2')) assert.equal(logged.length, 1, `${step.kind}: a right launch was refused`)
        for (const { body } of logged) {
          launches += 1n
          if (step.kind === 'pingo') paid += FEE_PINGO
          const { minter, vesting } = decode(schema.MemeLaunched, body)
          const data = await chain.openContract(new JettonMinter(minter)).getJettonData()
          assert.equal(data.supply, step.supply)
          assert.equal(data.mintable, false)
          const balance = async (owner: Address) =>
            (await chain.openContract(JettonWallet.of('meme', minter, owner)).getWalletData()).balance
          const share = creatorShare(step.supply, step.percent)
          assert.equal(vesting === null, share === 0n)
          assert.equal(vesting ? await balance(vesting) : 0n, share)
          assert.equal(await balance(holder.address), rest)
        }
        assert.equal((await factory.getFactoryData()).count, launches)
        assert.equal(await pingo.balance(treasury.address), paid)
        // a notification that brings less GRAM than a refund needs leaves its PINGO with the factory; the wrapper never sends so little
        const stuck = step.kind === 'pingo' && step.gram < toNano('0.1')
        if (!stuck)
          assert.equal(
            await pingo.balance(sender.address),
            pingoBefore - (step.kind === 'pingo' && logged.length ? FEE_PINGO : 0n),
            `${step.kind}: PINGO was lost`,
          )
        assert.ok((await gramOf(factory.address)) >= before, `${step.kind}: the factory paid for it`)
      }
    },
  })
})
