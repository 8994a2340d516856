import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Address, beginCell, contractAddress } from '@ton/core'
import { createPassLookup, type PassReader, type PassState } from './lookup.ts'

const collection = account(1)
const owner = account(2)

test('held, revoked, none: each with its own word', async () => {
  const { reader, states } = chain()
  const lookup = createPassLookup(reader)
  states.set(owner.toString(), pass(owner, { level: 2, epoch: 5 }))
  const { pass: at, ...held } = await lookup.require(owner)
  assert.deepEqual(held, { standing: 'held', level: 2, epoch: 5 })
  assert.ok(at.equals(reader.passOf(owner)))
  await lookup.require(owner, { minLevel: 2, presented: reader.passOf(owner) })
  await assert.rejects(lookup.require(owner, { minLevel: 3 }), { code: 'PASS_LEVEL' })
  const [bad, none] = [account(3), account(4)]
  states.set(bad.toString(), pass(bad, { revokedAt: 77 }))
  await assert.rejects(lookup.require(bad), { code: 'PASS_REVOKED' })
  assert.equal((await lookup.find(bad)).standing, 'revoked')
  await assert.rejects(lookup.require(none), { code: 'PASS_NONE' })
  // destroyed by its owner
  states.set(none.toString(), pass(none, { level: 0 }))
  lookup.forget(none)
  await assert.rejects(lookup.require(none), { code: 'PASS_NONE' })
})

test('a foreign pass is refused: shown, or where the chain would be lying', async () => {
  const { reader, states } = chain()
  const lookup = createPassLookup(reader)
  states.set(owner.toString(), pass(owner))
  const other = chain(account(9)).reader
  for (const presented of [other.passOf(owner), reader.passOf(account(3)), owner])
    await assert.rejects(lookup.require(owner, { presented }), { code: 'PASS_FOREIGN' })
  const liars = [account(5), account(6)] as const
  states.set(liars[0].toString(), { ...pass(liars[0]), collection: account(9) })
  states.set(liars[1].toString(), pass(owner))
  for (const liar of liars) await assert.rejects(lookup.require(liar), { code: 'PASS_FOREIGN' })
})

test('answers hold for a while, those that there is none for a shorter one', async () => {
  const { reader, states, asked } = chain()
  let now = 0
  const lookup = createPassLookup(reader, { now: () => now, heldTtlMs: 60, noneTtlMs: 5 })
  assert.equal((await lookup.find(owner)).standing, 'none')
  states.set(owner.toString(), pass(owner))
  now = 4
  assert.equal((await lookup.find(owner)).standing, 'none')
  now = 5
  assert.equal((await lookup.find(owner)).standing, 'held')
  states.set(owner.toString(), pass(owner, { revokedAt: 1 }))
  now = 64
  assert.equal((await lookup.find(owner)).standing, 'held')
  assert.equal(asked.length, 2)
  now = 65
  assert.equal((await lookup.find(owner)).standing, 'revoked')
  states.delete(owner.toString())
  lookup.forget(owner)
  assert.equal((await lookup.find(owner)).standing, 'none')
})

test('equal questions at once are one; who gives up does not end it for the others', async () => {
  const { reader, states, asked, hold } = chain()
  states.set(owner.toString(), pass(owner))
  const release = hold()
  const lookup = createPassLookup(reader)
  const stop = new AbortController()
  const [one, two, three] = [lookup.find(owner), lookup.find(owner, { signal: stop.signal }), lookup.find(owner)]
  stop.abort()
  await assert.rejects(two, { name: 'AbortError' })
  release()
  assert.equal((await one).standing, 'held')
  assert.equal((await three).standing, 'held')
  assert.equal(asked.length, 1)
  await assert.rejects(lookup.find(owner, { signal: stop.signal }), { name: 'AbortError' })
})

test('what was asked before a pass was claimed is not remembered after it', async () => {
  const { reader, states, hold } = chain()
  const lookup = createPassLookup(reader)
  const release = hold()
  const early = lookup.find(owner)
  lookup.forget(owner)
  states.set(owner.toString(), pass(owner))
  const late = lookup.find(owner)
  release()
  assert.equal((await early).standing, 'none')
  assert.equal((await late).standing, 'held')
  assert.equal((await lookup.find(owner)).standing, 'held')
})

test('a chain that fails or hangs lets nobody in, and is asked again', async () => {
  const { reader, states, asked } = chain()
  states.set(owner.toString(), pass(owner))
  let fails = true
  const flaky: PassReader = {
    ...reader,
    read: (...a) => (fails ? Promise.reject(new Error('down')) : reader.read(...a)),
  }
  const lookup = createPassLookup(flaky)
  await assert.rejects(lookup.require(owner), { code: 'PASS_UNKNOWN' })
  fails = false
  await lookup.require(owner)
  assert.equal(asked.length, 1)
  const read: PassReader['read'] = (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  await assert.rejects(createPassLookup({ ...reader, read }, { deadlineMs: 10 }).require(owner), {
    code: 'PASS_UNKNOWN',
  })
})

test('what is remembered and what is under way are bounded', async () => {
  const { reader, asked, hold } = chain()
  const lookup = createPassLookup(reader, { maxCached: 3, maxUnderWay: 3, now: () => 0 })
  for (let i = 10; i < 20; i++) await lookup.find(account(i))
  await lookup.find(account(17)) // used again: 18 is now the longest unused
  await lookup.find(account(20))
  const before = asked.length
  for (const i of [17, 19, 20]) await lookup.find(account(i))
  assert.equal(asked.length, before)
  await lookup.find(account(18))
  assert.equal(asked.length, before + 1)
  const release = hold()
  const three = [30, 31, 32].map((i) => lookup.find(account(i)))
  await assert.rejects(lookup.find(account(33)), { code: 'PASS_BUSY' })
  release()
  await Promise.all(three)
  await lookup.find(account(33))
})

function account(n: number): Address {
  return new Address(0, Buffer.alloc(32, n))
}

function pass(owner: Address, o: Partial<PassState> = {}): PassState {
  return { owner, collection, revokedAt: 0, level: 1, epoch: 1, ...o }
}

/** A chain with passes by owner, which can be made to wait. */
function chain(of = collection) {
  const states = new Map<string, PassState>()
  const asked: Address[] = []
  let gate: Promise<void> = Promise.resolve()
  const owners = new Map<string, Address>()
  const reader: PassReader = {
    collection: of,
    passOf(owner) {
      const code = beginCell().storeUint(1, 8).endCell()
      const data = beginCell().storeAddress(of).storeAddress(owner).endCell()
      const address = contractAddress(0, { code, data })
      owners.set(address.toString(), owner)
      return address
    },
    async read(address) {
      asked.push(address)
      const found = states.get((owners.get(address.toString()) as Address).toString())
      await gate
      return found
    },
  }
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    return resolve
  }
  return { reader, states, asked, hold }
}
