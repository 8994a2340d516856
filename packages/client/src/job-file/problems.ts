import type { z } from 'zod'
import { nearest } from './nearest.ts'
import { notHonoured, valueNotHonoured } from './refusals.ts'
import { expectations, JobFileSchema } from './schema.ts'

/** One thing that is wrong in a job file: where (the path of the setting) and a sentence without its full stop. */
export interface Problem {
  path: (string | number)[]
  /** Whether the place is the setting's name (an unknown or misplaced one) or its value. */
  at: 'key' | 'value'
  sentence: string
}

/** zod's issues as sentences for people: the wrong key, the nearest right key, what a value must be. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], value: unknown): Problem[] {
  return issues.flatMap((issue) => {
    const path = issue.path.filter((part): part is string | number => typeof part !== 'symbol')
    return issue.code === 'unrecognized_keys'
      ? issue.keys.map((key): Problem => ({ path: [...path, key], at: 'key', sentence: unknownKey(path, key) }))
      : [wrongValue(path, valueAt(value, path), issue.message)]
  })
}

function unknownKey(path: (string | number)[], key: string): string {
  const refused = notHonoured([...path, key].join('.'))
  if (refused) return refused
  const where = path.length ? ` in ${dotted(path)}` : ''
  const near = nearest(key, settingsAt(path))
  const home =
    near?.toLowerCase() === key.toLowerCase() ? undefined : sectionsWith(key).find((name) => name !== dotted(path))
  const advice = home
    ? `; '${key}' belongs in ${home}`
    : near
      ? `; did you mean '${near}'?`
      : settingsAt(path).length
        ? `; known are ${settingsAt(path).join(', ')}`
        : `; it must be ${expectedAt(path)}`
  return `unknown setting '${key.slice(0, 100)}'${where}${advice}`
}

function wrongValue(path: (string | number)[], value: unknown, message: string): Problem {
  const name = dotted(path)
  const refused = valueNotHonoured(name, value)
  if (refused) return { path, at: 'value', sentence: refused }
  if (!path.length) return { path, at: 'value', sentence: 'the job file must hold settings (version, model, data, …)' }
  const expected = expectedAt(path)
  if (value === undefined || value === null) {
    const what = expected ? `; it must be ${expected}` : ''
    return { path, at: 'value', sentence: `the setting '${name}' is missing${what}` }
  }
  if (!expected) {
    const known = settingsAt(path)
    return {
      path,
      at: 'value',
      sentence: known.length
        ? `'${name}' must hold settings (${known.join(', ')}), not ${show(value)}`
        : `'${name}': ${message}`,
    }
  }
  const words = expected.startsWith('one of ') ? expected.slice(7).split(', ') : []
  const near = typeof value === 'string' ? nearest(value, words) : undefined
  return {
    path,
    at: 'value',
    sentence: `'${name}' must be ${expected}, not ${show(value)}${near ? `; did you mean '${near}'?` : ''}`,
  }
}

/** A value as it is shown in a sentence: short, text in quotes. */
function show(value: unknown): string {
  const words = typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? String(value))
  return words.length > 60 ? `${words.slice(0, 60)}…` : words
}

const dotted = (path: readonly (string | number)[]): string =>
  path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${part}` : part),
    '',
  )

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((at, part) => (at as Record<string | number, unknown> | undefined | null)?.[part], value)
}

/** Schemas from the root to the one at `path`; shorter when the path leaves the described settings (lists, unions). */
function schemasTo(path: readonly (string | number)[]): z.ZodType[] {
  const chain: z.ZodType[] = [JobFileSchema]
  for (const part of path) {
    const next = shapeOf(chain.at(-1)!)?.[part]
    if (!next) break
    chain.push(next)
  }
  return chain
}

const unwrap = (schema: z.ZodType): z.ZodType =>
  schema.def.type === 'optional' ? unwrap((schema as z.ZodOptional<z.ZodType>).unwrap()) : schema
const shapeOf = (schema: z.ZodType): Record<string, z.ZodType> | undefined => {
  const inner = unwrap(schema)
  return inner.def.type === 'object' ? (inner as z.ZodObject<Record<string, z.ZodType>>).shape : undefined
}

function settingsAt(path: readonly (string | number)[]): string[] {
  const chain = schemasTo(path)
  return chain.length === path.length + 1 ? Object.keys(shapeOf(chain.at(-1)!) ?? {}) : []
}

function expectedAt(path: readonly (string | number)[]): string | undefined {
  return expectations.get(unwrap(schemasTo(path).at(-1)!))?.expected
}

/** Names of the sections that know a setting of this name. */
function sectionsWith(key: string): string[] {
  return Object.entries(JobFileSchema.shape)
    .filter(([, schema]) => shapeOf(schema)?.[key])
    .map(([name]) => name)
}
