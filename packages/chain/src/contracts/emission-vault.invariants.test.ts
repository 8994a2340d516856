import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, toNano } from '@ton/core'
import fc from 'fast-check'
import * as schema from '../schema/index.ts'
import { encode, forwardPayload } from '../schema/index.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { checkSequences } from '../testing/sequences.ts'
import { exitOf, TEST_EPOCH } from '../testing/world.ts'
import {
  capOf,
  decayFor,
  type EmissionState,
  EPOCH_SECONDS,
  FULL_FEE_SHARE,
  HALF_LIFE_EPOCHS,
  payFees,
  releaseEpoch,
} from '../token/emission.ts'
import { UNIT } from '../token/split.ts'
import { EmissionVault, MOST_EPOCHS } from './emission-vault.ts'

const AMOUNT = 400_000_000n * UNIT
const FLOOR = 1000n * UNIT
const curve = { decay: decayFor(HALF_LIFE_EPOCHS), feeShare: FULL_FEE_SHARE / 2n }

const value = fc.oneof(fc.constant(toNano('0.3')), fc.bigInt({ min: 0n, max: toNano('0.1') }))
const action = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 40 * EPOCH_SECONDS }) }),
  fc.record({ kind: fc.constant('release' as const), most: fc.integer({ min: 0, max: 255 }), value }),
  fc.record({
    kind: fc.constant('pay' as const),
    fee: fc.boolean(),
    amount: fc.bigInt({ min: 1n, max: 10_000n * UNIT }),
  }),
  fc.record({ kind: fc.constant('forge' as const), amount: fc.bigInt({ min: 1n, max: AMOUNT }), value }),
)

test('whatever is sent: a vault releases what the model says, never more than the curve, and holds the rest', async () => {
  await checkSequences({
    async world() {
      const pingo = await pingoWorld()
      const mallory = await pingo.place.person('mallory')
      const distributor = new Address(0, Buffer.alloc(32, 5))
      const vault = pingo.place.chain.openContract(
        EmissionVault.fromConfig({
          ...curve,
          minter: pingo.minter.address,
          distributor,
          amount: AMOUNT,
          floor: FLOOR,
          start: TEST_EPOCH,
        }),
      )
      await vault.sendDeploy(mallory.getSender())
      await pingo.genesis([
        [vault.address, AMOUNT],
        [mallory.address, 1_000_000n * UNIT],
      ])
      return { chain: pingo.place.chain, pingo, mallory, vault, distributor }
    },
    action,
    async run({ pingo, mallory, vault, distributor }, actions) {
      let model: EmissionState = { rest: AMOUNT, fees: 0n, floor: FLOOR, epoch: 0 }
      let released = 0n
      // the curve's own upper bound: as if every epoch had released all that it may
      let ceiling = 0n
      for (const step of actions) {
        if (step.kind === 'wait') pingo.place.now += step.seconds
        else if (step.kind === 'release') {
          const { transactions } = await vault.sendRelease(mallory.getSender(), step.most, step.value)
          if (exitOf(transactions, vault.address) === 0) {
            const ended = Math.floor((pingo.place.now - TEST_EPOCH) / EPOCH_SECONDS)
            const epochs = Math.min(ended - model.epoch, step.most, MOST_EPOCHS)
            assert.ok(epochs > 0, 'an epoch was released that had not ended')
            for (let i = 0; i < epochs; i++) {
              ceiling += capOf(model.rest, curve.decay)
              const next = releaseEpoch(model, curve)
              model = next.state
              released += next.released
            }
          }
        } else if (step.kind === 'pay') {
          const before = await pingo.balance(mallory.address)
          await pingo.wallet(mallory.address).sendTransfer(mallory.getSender(), {
            to: vault.address,
            amount: step.amount,
            forwardAmount: toNano('0.02'),
            payload: step.fee ? encode(schema.ProtocolFee, {}) : null,
          })
          const paid = before - (await pingo.balance(mallory.address))
          model = step.fee ? payFees(model, paid) : { ...model, rest: model.rest + paid }
        } else {
          const forged = {
            queryId: 0n,
            amount: step.amount,
            sender: mallory.address,
            forwardPayload: forwardPayload(encode(schema.ProtocolFee, {})),
          }
          await mallory.send({
            to: vault.address,
            value: step.value,
            body: encode(schema.TransferNotification, forged),
          })
        }
        const { rest, fees, floor, epoch } = await vault.getVaultData()
        assert.deepEqual({ rest, fees, floor, epoch }, model, step.kind)
        assert.equal(await pingo.balance(vault.address), rest)
        assert.equal(await pingo.balance(distributor), released)
        assert.ok(released <= ceiling)
      }
    },
  })
})
