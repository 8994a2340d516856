import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import fc from 'fast-check'
import { checkPatterns, matches } from './patterns.ts'

test('stars stand for any characters, question marks for one, all else for itself', () => {
  for (const [pattern, name, expected] of [
    ['backbone.*', 'backbone.0.weight', true],
    ['backbone.*', 'backbone', false],
    ['*.bias', 'head.bias', true],
    ['*.bias', 'head.biases', false],
    ['*', '', true],
    ['layer?.w', 'layer1.w', true],
    ['layer?.w', 'layer12.w', false],
    ['a*b*c', 'axxbxbxc', true],
    ['a.c', 'abc', false],
    ['(x|y)', '(x|y)', true],
  ] as const)
    assert.equal(matches(pattern, name), expected, `${pattern} ${name}`)
})

test('a match is that of the regular expression it stands for', () => {
  const letters = fc.constantFrom('a', 'b', '.')
  const text = fc.array(letters, { maxLength: 12 }).map((list) => list.join(''))
  const glob = fc.array(fc.oneof(letters, fc.constantFrom('*', '?')), { maxLength: 8 }).map((list) => list.join(''))
  fc.assert(
    fc.property(glob, text, (pattern, name) => {
      const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')
      assert.equal(matches(pattern, name), new RegExp(`^${source}$`).test(name))
    }),
  )
})

test('a hostile pattern is done with at once', () => {
  assert.equal(matches('*a'.repeat(150), `${'a'.repeat(499)}b`), false)
})

test('a pattern that no name is like is a mistake', () => {
  assert.throws(
    () => checkPatterns('frozen', ['head.*', 'tail.*'], ['head.weight']),
    (error: unknown) => isPinGoError(error, 'GRAPH_PATTERN_UNKNOWN') && /tail/.test(error.message) && !!error.hint,
  )
})
