import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseHomes, misplaced } from './homes.ts'

const node = (i: number, domain = `domain-${i}`) => ({ id: `node-${i}`, domain, weight: 1 })
const nodes = (n: number, domains = n) => Array.from({ length: n }, (_, i) => node(i, `domain-${i % domains}`))

test('rebuilt shards go to nodes and domains that hold none of the stripe', () => {
  const all = nodes(40, 20)
  for (let key = 0; key < 50; key++) {
    const holders = all.slice(0, 14)
    const chosen = chooseHomes(`${key}`, all, holders, 2)
    const domains = new Set([...holders, ...chosen].map(({ domain }) => domain))
    assert.equal(domains.size, 16)
  }
})

test('where every domain holds a shard, the emptiest are taken; where nobody is left, nobody', () => {
  const all = nodes(20, 8)
  const chosen = chooseHomes('key', all, all.slice(0, 10), 4)
  const domains = chosen.map(({ domain }) => Number(domain.slice('domain-'.length)))
  assert.ok(new Set(domains).size === 4 && domains.every((domain) => domain >= 2), `${domains}`)
  assert.deepEqual(chooseHomes('key', nodes(3), nodes(3), 2), [])
})

test('one repair chooses what the next would: nothing depends on who else is there', () => {
  const all = nodes(30)
  const first = chooseHomes('key', all, all.slice(0, 14), 2)
  const withoutOther = all.filter(({ id }) => id !== first[1]!.id)
  assert.equal(chooseHomes('key', withoutOther, all.slice(0, 14), 2)[0]!.id, first[0]!.id)
})

test('shards of a leaving node are moved, and one of a crowded domain where another has room', () => {
  const stays = () => false
  assert.deepEqual(
    misplaced(
      nodes(16),
      () => nodes(20),
      (id) => id === 'node-3',
    ),
    [3],
  )
  assert.deepEqual(
    misplaced(nodes(16), () => nodes(20), stays),
    [],
  )
  const crowded = [node(0, 'a'), node(1, 'a'), node(2, 'b'), undefined]
  assert.deepEqual(
    misplaced(crowded, () => [node(3, 'a'), node(4, 'b')], stays),
    [],
  )
  assert.deepEqual(
    misplaced(crowded, () => [node(5, 'c')], stays),
    [0],
  )
})
