import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assign, type Demand, targetsOf, type Worker } from './share.ts'

const demand = (job: string, changes: Partial<Demand> = {}): Demand => ({
  job,
  min: 1,
  max: 100,
  memoryBytes: 0,
  ...changes,
})
const workers = (count: number, changes: Partial<Worker> = {}): Worker[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `w${100 + i}`,
    memoryBytes: 8,
    job: null,
    movable: true,
    survival: 1,
    ...changes,
  }))
const countsOf = (assignment: Map<string, string | null>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const job of assignment.values()) counts[job ?? 'none'] = (counts[job ?? 'none'] ?? 0) + 1
  return counts
}

test('contributors are shared equally', () => {
  assert.deepEqual(countsOf(assign([demand('a'), demand('b'), demand('c')], workers(10))), { a: 4, b: 3, c: 3 })
})

test('minimum and maximum are kept; who is first in the order gets what it needs', () => {
  assert.deepEqual(countsOf(assign([demand('a', { max: 2 }), demand('b')], workers(10))), { a: 2, b: 8 })
  assert.deepEqual(countsOf(assign([demand('a', { min: 6 }), demand('b', { min: 2 })], workers(9))), { a: 6, b: 3 })
  const targets = targetsOf([demand('a', { min: 6 }), demand('b', { min: 5 }), demand('c')], workers(8))
  assert.deepEqual(
    [...targets],
    [
      ['a', 6],
      ['b', 0],
      ['c', 2],
    ],
  )
})

test('a job gets only contributors with the memory that it needs, even if others have to move', () => {
  const big = workers(2, { memoryBytes: 64, job: 'small' })
  const small = workers(2).map((worker) => ({ ...worker, id: `s${worker.id}` }))
  const assignment = assign([demand('small'), demand('large', { memoryBytes: 32 })], [...big, ...small])
  assert.deepEqual(countsOf(assignment), { small: 2, large: 2 })
  for (const { id } of big) assert.equal(assignment.get(id), 'large')
})

test('of equals, those who will probably stay are taken', () => {
  const list = workers(4).map((worker, i) => ({ ...worker, survival: [0.2, 0.9, 0.5, 0.8][i]! }))
  const assignment = assign([demand('a', { max: 2 })], list)
  assert.deepEqual(
    [...assignment]
      .filter(([, job]) => job === 'a')
      .map(([id]) => id)
      .sort(),
    ['w101', 'w103'],
  )
})

test('nobody moves without need, and nobody who is at work', () => {
  const list = [
    ...workers(3, { job: 'a' }),
    ...workers(6)
      .slice(3)
      .map((worker) => ({ ...worker, job: 'b' })),
  ]
  const assignment = assign([demand('a'), demand('b')], list)
  for (const { id, job } of list) assert.equal(assignment.get(id), job)
  const busy = workers(4, { job: 'a', movable: false })
  assert.deepEqual(countsOf(assign([demand('a'), demand('b')], busy)), { a: 4 })
})

test('shares are fair and within memory, minimum and maximum, whatever is asked', () => {
  const demands = fc.array(
    fc.record({ min: fc.integer({ min: 1, max: 5 }), more: fc.nat(10), memoryBytes: fc.nat(3) }),
    { minLength: 1, maxLength: 6 },
  )
  const pool = fc.array(fc.nat(3), { maxLength: 30 })
  fc.assert(
    fc.property(demands, pool, (wanted, memories) => {
      const list = wanted.map(({ min, more, memoryBytes }, i) => demand(`j${i}`, { min, max: min + more, memoryBytes }))
      const all = memories.map((memoryBytes, i) => ({
        id: `w${100 + i}`,
        memoryBytes,
        job: null,
        movable: true,
        survival: 1,
      }))
      const targets = targetsOf(list, all)
      const assignment = assign(list, all)
      for (const { id, memoryBytes } of all) {
        const job = list.find((other) => other.job === assignment.get(id))
        assert.ok(job === undefined || job.memoryBytes <= memoryBytes)
      }
      const counts = countsOf(assignment)
      for (const { job, min, max } of list) {
        const target = targets.get(job)!
        assert.ok(target === 0 || (target >= min && target <= max))
        assert.ok((counts[job] ?? 0) >= target, `${job} gets what was promised`)
        assert.ok((counts[job] ?? 0) <= max)
      }
    }),
  )
})
