import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { openDatabase } from './database.ts'
import type { Line } from './entry.ts'
import { type NewEntry, OwnerIndex } from './owner-index.ts'

const open = (clock = () => 1_000) => new OwnerIndex(openDatabase(':memory:'), { clock })
const cid = (n: number) =>
  `bafkrei${String(n)
    .replaceAll(/[0189]/g, (d) => 'abcd'['0189'.indexOf(d)]!)
    .padStart(20, 'z')}`
const file = (n: number, o: Partial<NewEntry> = {}): NewEntry => ({
  kind: 'file',
  extents: [{ id: cid(n), bytes: n, storedBytes: 2 * n }],
  bytes: n,
  class: 'hot',
  isPublic: false,
  etag: `tag-${n}`,
  headers: {},
  metadata: {},
  ...o,
})
/** Keys that share beginnings, with code points whose order in UTF-8 is not that of UTF-16. */
const keys = fc
  .array(fc.constantFrom('a', 'b', '/', '/', '-', '\u{ffee}', '\u{1f600}'), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''))
const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

describe('a listing', () => {
  it('has the keys and common prefixes that S3 would tell, in the order of their bytes, page by page', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(keys, { maxLength: 30 }),
        keys.map((key) => Array.from(key).slice(0, 2).join('')),
        fc.constantFrom(undefined, '/', 'a'),
        fc.integer({ min: 1, max: 5 }),
        fc.option(keys, { nil: '' }),
        (names, prefix, delimiter, limit, after) => {
          const index = open()
          for (const key of names) index.put({ bucket: 'one', key }, file(1))
          index.put({ bucket: 'two', key: 'a/b' }, file(2))
          const wanted = new Set<string>()
          for (const key of names) {
            if (!key.startsWith(prefix)) continue
            const cut = delimiter ? key.indexOf(delimiter, prefix.length) : -1
            wanted.add(cut < 0 ? key : key.slice(0, cut + delimiter!.length))
          }
          const found: string[] = []
          for (let next: string | undefined = after; next !== undefined; ) {
            const page = index.list('one', { prefix, delimiter, limit, after: next })
            const told = [...page.entries.map(({ key }) => key), ...page.prefixes].sort(byBytes)
            assert.ok(told.length <= limit)
            if (page.next !== undefined) assert.equal(told.at(-1), page.next)
            found.push(...told)
            next = page.next
          }
          assert.deepEqual(found, [...wanted].filter((name) => byBytes(name, after) > 0).sort(byBytes))
          index.close()
        },
      ),
      { numRuns: 300 },
    )
  })

  it('does not read what lies behind a common prefix', () => {
    const index = open()
    for (let n = 0; n < 2_000; n++) index.put({ bucket: 'one', key: `folder/${n}` }, file(1))
    index.put({ bucket: 'one', key: 'z' }, file(1))
    const { prefixes, entries } = index.list('one', { delimiter: '/' })
    assert.deepEqual([prefixes, entries.map(({ key }) => key)], [['folder/'], ['z']])
    assert.equal([...index.below('one')].length, 2_001)
    index.close()
  })
})

describe('machines of one owner', () => {
  it('agree on every entry whatever order they learn of changes in, and lose none', () => {
    const change = fc.record({
      machine: fc.nat(2),
      key: fc.constantFrom('a', 'b', 'c'),
      isRemoval: fc.boolean(),
      at: fc.nat(20),
    })
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 20 }),
        fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { maxLength: 10 }),
        (changes, talks) => {
          let now = 0
          const machines = [open(() => now), open(() => now), open(() => now)]
          const meet = (to: number, from: number) => machines[to]!.merge(machines[from]!.lines())
          changes.forEach(({ machine, key, isRemoval, at }, n) => {
            now = at // clocks go as they like
            if (isRemoval) machines[machine]!.remove({ bucket: 'one', key })
            else machines[machine]!.put({ bucket: 'one', key }, file(n + 1))
            const [to, from] = talks[n] ?? [0, 0]
            meet(to, from)
          })
          for (const [to, from] of [
            [0, 1],
            [0, 2],
            [1, 0],
            [2, 0],
          ] as const)
            meet(to, from)
          const [first, ...others] = machines.map((index) => index.lines().sort(byPlace))
          for (const other of others) assert.deepEqual(other, first)
          for (const index of machines) {
            assert.deepEqual(index.merge(first as Line[]), { changed: 0, isAhead: false })
            for (const id of index.garbage()) assert.equal(index.isHeld(id), false)
            for (const { extents } of index.below('one')) assert.ok(!index.garbage().includes(extents[0]!.id))
            index.close()
          }
        },
      ),
    )
  })

  it('say who is ahead', () => {
    const [here, there] = [open(), open()]
    here.put({ bucket: 'one', key: 'a' }, file(1))
    there.merge(here.lines())
    assert.deepEqual(there.merge(here.lines()), { changed: 0, isAhead: false })
    there.put({ bucket: 'one', key: 'b' }, file(2))
    assert.deepEqual(there.merge(here.lines()), { changed: 0, isAhead: true })
    assert.deepEqual(here.merge(there.lines()), { changed: 1, isAhead: false })
    there.remove({ bucket: 'one', key: 'a' })
    assert.equal(there.merge(here.lines()).isAhead, true)
    here.merge(there.lines())
    assert.equal(here.get({ bucket: 'one', key: 'a' }), undefined)
    assert.deepEqual(here.garbage(), [cid(1)])
  })
})

describe('objects that nothing refers to', () => {
  it('are garbage once the last entry that had them is gone or replaced, and not before', () => {
    const index = open()
    index.put({ bucket: 'one', key: 'a' }, file(1))
    index.put({ bucket: 'one', key: 'b' }, file(1))
    index.put({ bucket: 'one', key: 'a' }, file(2))
    assert.deepEqual(index.garbage(), [])
    index.remove({ bucket: 'one', key: 'b' })
    assert.deepEqual(index.garbage(), [cid(1)])
    index.put({ bucket: 'one', key: 'c' }, file(1)) // stored anew before the network was told
    assert.deepEqual(index.garbage(), [])
    index.remove({ bucket: 'one', key: 'c' })
    assert.equal(index.forgetting(cid(1)), true)
    assert.equal(index.isForgetting(cid(1)), true)
    index.forgotten(cid(1))
    assert.deepEqual(index.garbage(), [])
  })

  it('a change is never older than what it replaces, whatever the clock says', () => {
    let now = 5_000
    const index = open(() => now)
    const first = index.put({ bucket: 'one', key: 'a' }, file(1))
    now = 10
    const second = index.put({ bucket: 'one', key: 'a' }, file(2))
    assert.deepEqual([second.at, second.version, second.created], [first.at + 1, 2, first.created])
    index.remove({ bucket: 'one', key: 'a' })
    assert.ok(index.put({ bucket: 'one', key: 'a' }, file(3)).at > second.at + 1)
  })
})

const byPlace = (a: Line, b: Line) => byBytes(`${a[0]}/${a[1]}`, `${b[0]}/${b[1]}`)
