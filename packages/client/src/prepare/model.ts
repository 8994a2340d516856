import { basename } from 'node:path'
import { checkModel, type Model, parseModel, templates } from '@pingo/graph'
import { type Column, lossKindOf, PinGoError, sizeOf } from '@pingo/wire'
import type { Job, ModelSource } from '../job-file/settle.ts'
import { type Columns, classesOf, describeColumn, holdsClasses } from './columns.ts'
import { readModelBytes } from './model-file.ts'

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

function fromTemplate(job: Job, source: Exclude<ModelSource, { onnx: string }>, { inputs, target }: Columns): Model {
  const input = inputs[0]!
  const isText = input.vocabulary !== undefined
  const isImage = input.shape.length === 3 || (input.shape.length === 2 && !isText)
  const misfit = (reads: string, instead: string) =>
    new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `The ${source.template} template reads ${reads}; the data's input is ${describeColumn(input)}${isText ? ', text' : ''}.`,
      { hint: `Use template ${instead}.` },
    )
  if (inputs.length > 1)
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `A template reads one input; the data have ${inputs.length}: ${inputs.map(({ name }) => name).join(', ')}.`,
      { hint: 'Name the columns with data.features, or bring your own ONNX model.' },
    )
  const { seed } = job
  switch (source.template) {
    case 'mlp':
      if (isText) throw misfit('numbers', 'gpt')
      return templates.mlp({ inputs: [...input.shape], ...outputsFor(job, target), hidden: source.hidden, seed })
    case 'cnn': {
      if (!isImage || isText) throw misfit('images', isText ? 'gpt' : 'mlp')
      const shape = (input.shape.length === 3 ? input.shape : [1, ...input.shape]) as [number, number, number]
      const { channels, dense } = source
      const wide = outputsFor(job, target)
      return templates.cnn({ shape, classes: 'classes' in wide ? wide.classes : wide.outputs, channels, dense, seed })
    }
    case 'gpt': {
      if (!isText || !target.vocabulary) throw misfit('text', isImage ? 'cnn' : 'mlp')
      const tokens = input.shape[0]!
      const context = source.context ?? tokens
      if (context !== tokens)
        throw new PinGoError(
          'DATA_SHAPE_MISMATCH',
          `The model sees ${context} tokens at once; a sample of the data has ${tokens}.`,
          { hint: `Remove model.context, or import the text with context ${context}.` },
        )
      const { layers, heads, width } = source
      return templates.gpt({ vocabulary: input.vocabulary!.length, context, layers, heads, width, seed })
    }
  }
}

/** How wide a template's output is: a logit per class (one for bce), or a number per target. */
function outputsFor(job: Job, target: Column): { classes: number } | { outputs: number } {
  if (!holdsClasses(target)) return { outputs: sizeOf(target.shape) }
  const classes = classesOf(target)
  if (classes === undefined)
    throw new PinGoError('DATA_SHAPE_MISMATCH', `The data do not say how many classes '${target.name}' has.`, {
      hint: 'Import them with labels, or bring your own ONNX model.',
    })
  if (job.loss !== undefined && lossKindOf(job.loss) === 'bce') return { outputs: 1 }
  return { classes }
}
