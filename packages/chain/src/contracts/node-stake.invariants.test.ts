import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { type Cell, toNano } from '@ton/core'
import fc from 'fast-check'
import * as schema from '../schema/index.ts'
import { decode, encode } from '../schema/index.ts'
import { breakWallet, fund, signerNamed } from '../testing/pay.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { checkSequences } from '../testing/sequences.ts'
import { bondPayload, NodeStake, signStakeVerdict, signVote } from './node-stake.ts'
import { keyNumber } from './voucher-channel.ts'

const DAY = 86_400
const NETWORK = 77
const START = 10n ** 9n
const BOND = 1000n
const UNBOND = 2 * DAY
const OWNERS = ['alice', 'bob'] as const
const NODES = ['n', 'm'] as const
const PEOPLE = [...OWNERS, 'hunter', 'treasury'] as const
type Name = (typeof PEOPLE)[number]
const arbiter = signerNamed('a')
const forger = signerNamed('f')

/** With this much a message always pays for itself; with less it may fail, and then nothing may have happened. */
const RICH = toNano('0.3')
const owner = fc.constantFrom(...OWNERS)
const node = fc.constantFrom(...NODES)
const value = fc.oneof(fc.constant(RICH), fc.constant(RICH), fc.bigInt({ min: 0n, max: toNano('0.1') }))
const rarely = fc.constantFrom(false, false, false, true)
const amount = fc.bigInt({ min: 1n, max: 3000n })
const vote = fc.record({
  slot: fc.constantFrom(1n, 1n, 1n, 2n),
  kind: fc.constantFrom(1 as const, 2 as const, 3 as const),
  hash: fc.constantFrom(Buffer.alloc(32, 1), Buffer.alloc(32, 2)),
})
const action = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 2 * DAY }) }),
  { arbitrary: fc.record({ kind: fc.constant('bond' as const), owner, node, amount, forged: rarely }), weight: 3 },
  {
    arbitrary: fc.record({ kind: fc.constant('unbond' as const), owner, node, amount, all: fc.boolean(), value }),
    weight: 2,
  },
  {
    arbitrary: fc.record({ kind: fc.constant('withdraw' as const), owner, node, value, broken: rarely }),
    weight: 2,
  },
  fc.record({
    kind: fc.constant('equivocation' as const),
    node,
    first: vote,
    second: vote,
    forged: rarely,
    value,
    broken: rarely,
  }),
  fc.record({
    kind: fc.constant('verdict' as const),
    node,
    amount,
    forged: rarely,
    again: rarely,
    value,
    broken: rarely,
  }),
  fc.record({ kind: fc.constant('collect' as const), to: fc.constantFrom(...PEOPLE), value }),
)

interface Bond {
  owner: Name
  bonded: bigint
  unbonding: bigint
  unlocksAt: number
  since: number
  verdicts: number
}

interface Books {
  nodes: Map<string, Bond>
  slashed: Set<string>
  owed: Map<Name, bigint>
  has: Map<Name, bigint>
}

const copy = (books: Books): Books => ({
  nodes: new Map([...books.nodes].map(([key, bond]) => [key, { ...bond }])),
  slashed: new Set(books.slashed),
  owed: new Map(books.owed),
  has: new Map(books.has),
})

/** Pays somebody; what cannot be paid is owed. */
function pay(books: Books, to: Name, amount: bigint, broken: boolean): void {
  // a payment of nothing cannot come back
  if (amount === 0n) return
  const side = broken ? books.owed : books.has
  side.set(to, (side.get(to) ?? 0n) + amount)
}

function slash(books: Books, name: string, wanted: bigint, broken: boolean): void {
  const bond = books.nodes.get(name) as Bond
  const all = bond.bonded + bond.unbonding
  const taken = wanted < all ? wanted : all
  const fromBonded = taken < bond.bonded ? taken : bond.bonded
  bond.bonded -= fromBonded
  bond.unbonding -= taken - fromBonded
  if (taken === all) {
    books.nodes.delete(name)
    books.slashed.add(name)
  }
  const bounty = taken / 20n
  pay(books, 'hunter', bounty, broken)
  pay(books, 'treasury', taken - bounty, broken)
}

test('whatever is sent: bonds return to their owners alone, a slashed one never, and nobody is slashed twice', async () => {
  await checkSequences({
    length: 14,
    async world() {
      const pingo = await pingoWorld()
      const people = Object.fromEntries(
        await Promise.all(PEOPLE.map(async (each) => [each, await pingo.place.person(each)] as const)),
      ) as Record<Name, Awaited<ReturnType<typeof pingo.place.person>>>
      const stake = pingo.place.chain.openContract(
        NodeStake.fromConfig({
          minter: pingo.minter.address,
          treasury: people.treasury.address,
          arbiterKey: arbiter.publicKey,
          network: NETWORK,
          minBond: BOND,
          unbondSeconds: UNBOND,
          bountyParts: 500,
        }),
      )
      await stake.sendDeploy(people.hunter.getSender())
      await pingo.genesis(PEOPLE.map((each) => [people[each].address, START] as const))
      return { chain: pingo.place.chain, pingo, people, stake }
    },
    action,
    async run({ pingo, people, stake }, actions) {
      const contract = stake.address
      let model: Books = { nodes: new Map(), slashed: new Set(), owed: new Map(), has: new Map() }
      for (const each of PEOPLE) model.has.set(each, START)
      const named = (raw: string) => PEOPLE.find((each) => people[each].address.toRawString() === raw) as Name
      const read = async (): Promise<Books> => {
        const data = await stake.getStakeData()
        const books: Books = { nodes: new Map(), slashed: new Set(), owed: new Map(), has: new Map() }
        for (const each of NODES) {
          const { publicKey } = signerNamed(each)
          if (await stake.getIsSlashed(publicKey)) books.slashed.add(each)
          const bond = data.nodes.get(publicKey.toString('hex'))
          if (bond) books.nodes.set(each, { ...bond, owner: named(bond.owner.toRawString()) })
        }
        for (const [to, sum] of data.owed) books.owed.set(named(to), sum)
        for (const each of PEOPLE) books.has.set(each, await pingo.balance(people[each].address))
        assert.equal(data.nodeCount, books.nodes.size)
        assert.equal(data.slashedCount, books.slashed.size)
        return books
      }
      for (const step of actions) {
        const { now } = pingo.place
        const after = copy(model)
        let rich = true
        if (step.kind === 'wait') pingo.place.now += step.seconds
        else if (step.kind === 'bond') {
          const by = step.forged ? forger : signerNamed(step.node)
          const consent = { network: NETWORK, contract, owner: people[step.owner].address }
          const payload = forKey(bondPayload(consent, by), signerNamed(step.node).publicKey)
          await fund(pingo, people[step.owner], contract, step.amount, { payload, forwardAmount: toNano('0.2') })
          const bond = after.nodes.get(step.node)
          const isNew = !bond && !step.forged && step.amount >= BOND && !model.slashed.has(step.node)
          const isMore = bond?.owner === step.owner && bond.bonded + step.amount >= BOND
          if (isNew) {
            const fresh = { bonded: step.amount, unbonding: 0n, unlocksAt: 0, since: now, verdicts: 0 }
            after.nodes.set(step.node, { owner: step.owner, ...fresh })
          }
          if (bond && isMore) bond.bonded += step.amount
          // whatever is no good bond comes back
          const paid = isNew || isMore ? step.amount : 0n
          after.has.set(step.owner, (after.has.get(step.owner) as bigint) - paid)
        } else {
          rich = step.value === RICH
          const broken = 'broken' in step && step.broken
          const mend = broken ? await breakWallet(pingo, contract) : undefined
          const key = 'node' in step ? signerNamed(step.node).publicKey : Buffer.alloc(32)
          const bond = 'node' in step ? after.nodes.get(step.node) : undefined
          const hunter = people.hunter.getSender()
          if (step.kind === 'unbond') {
            const asked = step.all && bond && bond.bonded > 0n ? bond.bonded : step.amount
            await stake.sendUnbond(people[step.owner].getSender(), key, asked, step.value)
            const left = (bond?.bonded ?? 0n) - asked
            if (bond && bond.owner === step.owner && (left === 0n || left >= BOND)) {
              bond.bonded = left
              bond.unbonding += asked
              bond.unlocksAt = now + UNBOND
            }
          } else if (step.kind === 'withdraw') {
            await stake.sendWithdraw(people[step.owner].getSender(), key, step.value)
            if (bond && bond.owner === step.owner && bond.unbonding > 0n && now >= bond.unlocksAt) {
              pay(after, step.owner, bond.unbonding, broken)
              bond.unbonding = 0n
              if (bond.bonded === 0n) after.nodes.delete(step.node)
            }
          } else if (step.kind === 'equivocation') {
            const by = step.forged ? forger : signerNamed(step.node)
            const [first, second] = [signVote(NETWORK, step.first, by), signVote(NETWORK, step.second, by)]
            await stake.sendEquivocation(hunter, { key, first, second }, step.value)
            const kinds = [step.first.kind, step.second.kind].sort().join()
            const differ = !step.first.hash.equals(step.second.hash)
            const lies = kinds === '2,3' || ((kinds === '1,1' || kinds === '2,2') && differ)
            if (bond && !step.forged && step.first.slot === step.second.slot && lies)
              slash(after, step.node, bond.bonded + bond.unbonding, broken)
          } else if (step.kind === 'verdict') {
            const number = (bond?.verdicts ?? 0) + (step.again ? 0 : 1)
            const said = { network: NETWORK, contract, key, since: bond?.since ?? 0, number, amount: step.amount }
            const signature = signStakeVerdict(said, step.forged ? forger : arbiter)
            await stake.sendVerdict(hunter, { key, number, amount: step.amount, signature }, step.value)
            if (bond && !step.forged && !step.again) {
              bond.verdicts = number
              slash(after, step.node, step.amount, broken)
            }
          } else {
            await stake.sendCollect(hunter, people[step.to].address, step.value)
            pay(after, step.to, after.owed.get(step.to) ?? 0n, false)
            after.owed.delete(step.to)
          }
          await mend?.()
        }
        const is = await read()
        // what is too poor may fail, but then nothing has happened
        if (!rich && isDeepStrictEqual(is, model)) continue
        assert.deepEqual(is, after, step.kind)
        model = after
        let booked = 0n
        for (const { bonded, unbonding } of is.nodes.values()) booked += bonded + unbonding
        for (const sum of is.owed.values()) booked += sum
        assert.equal(await pingo.balance(contract), booked, 'books and wallet')
        for (const each of is.slashed) assert.ok(!is.nodes.has(each), 'a slashed key has a bond again')
      }
    },
  })
})

/** The same payload for a key: with another's signature it is forged. */
function forKey(payload: Cell, key: Buffer): Cell {
  const { signature } = decode(schema.BondNode, payload)
  return encode(schema.BondNode, { key: keyNumber(key), signature })
}
