import assert from 'node:assert/strict'
import test from 'node:test'
import { type Address, beginCell, type Cell, type Transaction, toNano } from '@ton/core'
import type { SandboxContract } from '@ton/sandbox'
import fc from 'fast-check'
import { CreditTree } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { encode, STANDARD } from '../schema/index.ts'
import { gramOf } from '../testing/fees.ts'
import { checkSequences } from '../testing/sequences.ts'
import { exitOf, transactionsOf, world } from '../testing/world.ts'
import { AccessGate, ContributorCollection, ContributorPass, levelOf, passIndexOf } from './pass.ts'

const OWNERS = ['alice', 'bob'] as const
const PEOPLE = [...OWNERS, 'authority', 'mallory'] as const
type Owner = (typeof OWNERS)[number]
type Person = (typeof PEOPLE)[number]

const UNIT = 100n
/** At first: enough for the gate, and too little. */
const EARNED = { alice: 450n, bob: 150n }
const MIN_LEVEL = 2
const GRANT_SECONDS = 600
/** What stays on a pass, whoever takes the rest. */
const RENT = toNano('0.02')

const owner = fc.constantFrom(...OWNERS)
/** Mostly the one who may. */
const person = fc.oneof({ weight: 4, arbitrary: fc.constant('right' as const) }, fc.constantFrom(...PEOPLE))
const value = fc.oneof(
  { weight: 3, arbitrary: fc.constant(toNano('0.1')) },
  fc.bigInt({ min: 1n, max: toNano('0.06') }),
)
/** Mostly the first. */
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, fc.constantFrom(...others))
const weighted = <T>(weight: number, model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => ({
  weight,
  arbitrary: fc.record(model),
})
const action = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 2 * GRANT_SECONDS }) }),
  fc.record({
    kind: fc.constant('root' as const),
    by: person,
    grow: fc.tuple(fc.bigInt({ min: 0n, max: 900n }), fc.bigInt({ min: 0n, max: 900n })),
    epoch: mostly(1, -1, 0, 2),
  }),
  weighted(2, {
    kind: fc.constant('claim' as const),
    by: person,
    whose: owner,
    tree: mostly('new', 'old', 'forged'),
    value,
  }),
  weighted(3, {
    kind: fc.constant('prove' as const),
    by: person,
    whose: owner,
    /** Whose pass: of the collection, or of one that mallory set up. */
    of: mostly('ours', 'theirs'),
    to: mostly('gate', 'collection'),
    gate: mostly('this', 'other'),
    nonce: mostly(2, 0, 1),
    late: mostly(false, true),
    withContent: mostly(true, false),
    value,
  }),
  // a proof that no pass has sent
  fc.record({
    kind: fc.constant('forge' as const),
    by: person,
    whose: owner,
    level: fc.integer({ min: 0, max: 9 }),
    value,
  }),
  fc.record({
    kind: fc.constant('tell' as const),
    by: person,
    whose: owner,
    what: fc.constantFrom('transfer', 'revoke', 'destroy', 'excess', 'request', 'mint', 'nothing'),
    value,
  }),
)

interface Pass {
  level: number
  epoch: number
  revokedAt: number
}
const NONE: Pass = { level: 0, epoch: 0, revokedAt: 0 }

const terms = (authority: Address) => ({
  authority,
  unit: UNIT,
  collection: { name: 'passes', symbol: 'P', description: '', decimals: 0 },
  levels: new Map(),
})

test('whatever is sent: a pass is of its earner and of no higher level than was proven, only its authority ends it, and the gate opens to nothing else', async () => {
  await checkSequences({
    length: 14,
    async world() {
      const place = await world()
      const { chain } = place
      const people = Object.fromEntries(
        await Promise.all(PEOPLE.map(async (name) => [name, await place.person(name)] as const)),
      ) as Record<Person, Awaited<ReturnType<typeof place.person>>>
      const made = async (authority: Person) => {
        const collection = chain.openContract(ContributorCollection.fromConfig(terms(people[authority].address)))
        await collection.sendDeploy(people[authority].getSender())
        return collection
      }
      const [collection, foreign] = [await made('authority'), await made('mallory')]
      const high = CreditTree.from(OWNERS.map((name) => [people[name].address, UNIT * 1000n] as const))
      await foreign.sendSetRoot(people.mallory.getSender(), 1, high.root())
      for (const name of OWNERS)
        await foreign.sendClaim(people[name].getSender(), high.proof(people[name].address), toNano('0.1'))
      const earned = CreditTree.from(OWNERS.map((name) => [people[name].address, EARNED[name]] as const))
      await collection.sendSetRoot(people.authority.getSender(), 1, earned.root())
      const gate = chain.openContract(
        AccessGate.fromConfig({
          collection: collection.address,
          minLevel: MIN_LEVEL,
          grantSeconds: GRANT_SECONDS,
        }),
      )
      await gate.sendDeploy(people.mallory.getSender())
      return { chain, place, people, collection, foreign, gate, earned }
    },
    action,
    async run({ chain, place, people, collection, foreign, gate, earned }, actions) {
      const address = (name: Person) => people[name].address
      const passOf = (name: Owner, of: Address = collection.address): SandboxContract<ContributorPass> =>
        chain.openContract(ContributorPass.of(of, address(name)))
      const passes = new Map<Owner, Pass>()
      const authorities = new Map<Owner, boolean>()
      const grants = new Map<Owner, { until: number; nonce: bigint }>()
      const credit = new Map<Owner, bigint>(OWNERS.map((name) => [name, EARNED[name]]))
      let [tree, old, epoch] = [earned, new CreditTree(), 1]

      /** Sends a body, and looks whether the rent of a pass stays on it. */
      const send = async (by: Person, to: Address, body: Cell, amount: bigint): Promise<Transaction[]> => {
        const before = await Promise.all(OWNERS.map((name) => gramOf(chain, passOf(name).address)))
        const { transactions } = await people[by].send({ to, value: amount, body })
        for (const [i, name] of OWNERS.entries()) {
          const rent = transactionsOf(transactions, passOf(name).address)
            .map(({ description }) => (description.type === 'generic' ? description.storagePhase : undefined))
            .reduce((sum, phase) => sum + (phase?.storageFeesCollected ?? 0n), 0n)
          const had = before[i] as bigint
          const least = (had < RENT ? had : RENT) - rent
          assert.ok((await gramOf(chain, passOf(name).address)) >= least, `the rent of ${name}'s pass was taken`)
        }
        return transactions
      }

      for (const { by: asked, ...step } of actions.map((each) => ({ by: 'right' as const, ...each }))) {
        const right = step.kind === 'root' || (step.kind === 'tell' && step.what === 'revoke') ? 'authority' : undefined
        const by: Person = asked !== 'right' ? asked : (right ?? ('whose' in step ? step.whose : 'mallory'))
        if (step.kind === 'wait') place.now += step.seconds
        else if (step.kind === 'root') {
          const totals = OWNERS.map(
            (name, i) => [name, (credit.get(name) as bigint) + (step.grow[i] as bigint) + 1n] as const,
          )
          const next = CreditTree.from(totals.map(([name, total]) => [address(name), total] as const))
          const root = BigInt(`0x${next.root().toString('hex')}`)
          const body = encode(schema.SetCreditRoot, { queryId: 0n, epoch: Math.max(0, epoch + step.epoch), root })
          const transactions = await send(by, collection.address, body, toNano('0.1'))
          if (exitOf(transactions, collection.address) === 0) {
            assert.ok(by === 'authority' && step.epoch > 0, 'a root that nobody may set')
            ;[old, tree] = [tree, next]
            epoch += step.epoch
            for (const [name, total] of totals) credit.set(name, total)
          }
        } else if (step.kind === 'claim') {
          const forged = CreditTree.from(OWNERS.map((name) => [address(name), 10n ** 6n] as const))
          const from = { new: tree, old, forged }[step.tree] as CreditTree
          if (from.size === 0) continue
          const body = encode(schema.ClaimPass, { queryId: 0n, proof: from.proof(address(step.whose)) })
          const transactions = await send(by, collection.address, body, step.value)
          const pass = passOf(step.whose).address
          if (exitOf(transactions, collection.address) === 0 && exitOf(transactions, pass) === 0) {
            const level = levelOf(credit.get(step.whose) as bigint, UNIT)
            assert.ok(by === step.whose && from === tree && level > 0, 'a pass that was not earned')
            const known = passes.get(step.whose) ?? NONE
            if (known.revokedAt === 0) {
              passes.set(step.whose, { level, epoch, revokedAt: 0 })
              authorities.set(step.whose, true)
            }
          }
        } else if (step.kind === 'prove') {
          const at = step.of === 'ours' ? passOf(step.whose) : passOf(step.whose, foreign.address)
          const last = grants.get(step.whose)?.nonce ?? 0n
          const nonce = last + BigInt(step.nonce) - 1n < 0n ? 0n : last + BigInt(step.nonce) - 1n
          const request = encode(schema.GateRequest, {
            gate: step.gate === 'this' ? gate.address : foreign.address,
            nonce,
            validUntil: place.now + (step.late ? 0 : 60),
          })
          const body = encode(schema.ProveOwnership, {
            queryId: 0n,
            destination: step.to === 'gate' ? gate.address : collection.address,
            forwardPayload: request,
            withContent: step.withContent,
          })
          const transactions = await send(by, at.address, body, step.value)
          if (step.to === 'gate' && exitOf(transactions, gate.address) === 0) {
            const pass = passes.get(step.whose) ?? NONE
            assert.ok(by === step.whose && step.of === 'ours', 'the gate opened to a pass of another')
            assert.ok(
              pass.level >= MIN_LEVEL && pass.revokedAt === 0 && step.withContent,
              'the gate opened to too low a level',
            )
            assert.ok(step.gate === 'this' && !step.late, 'the gate opened to what was not meant for it')
            assert.ok(!grants.has(step.whose) || nonce > last, 'the gate opened twice to one proof')
            const until = place.now + GRANT_SECONDS
            // a new owner's grant makes room of ended ones
            if (!grants.has(step.whose))
              for (const [name, grant] of grants) if (grant.until <= place.now) grants.delete(name)
            grants.set(step.whose, { until, nonce })
          }
        } else if (step.kind === 'forge') {
          const body = encode(schema.OwnershipProof, {
            queryId: 0n,
            index: passIndexOf(address(step.whose)),
            owner: address(step.whose),
            data: encode(schema.GateRequest, { gate: gate.address, nonce: 1000n, validUntil: place.now + 60 }),
            revokedAt: 0n,
            content: encode(schema.PassContent, { level: step.level, epoch: 1 }),
          })
          const transactions = await send(by, gate.address, body, step.value)
          assert.notEqual(exitOf(transactions, gate.address), 0, 'the gate believed what no pass has said')
        } else {
          const pass = passOf(step.whose)
          const transactions = await send(by, pass.address, told(step.what, address(by)), step.value)
          const exit = exitOf(transactions, pass.address)
          if (step.what === 'transfer' || step.what === 'mint') assert.notEqual(exit, 0, step.what)
          const known = passes.get(step.whose) ?? NONE
          if (step.what === 'revoke' && exit === 0) {
            assert.ok(by === 'authority' && authorities.get(step.whose) && known.revokedAt === 0)
            passes.set(step.whose, { ...known, revokedAt: place.now })
          }
          if (step.what === 'destroy' && exit === 0) {
            assert.ok(by === step.whose && known.level > 0, 'destroyed by another')
            passes.set(step.whose, { ...known, level: 0 })
            authorities.set(step.whose, false)
          }
          if (step.what === 'excess' && exit === 0) assert.ok(by === step.whose && known.level > 0)
        }

        for (const name of OWNERS) {
          const pass = passOf(name)
          const known = passes.get(name)
          if (known) {
            const said = await pass.getPassData()
            assert.deepEqual([said.level, said.revokedAt], [known.level, known.revokedAt], `${name} after ${step.kind}`)
            const { owner } = await pass.getNftData()
            assert.equal(owner?.toString(), known.level > 0 ? address(name).toString() : undefined)
          } else assert.notEqual((await chain.getContract(pass.address)).accountState?.type, 'active')
          const { until, nonce } = grants.get(name) ?? { until: 0, nonce: 0n }
          const isOpen = until > place.now
          assert.deepEqual(
            await gate.getGrant(address(name)),
            { until: isOpen ? until : 0, nonce },
            `${name} at the gate after ${step.kind}`,
          )
        }
      }
    },
  })
})

function told(what: string, by: Address): Cell {
  switch (what) {
    case 'transfer':
      return beginCell()
        .storeUint(STANDARD.nftTransfer, 32)
        .storeUint(0, 64)
        .storeAddress(by)
        .storeAddress(by)
        .storeBit(0)
        .storeCoins(0)
        .storeBit(0)
        .endCell()
    case 'revoke':
      return encode(schema.RevokePass, { queryId: 0n })
    case 'destroy':
      return encode(schema.DestroyPass, { queryId: 0n })
    case 'excess':
      return encode(schema.TakeExcess, { queryId: 0n })
    case 'request':
      return encode(schema.RequestOwner, {
        queryId: 0n,
        destination: by,
        forwardPayload: beginCell().endCell(),
        withContent: true,
      })
    case 'mint':
      return encode(schema.MintPass, { queryId: 0n, level: 9, epoch: 9, authority: by })
    default:
      return beginCell().endCell()
  }
}
