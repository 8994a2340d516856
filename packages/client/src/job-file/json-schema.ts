import { z } from 'zod'
import { JobFileSchema } from './schema.ts'

/** The JSON Schema (2020-12) of a job file, for editors; docs/job-file.schema.json holds it. */
export function jobFileJsonSchema(): Record<string, unknown> {
  const { $schema, '~standard': _, ...schema } = z.toJSONSchema(JobFileSchema, { io: 'input', target: 'draft-2020-12' })
  const model = schema.properties?.model as Record<string, unknown>
  model.oneOf = [{ required: ['template'] }, { required: ['onnx'] }]
  return { $schema, ...schema }
}
