import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { artifact } from './artifacts.ts'
import { CONTRACTS_FOLDER, compile, generatedSources } from './compile.ts'
import { CONTRACTS, type ContractName } from './contracts.ts'

test('the committed sources that come from the schema are what the schema says', () => {
  for (const [file, text] of Object.entries(generatedSources())) {
    assert.equal(
      readFileSync(join(CONTRACTS_FOLDER, file), 'utf8'),
      text,
      `${file}: run npm run build -w packages/chain`,
    )
  }
})

test('the committed code of every contract is what its sources compile to', async () => {
  for (const name of Object.keys(CONTRACTS) as ContractName[]) {
    assert.deepEqual(await compile(name), artifact(name), `${name}: run npm run build -w packages/chain`)
  }
})
