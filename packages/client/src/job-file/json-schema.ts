import { z } from 'zod'
import { JobFileSchema } from './schema.ts'

/** The JSON Schema (2020-12) of a job file, for editors; docs/job-file.schema.json holds it. */
export function jobFileJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(JobFileSchema, { io: 'input', target: 'draft-2020-12' }) as {
    $schema: string
    properties: { model: Record<string, unknown> }
  }
  schema.properties.model.oneOf = [{ required: ['template'] }, { required: ['onnx'] }]
  return { $schema, ...schema }
}
