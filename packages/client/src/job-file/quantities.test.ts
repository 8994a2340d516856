import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseBytes, parseCountRange, parseDuration } from './quantities.ts'

test('durations in ms', () => {
  assert.deepEqual(
    ['500ms', '4s', '1.5h', '20m', '2d'].map(parseDuration),
    [500, 4000, 5_400_000, 1_200_000, 172_800_000],
  )
  assert.deepEqual(['4', 's', '-1s', '1 s', '1y'].map(parseDuration), Array(5).fill(undefined))
})

test('sizes in bytes', () => {
  assert.deepEqual(['512Mi', '2GB', '1.5Ki', '4096', '1GiB'].map(parseBytes), [2 ** 29, 2e9, 1536, 4096, 2 ** 30])
  assert.deepEqual(['', 'Mi', '-1', '1Xi'].map(parseBytes), Array(4).fill(undefined))
})

test('ranges, open above', () => {
  assert.deepEqual(parseCountRange('4..200'), { min: 4, max: 200 })
  assert.deepEqual(parseCountRange('2..'), { min: 2, max: undefined })
  assert.equal(parseCountRange('..2'), undefined)
})
