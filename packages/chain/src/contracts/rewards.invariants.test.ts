import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { type Address, toNano } from '@ton/core'
import fc from 'fast-check'
import { CreditTree } from '../credit/tree.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { checkSequences } from '../testing/sequences.ts'
import { exitOf } from '../testing/world.ts'
import { claim, NEW_ACCOUNT, REWARD_TERMS, type RewardAccountState, release, slash } from '../token/reward-account.ts'
import { RewardAccount, RewardDistributor, signVerdict } from './rewards.ts'

const OWNERS = ['alice', 'bob'] as const
const FUNDS = 10n ** 12n
const arbiter = generateKeyPairSync('ed25519')
const stranger = generateKeyPairSync('ed25519')

const owner = fc.constantFrom(...OWNERS)
const value = fc.oneof(fc.constant(toNano('0.2')), fc.bigInt({ min: 0n, max: toNano('0.08') }))
const action = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 100 * 86_400 }) }),
  fc.record({
    kind: fc.constant('root' as const),
    who: fc.constantFrom('authority', 'alice'),
    grow: fc.array(fc.bigInt({ min: 0n, max: 10n ** 11n }), { minLength: 2, maxLength: 2 }),
  }),
  fc.record({ kind: fc.constant('claim' as const), owner, as: owner, old: fc.boolean(), forged: fc.boolean(), value }),
  fc.record({ kind: fc.constant('release' as const), owner, as: owner, value }),
  fc.record({
    kind: fc.constant('slash' as const),
    owner,
    amount: fc.bigInt({ min: 1n, max: 10n ** 11n }),
    honest: fc.boolean(),
    again: fc.boolean(),
    value,
  }),
  fc.record({ kind: fc.constant('fund' as const), amount: fc.bigInt({ min: 1n, max: 10n ** 11n }) }),
)

test('whatever is sent: nobody gets more than was granted, slashed units are gone, and the books are the wallet', async () => {
  await checkSequences({
    async world() {
      const pingo = await pingoWorld()
      const people = Object.fromEntries(
        await Promise.all(
          [...OWNERS, 'authority', 'treasury'].map(async (each) => [each, await pingo.place.person(each)] as const),
        ),
      )
      const authority = people.authority?.address as Address
      const treasury = people.treasury?.address as Address
      const distributor = pingo.place.chain.openContract(
        RewardDistributor.fromConfig({
          ...REWARD_TERMS,
          minter: pingo.minter.address,
          authority,
          arbiter: arbiter.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
          treasury,
          deadline: 0,
          funded: FUNDS,
        }),
      )
      const donor = await pingo.place.person('donor')
      await distributor.sendDeploy(donor.getSender())
      await pingo.genesis([
        [distributor.address, FUNDS],
        [donor.address, 10n ** 15n],
      ])
      return { chain: pingo.place.chain, pingo, people, distributor, treasury, donor }
    },
    action,
    async run({ pingo, people, distributor, treasury, donor }, actions) {
      const address = (who: string) => people[who]?.address as Address
      const sender = (who: string) => (people[who] as NonNullable<(typeof people)[string]>).getSender()
      const account = (who: string) =>
        pingo.place.chain.openContract(RewardAccount.of(distributor.address, REWARD_TERMS, address(who)))
      const accounts = new Map<string, RewardAccountState>(OWNERS.map((each) => [each, NEW_ACCOUNT]))
      const got = new Map<string, bigint>(OWNERS.map((each) => [each, 0n]))
      const granted = new Map<string, bigint>(OWNERS.map((each) => [each, 0n]))
      let [tree, oldTree] = [new CreditTree(), new CreditTree()]
      let [epoch, promised, funded, slashed, sequence] = [0, 0n, FUNDS, 0n, 0]
      for (const step of actions) {
        if (step.kind === 'wait') pingo.place.now += step.seconds
        else if (step.kind === 'root') {
          const totals = OWNERS.map((each, i) => (granted.get(each) as bigint) + (step.grow[i] as bigint) + 1n)
          const next = CreditTree.from(OWNERS.map((each, i) => [address(each), totals[i] as bigint] as const))
          const sum = totals.reduce((a, b) => a + b, 0n)
          const { transactions } = await distributor.sendSetRoot(sender(step.who), {
            epoch: epoch + 1,
            root: next.root(),
            promised: sum,
          })
          const accepted = exitOf(transactions, distributor.address) === 0
          assert.equal(accepted, step.who === 'authority' && sum <= funded && sum >= promised)
          if (accepted) {
            epoch++
            promised = sum
            oldTree = tree
            tree = next
            for (const [i, each] of OWNERS.entries()) granted.set(each, totals[i] as bigint)
          }
        } else if (step.kind === 'claim') {
          const forgery = CreditTree.from([[address(step.owner), FUNDS]])
          const from = step.forged ? forgery : step.old ? oldTree : tree
          if (from.size === 0) continue
          const { transactions } = await account(step.owner).sendClaim(
            sender(step.as),
            from.proof(address(step.owner)),
            step.value,
          )
          const paid =
            exitOf(transactions, distributor.address) === 0 && exitOf(transactions, account(step.owner).address) === 0
          if (paid) {
            assert.ok(step.as === step.owner && from === tree, 'a claim went through that should not')
            const next = claim(
              accounts.get(step.owner) as RewardAccountState,
              REWARD_TERMS,
              from.get(address(step.owner)),
              pingo.place.now,
            )
            assert.ok(next, 'a claim paid twice')
            accounts.set(step.owner, next.state)
            got.set(step.owner, (got.get(step.owner) as bigint) + next.pay)
          }
        } else if (step.kind === 'release') {
          const { transactions } = await account(step.owner).sendRelease(sender(step.as), step.value)
          if (
            exitOf(transactions, account(step.owner).address) === 0 &&
            exitOf(transactions, distributor.address) === 0
          ) {
            assert.equal(step.as, step.owner)
            const next = release(accounts.get(step.owner) as RewardAccountState, REWARD_TERMS, pingo.place.now)
            assert.ok(next, 'a release paid what was locked')
            accounts.set(step.owner, next.state)
            got.set(step.owner, (got.get(step.owner) as bigint) + next.pay)
          }
        } else if (step.kind === 'slash') {
          const number = step.again ? sequence : sequence + 1
          const verdict = {
            distributor: distributor.address,
            owner: address(step.owner),
            amount: step.amount,
            sequence: number,
            evidence: 1n,
          }
          const signature = signVerdict(verdict, (step.honest ? arbiter : stranger).privateKey)
          const before = await pingo.balance(treasury)
          await distributor.sendSlash(sender('alice'), verdict, signature, step.value)
          const took = (await pingo.balance(treasury)) - before
          if (took > 0n) {
            assert.ok(step.honest && !step.again, 'slashed without a verdict')
            const next = slash(accounts.get(step.owner) as RewardAccountState, step.amount)
            assert.equal(took, next.taken)
            accounts.set(step.owner, next.state)
            slashed += took
            sequence = number
          }
        } else {
          await pingo.wallet(donor.address).sendTransfer(donor.getSender(), {
            to: distributor.address,
            amount: step.amount,
            forwardAmount: toNano('0.02'),
          })
          funded += step.amount
        }
        const books = await distributor.getDistributorData()
        assert.equal(books.funded, funded)
        assert.equal(
          books.funded - books.paid,
          await pingo.balance(distributor.address),
          `${step.kind}: books and wallet`,
        )
        assert.equal(await pingo.balance(treasury), slashed)
        for (const each of OWNERS) {
          assert.equal(await pingo.balance(address(each)), got.get(each), `${step.kind}: ${each}'s balance`)
          assert.ok((got.get(each) as bigint) <= (granted.get(each) as bigint))
        }
      }
    },
  })
})
