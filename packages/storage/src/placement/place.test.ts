import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Candidate, place, rank } from './place.ts'

const nodes = (n: number, o: Partial<Candidate> = {}): Candidate[] =>
  Array.from({ length: n }, (_, i) => ({ id: `node-${i}`, weight: 1, domain: `domain-${i}`, ...o }))

test('when a node goes, only its own places change', () => {
  const all = nodes(24)
  for (let key = 0; key < 200; key++) {
    const before = place(`stripe-${key}`, all, 16).map(({ id }) => id)
    const gone = before[5]!
    const after = place(
      `stripe-${key}`,
      all.filter(({ id }) => id !== gone),
      16,
    ).map(({ id }) => id)
    assert.deepEqual(
      after.slice(0, 15),
      before.filter((id) => id !== gone),
    )
  }
})

test('nodes get shards in proportion to their weight', () => {
  const candidates = nodes(10).map((node, i) => ({ ...node, weight: i === 0 ? 3 : 1 }))
  let heavy = 0
  const keys = 6_000
  for (let key = 0; key < keys; key++) if (rank(`key-${key}`, candidates)[0]!.id === 'node-0') heavy += 1
  assert.ok(Math.abs(heavy / keys - 3 / 12) < 0.03, `${heavy / keys}`)
})

test('two shards share a failure domain only when there is no other', () => {
  const candidates = nodes(20).map((node, i) => ({ ...node, domain: `domain-${i % 8}` }))
  for (let key = 0; key < 100; key++) {
    const domains = place(`stripe-${key}`, candidates, 16).map(({ domain }) => domain)
    assert.equal(new Set(domains.slice(0, 8)).size, 8)
    assert.equal(new Set(domains.slice(8)).size, 8)
  }
})

test('a preferred node is taken before others, an unused domain before a preferred node', () => {
  const candidates = nodes(8).map((node, i) => ({ ...node, domain: i < 4 ? 'one' : node.domain, isPreferred: i < 4 }))
  const chosen = place('key', candidates, 6)
  assert.ok(chosen[0]!.isPreferred)
  assert.deepEqual(chosen.slice(0, 5).filter(({ domain }) => domain === 'one').length, 1)
})

test('fewer nodes than shards: each is used once', () => {
  assert.equal(new Set(place('key', nodes(5), 16).map(({ id }) => id)).size, 5)
})
