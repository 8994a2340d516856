import { basename } from 'node:path'
import { checkModel, type Model, parseModel } from '@pingo/graph'
import { PinGoError } from '@pingo/wire'
import type { Job } from '../job-file/settle.ts'
import type { Columns } from './columns.ts'
import { readModelBytes } from './model-file.ts'
import { fromTemplate } from './template.ts'

/** The model of a job: the template made to fit the data, or the user's own file, checked. */
export async function loadModel(job: Job, columns: Columns): Promise<Model> {
  return 'onnx' in job.model ? readModel(job.model.onnx) : fromTemplate(job, job.model, columns)
}

/**
 * Reads an ONNX file and checks that it can be trained.
 * @throws PinGoError MODEL_NOT_FOUND, MODEL_UNREADABLE, ONNX_MALFORMED, ONNX_UNSUPPORTED, GRAPH_UNSUPPORTED
 */
export async function readModel(path: string): Promise<Model> {
  const model = parseModel(await readModelBytes(path))
  const [blocking, ...more] = checkModel(model).blocking
  if (blocking) {
    const { node, op, reason, hint } = blocking
    throw new PinGoError(
      'GRAPH_UNSUPPORTED',
      `${basename(path)} cannot be trained: ${op}${node ? ` (node '${node}')` : ''}: ${reason.replace(/\.$/, '')}.`,
      { hint: [hint, more.length ? `${more.length} more: see \`pingo graph check\`.` : ''].filter(Boolean).join(' ') },
    )
  }
  return model
}
