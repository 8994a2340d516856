// `npm run build -w packages/chain`: writes the generated sources and the compiled code of all contracts, or of those named.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BUILD_FOLDER } from './artifacts.ts'
import { CONTRACTS_FOLDER, compile, generatedSources } from './compile.ts'
import { CONTRACTS, type ContractName } from './contracts.ts'

for (const [file, text] of Object.entries(generatedSources())) writeFileSync(join(CONTRACTS_FOLDER, file), text)
mkdirSync(BUILD_FOLDER, { recursive: true })
const asked = process.argv.slice(2) as ContractName[]
for (const name of asked.length ? asked : (Object.keys(CONTRACTS) as ContractName[])) {
  const compiled = await compile(name)
  writeFileSync(join(BUILD_FOLDER, `${name}.json`), `${JSON.stringify(compiled, null, 2)}\n`)
  console.log(`${compiled.hash}  ${name}`)
}
