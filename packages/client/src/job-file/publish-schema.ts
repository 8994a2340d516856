import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { jobFileJsonSchema } from './json-schema.ts'
import { expectations, JobFileSchema } from './schema.ts'

const docs = (name: string): string => fileURLToPath(new URL(`../../../../docs/${name}`, import.meta.url))

/** What is published of the job file's schema: `node packages/client/src/job-file/publish-schema.ts` writes both anew. */
export const PUBLISHED_SCHEMA = docs('job-file.schema.json')
export const PUBLISHED_PAGE = docs('job-file.md')
const [BEGIN, END] = ['<!-- settings: written by publish-schema.ts -->\n', '<!-- end of settings -->']

export const schemaText = (): string => `${JSON.stringify(jobFileJsonSchema(), null, 2)}\n`

/** The page with the tables of settings in place. */
export function pageWithSettings(page: string): string {
  const [from, to] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)]
  if (from < BEGIN.length || to < from) throw new Error(`${PUBLISHED_PAGE} has lost the marks around its settings`)
  return page.slice(0, from) + settingsTables() + page.slice(to)
}

/** A table for each section of a job file: its settings, what they take, what they do. */
function settingsTables(): string {
  const sections = Object.entries(JobFileSchema.shape).map(([name, schema]) => [name, unwrap(schema)] as const)
  const row = (name: string, schema: z.ZodType): string => {
    const cell = (text: string) => text.replaceAll('|', '\\|')
    const inner = unwrap(schema)
    return `| \`${name}\` | ${cell(expectations.get(inner)?.expected ?? '')} | ${cell(inner.description ?? '')} |\n`
  }
  const rows = (shape: Record<string, z.ZodType>, prefix = ''): string =>
    Object.entries(shape)
      .map(([name, schema]) => {
        const nested = shapeOf(unwrap(schema))
        return nested ? rows(nested, `${prefix}${name}.`) : row(`${prefix}${name}`, schema)
      })
      .join('')
  const head = '| setting | takes | what it does |\n| --- | --- | --- |\n'
  const single = sections.filter(([, schema]) => !shapeOf(schema)).map(([name, schema]) => row(name, schema))
  const grouped = sections.flatMap(([name, schema]) => {
    const shape = shapeOf(schema)
    return shape ? [`\n### \`${name}\`\n${schema.description}\n\n${head}${rows(shape)}`] : []
  })
  return `${head}${single.join('')}${grouped.join('')}\n`
}

const unwrap = (schema: z.ZodType): z.ZodType =>
  schema.def.type === 'optional' ? unwrap((schema as z.ZodOptional<z.ZodType>).unwrap()) : schema
const shapeOf = (schema: z.ZodType): Record<string, z.ZodType> | undefined =>
  schema.def.type === 'object' ? (schema as z.ZodObject<Record<string, z.ZodType>>).shape : undefined

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(PUBLISHED_SCHEMA, schemaText())
  await writeFile(PUBLISHED_PAGE, pageWithSettings(await readFile(PUBLISHED_PAGE, 'utf8')))
}
