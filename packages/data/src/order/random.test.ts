import assert from 'node:assert/strict'
import { test } from 'node:test'
import { permutation } from './permutation.ts'
import { deriveSeed, Random, splitMix64 } from './random.ts'

test('splitmix64 draws the published outputs of seed 1234567', () => {
  assert.deepEqual(splitMix64(1234567n, 5), [
    6457827717110365317n,
    3203168211198807973n,
    9817491932198370423n,
    4593380528125082431n,
    16408922859458223821n,
  ])
})

test('xoshiro128** 1.1 draws the outputs of its reference implementation from the state 1, 2, 3, 4', () => {
  const random = new Random(1, 2, 3, 4)
  const expected = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804]
  assert.deepEqual(
    expected.map(() => random.next()),
    expected,
  )
})

test('seeds depend on every part and on their order', () => {
  const seeds = [[1], [1, 0], [0, 1], [1, 1], [1, 2], [2, 1]].map((parts) => deriveSeed(...parts))
  assert.equal(new Set(seeds).size, seeds.length)
})

test('below is even: no value of a small range is favoured', () => {
  const random = Random.from(7)
  const counts = new Array<number>(10).fill(0)
  for (let i = 0; i < 100_000; i++) counts[random.below(10)]!++
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, `counts ${counts}`)
})

test('a shuffle of four things reaches all 24 orders about equally often', () => {
  const random = Random.from(3)
  const seen = new Map<string, number>()
  for (let i = 0; i < 24_000; i++) {
    const order = random.shuffle([0, 1, 2, 3]).join()
    seen.set(order, (seen.get(order) ?? 0) + 1)
  }
  assert.equal(seen.size, 24)
  for (const count of seen.values()) assert.ok(Math.abs(count - 1000) < 200)
})

test('a computed permutation is a permutation of any size, and indexOf is its inverse', () => {
  for (const size of [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4097]) {
    for (let seed = 0; seed < 5; seed++) {
      const { at, indexOf } = permutation(size, seed)
      const seen = new Set<number>()
      for (let i = 0; i < size; i++) {
        const value = at(i)
        assert.ok(value >= 0 && value < size)
        assert.equal(indexOf(value), i, `size ${size}, seed ${seed}`)
        seen.add(value)
      }
      assert.equal(seen.size, size, `size ${size}, seed ${seed}`)
    }
  }
  const large = permutation(2 ** 32, 9)
  for (const i of [0, 1, 2 ** 31, 2 ** 32 - 1]) assert.equal(large.indexOf(large.at(i)), i)
})

test('a computed permutation sends the first index everywhere', () => {
  const counts = new Array<number>(20).fill(0)
  for (let seed = 0; seed < 20_000; seed++) counts[permutation(20, seed).at(0)]!++
  for (const count of counts) assert.ok(Math.abs(count - 1000) < 200, `counts ${counts}`)
})
