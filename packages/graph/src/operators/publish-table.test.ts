import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { contribOperators, operators } from './index.ts'
import { NOTES, operatorsPage, PUBLISHED_TABLE } from './publish-table.ts'

test('the published table of operators is that of the code', () => {
  const page = readFileSync(PUBLISHED_TABLE, 'utf8')
  assert.equal(page, operatorsPage(), 'write it anew: node packages/graph/src/operators/publish-table.ts')
  for (const name of [...operators.keys(), ...contribOperators.keys()])
    assert.ok(page.includes(`\n| ${name} | yes |`), name)
  for (const name of Object.keys(NOTES)) assert.ok(page.includes(`| ${name} |`), `a note on ${name}, which is unknown`)
})
