import { type Model, templates } from '@pingo/graph'
import { type Column, lossKindOf, PinGoError, sizeOf } from '@pingo/wire'
import type { Job, TemplateSource } from '../job-file/settle.ts'
import { type Columns, classesOf, describeColumn, holdsClasses } from './columns.ts'

/**
 * A template made to fit the data.
 * @throws PinGoError DATA_SHAPE_MISMATCH when the data are of another kind, TEMPLATE_INVALID when their sizes do not go with the options
 */
export function fromTemplate(job: Job, source: TemplateSource, { inputs, target }: Columns): Model {
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
  const image = (): [number, number, number] => {
    if (!isImage || isText) throw misfit('images', isText ? 'gpt' : 'mlp')
    return (input.shape.length === 3 ? input.shape : [1, ...input.shape]) as [number, number, number]
  }
  const wide = () => {
    const outputs = outputsFor(job, target)
    return 'classes' in outputs ? outputs.classes : outputs.outputs
  }
  const context = (asked: number | undefined): number => {
    const tokens = input.shape[0]!
    if (asked === undefined || asked === tokens) return tokens
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `The model sees ${asked} tokens at once; a sample of the data has ${tokens}.`,
      { hint: `Remove model.context, or import the text with context ${asked}.` },
    )
  }
  switch (source.template) {
    case 'mlp':
      if (isText) throw misfit('numbers', 'gpt')
      return templates.mlp({ inputs: [...input.shape], ...outputsFor(job, target), hidden: source.hidden, seed })
    case 'cnn':
    case 'resnet':
    case 'vit': {
      const shape = image()
      return templates[source.template]({ ...source, shape, classes: wide(), seed })
    }
    case 'gpt':
      if (!isText || !target.vocabulary) throw misfit('text', isImage ? 'cnn' : 'mlp')
      return templates.gpt({
        ...source,
        vocabulary: input.vocabulary!.length,
        context: context(source.context),
        seed,
      })
    case 'lstm': {
      if (!isText && input.shape.length > 2) throw misfit('text or sequences [time, features]', 'cnn')
      const everyToken = isText && target.vocabulary !== undefined
      const outputs = everyToken ? target.vocabulary!.length : wide()
      const { layers, width, dropout } = source
      const common = { layers, width, dropout, outputs, everyToken, seed }
      if (!isText) return templates.lstm({ ...common, shape: [...input.shape] })
      const tokens = { context: context(source.context), vocabulary: input.vocabulary!.length }
      return templates.lstm({ ...common, tokens })
    }
    case 'autoencoder':
      if (isText) throw misfit('tables and images', 'gpt')
      return templates.autoencoder({ ...source, shape: isImage ? image() : [...input.shape], seed })
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
