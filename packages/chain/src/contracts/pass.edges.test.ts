import assert from 'node:assert/strict'
import test from 'node:test'
import { type Address, beginCell, type Message, toNano } from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import { CreditTree } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { EXIT, encode, opOf } from '../schema/index.ts'
import { assertBounces, assertExcesses, assertUndone, dataWithoutExcesses, deliver, gramOf } from '../testing/fees.ts'
import { exitOf, messagesBetween, TEST_EPOCH, world } from '../testing/world.ts'
import { AccessGate, ContributorCollection, ContributorPass, passIndexOf } from './pass.ts'

const KEEPS = toNano('0.02')
const note = beginCell().storeUint(0xda7a, 16).endCell()

/** A collection, a pass of level 3 that is alice's, and a gate for level 2. */
async function here() {
  const place = await world()
  const { chain } = place
  const [authority, alice, bob] = [
    await place.person('authority'),
    await place.person('alice'),
    await place.person('bob'),
  ]
  const name = { name: 'passes', symbol: 'P', description: '', decimals: 0 }
  const terms = { authority: authority.address, unit: 100n, collection: name, levels: new Map() }
  const collection = chain.openContract(ContributorCollection.fromConfig(terms))
  await collection.sendDeploy(authority.getSender())
  const tree = CreditTree.from([alice, bob].map(({ address }) => [address, 450n] as const))
  await collection.sendSetRoot(authority.getSender(), 1, tree.root())
  const pass = (owner: Address) => chain.openContract(ContributorPass.of(collection.address, owner))
  await collection.sendClaim(alice.getSender(), tree.proof(alice.address))
  const gate = chain.openContract(
    AccessGate.fromConfig({ collection: collection.address, minLevel: 2, grantSeconds: 60 }),
  )
  await gate.sendDeploy(bob.getSender())
  /** What the collection sends to a pass. */
  const mint = (owner: Address, value: bigint, level = 5) => {
    const body = encode(schema.MintPass, { queryId: 0n, level, epoch: 2, authority: authority.address })
    return deliver(chain, collection.address, pass(owner).address, value, body)
  }
  /** A pass as it is deployed, which anyone may do. */
  const born = (owner: Address) => ({
    code: codeOf('contributor-pass'),
    data: encode(schema.PassBirth, { index: passIndexOf(owner), collection: collection.address }),
  })
  return { place, chain, authority, alice, bob, collection, tree, pass, mine: pass(alice.address), gate, mint, born }
}

const bounceOf = (messages: readonly Message[]) => {
  assert.equal(messages.length, 1)
  return messages[0]?.info.type === 'internal' && messages[0].info.bounce
}

test('a pass that was deployed and not minted is nobody’s, of no level and no epoch', async () => {
  const { alice, bob, pass, born } = await here()
  const bobs = pass(bob.address)
  await alice.send({ to: bobs.address, value: toNano('0.05'), init: born(bob.address), body: encode(schema.TopUp, {}) })
  assert.deepEqual(await bobs.getPassData(), { level: 0, epoch: 0, revokedAt: 0 })
  const { isInitialized, owner, content } = await bobs.getNftData()
  assert.deepEqual([isInitialized, owner, content], [false, null, null])
  const ask = { destination: alice.address, data: note, withContent: true }
  const proof = await bobs.sendProveOwnership(bob.getSender(), ask)
  assert.equal(exitOf(proof.transactions, bobs.address), EXIT.SBT_UNAUTHORIZED)
})

test('a first mint gives back from 0.04 GRAM on, a later one what is beyond 0.02, to the nano', async () => {
  const { chain, alice, bob, pass, mine, mint, born } = await here()
  const bobs = pass(bob.address)
  await alice.send({ to: bobs.address, value: toNano('0.05'), init: born(bob.address), body: encode(schema.TopUp, {}) })
  const start = chain.snapshot()
  for (const [value, answers] of [
    [2n * KEEPS - 1n, 0],
    [2n * KEEPS, 1],
  ] as const) {
    await chain.loadFrom(start)
    const { transactions } = await mint(bob.address, value)
    assert.equal(messagesBetween(transactions, bobs.address, bob.address).length, answers)
    assert.equal((await bobs.getPassData()).level, 5)
  }
  await mint(alice.address, KEEPS)
  assert.equal((await mine.getPassData()).level, 5, 'where nothing is left nothing is sent')
  await assertBounces(chain, mine.address, () => mint(alice.address, KEEPS + 1000n, 6))
  const { transactions } = await mint(alice.address, 3n * KEEPS, 7)
  const left = assertExcesses(transactions, mine.address, alice.address)
  assert.ok(left <= 2n * KEEPS && left > 2n * KEEPS - toNano('0.001'))
})

test('a destroyed pass keeps its rent, to the nano; it can be claimed again in the same epoch, but not be revoked before', async () => {
  const { chain, authority, alice, collection, tree, mine } = await here()
  const without = await dataWithoutExcesses(chain, mine.address, alice.address, (via) => mine.sendDestroy(via))
  assert.ok(without)
  await alice.send({ to: mine.address, value: toNano('1'), body: encode(schema.TopUp, {}) })
  const { transactions } = await mine.sendDestroy(alice.getSender())
  assert.equal(await gramOf(chain, mine.address), KEEPS)
  assert.ok(assertExcesses(transactions, mine.address, alice.address) > toNano('0.9'))
  const revoked = await mine.sendRevoke(authority.getSender())
  assert.equal(exitOf(revoked.transactions, mine.address), EXIT.SBT_UNAUTHORIZED)
  await collection.sendClaim(alice.getSender(), tree.proof(alice.address))
  assert.deepEqual(await mine.getPassData(), { level: 3, epoch: 1, revokedAt: 0 })
  assert.ok((await mine.getAuthorityAddress())?.equals(authority.address), 'it can be revoked again')
})

test('proofs and words on the owner come back when they are refused; what is minted and answered does not', async () => {
  const { alice, bob, collection, tree, pass, mine } = await here()
  const ask = { destination: bob.address, data: note, withContent: true }
  const proof = await mine.sendProveOwnership(alice.getSender(), ask)
  assert.equal(bounceOf(messagesBetween(proof.transactions, mine.address, bob.address)), true)
  const words = await mine.sendRequestOwner(alice.getSender(), ask)
  assert.equal(bounceOf(messagesBetween(words.transactions, mine.address, bob.address)), true)
  const data = await alice.send({
    to: mine.address,
    value: toNano('0.05'),
    body: encode(schema.GetStaticData, { queryId: 7n }),
  })
  assert.equal(bounceOf(messagesBetween(data.transactions, mine.address, alice.address)), false)
  const minted = await collection.sendClaim(bob.getSender(), tree.proof(bob.address))
  assert.equal(bounceOf(messagesBetween(minted.transactions, collection.address, pass(bob.address).address)), false)
  // the GRAM of a proof that its destination refuses goes back to the owner
  const refused = await mine.sendProveOwnership(alice.getSender(), { ...ask, destination: collection.address })
  const [back] = messagesBetween(refused.transactions, mine.address, alice.address)
  assert.equal(opOf(back!.body), schema.OwnershipProofBounced.op)
  assert.ok(back!.info.type === 'internal' && !back!.info.bounce && back!.info.value.coins > toNano('0.03'))
})

test('what can’t be sent is undone, and its GRAM goes back', async () => {
  const { chain, authority, alice, bob, collection, tree, mine, gate } = await here()
  const ask = { destination: bob.address, data: note, withContent: true }
  await assertUndone(chain, collection.address, bob.address, (via) =>
    collection.sendClaim(via, tree.proof(bob.address)),
  )
  await assertUndone(chain, mine.address, alice.address, (via) => mine.sendProveOwnership(via, ask))
  await assertUndone(chain, mine.address, bob.address, (via) => mine.sendRequestOwner(via, ask))
  for (const [to, body] of [
    [mine.address, encode(schema.GetStaticData, { queryId: 7n })],
    [collection.address, encode(schema.GetRoyaltyParams, { queryId: 7n })],
  ] as const) {
    const send = () => deliver(chain, bob.address, to, toNano('0.1'), body)
    await assertUndone(chain, to, bob.address, send, 'message')
  }
  await assertBounces(chain, collection.address, () =>
    collection.sendSetRoot(authority.getSender(), 2, Buffer.alloc(32), toNano('0.010001')),
  )
  const proof = encode(schema.OwnershipProof, {
    queryId: 0n,
    index: passIndexOf(alice.address),
    owner: alice.address,
    data: gate.request(1n, TEST_EPOCH + 60),
    revokedAt: 0n,
    content: encode(schema.PassContent, { level: 3, epoch: 1 }),
  })
  await assertBounces(chain, gate.address, () => deliver(chain, mine.address, gate.address, toNano('0.005001'), proof))
})

test('whom a gate has never seen it lets in until never, by no nonce', async () => {
  const { bob, gate } = await here()
  assert.deepEqual(await gate.getGrant(bob.address), { until: 0, nonce: 0n })
})
