import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { durabilityPage, PUBLISHED_PAGE } from './publish-page.ts'

test('docs/storage-durability.md says what the model and the simulator say', () => {
  assert.equal(
    readFileSync(PUBLISHED_PAGE, 'utf8'),
    durabilityPage(),
    'node packages/storage/src/durability/publish-page.ts',
  )
})
