import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { jobFileJsonSchema } from './json-schema.ts'

/** Where the JSON Schema of job files is published. `node packages/client/src/job-file/publish-schema.ts` writes it anew. */
export const PUBLISHED_SCHEMA = fileURLToPath(new URL('../../../../docs/job-file.schema.json', import.meta.url))

export const schemaText = (): string => `${JSON.stringify(jobFileJsonSchema(), null, 2)}\n`

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(PUBLISHED_SCHEMA, schemaText())
  JSON.parse(await readFile(PUBLISHED_SCHEMA, 'utf8'))
}
