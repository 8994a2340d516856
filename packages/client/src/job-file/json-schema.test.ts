import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { jobFileJsonSchema } from './json-schema.ts'
import { PUBLISHED_PAGE, PUBLISHED_SCHEMA, pageWithSettings } from './publish-schema.ts'
import { parseJobFile } from './read.ts'

test('the published JSON Schema is that of the code', async () => {
  assert.deepEqual(
    JSON.parse(await readFile(PUBLISHED_SCHEMA, 'utf8')),
    JSON.parse(JSON.stringify(jobFileJsonSchema())),
    'write it anew: node packages/client/src/job-file/publish-schema.ts',
  )
})

test('the page on the job file tells the settings of the code, and its examples are taken', async () => {
  const page = await readFile(PUBLISHED_PAGE, 'utf8')
  assert.equal(page, pageWithSettings(page), 'write it anew: node packages/client/src/job-file/publish-schema.ts')
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!)
  assert.ok(examples.length >= 3)
  for (const text of examples) parseJobFile(text, { file: '/examples/job.yaml' })
})

test('the JSON Schema names every section, allows nothing else, and describes each setting', () => {
  type Schema = { properties?: Record<string, Schema>; additionalProperties?: boolean; description?: string }
  const root = jobFileJsonSchema() as Schema & { required: string[] }
  assert.deepEqual(root.required, ['version', 'model', 'data'])
  const visit = (schema: Schema, path: string) => {
    if (!schema.properties) return
    assert.equal(schema.additionalProperties, false, path)
    for (const [name, property] of Object.entries(schema.properties)) {
      assert.ok(property.description, `${path}.${name} has no description`)
      visit(property, `${path}.${name}`)
    }
  }
  visit(root, 'job')
})
