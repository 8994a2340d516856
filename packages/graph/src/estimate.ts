import { type BatchInput, isPinGoError, type OptimizerInput, PinGoError, sizeOf } from '@pingo/wire'
import { inferAt, symbolsOf } from './infer-shapes.ts'
import type { Model, ValueInfo } from './model.ts'
import { buildProgram } from './program.ts'
import { castTensor, isFloat, storable, tensorOf } from './tensors.ts'

/** Batch sizes that an estimate is made for when none are given. */
const BATCHES = [1, 8, 32, 128]
/** Sizes tried for symbolic dimensions other than the batch, when none are given. */
const TRIAL_SIZES = [16, 64, 224]

export interface EstimateOptions {
  batches?: readonly number[]
  /** Sizes of symbolic dimensions by their names in the model, such as the length of a sequence. */
  sizes?: Readonly<Record<string, number>>
  /** Default AdamW, which keeps two numbers for every parameter. */
  optimizer?: OptimizerInput
}

/** What training a model takes; by the loss mse, since it goes with any output. */
export interface TrainingEstimate {
  /** Sizes that were taken for symbolic dimensions. */
  sizes: Record<string, number>
  /** Floating-point operations of forward, backward and update, for one sample of the largest batch; multiplications and additions apart. */
  flopsPerSample: number
  /** Most bytes of tensors alive at once in a step, by batch size: parameters, optimiser's state, batch and values in between. */
  batches: { batch: number; peakBytes: number }[]
}

/**
 * Builds the training steps of a model for several batch sizes and adds up what they take.
 * @throws PinGoError what `buildProgram` throws where the model cannot be trained with its batch as the first axis
 */
export function estimateTraining(model: Model, options: EstimateOptions = {}): TrainingEstimate {
  const { sizes = {} } = options
  const open = symbolsOf(model).filter((name) => !isBatch(model, name) && sizes[name] === undefined)
  let first: unknown
  for (const size of open.length ? TRIAL_SIZES : [0])
    try {
      return estimateAt(model, { ...sizes, ...Object.fromEntries(open.map((name) => [name, size])) }, options)
    } catch (error) {
      if (!isPinGoError(error)) throw error
      first ??= error
    }
  throw first
}

const isBatch = ({ graph }: Model, symbol: string): boolean =>
  symbol === 'batch' || graph.inputs.some(({ shape }) => shape[0] === symbol)

function estimateAt(
  model: Model,
  sizes: Record<string, number>,
  { batches = BATCHES, optimizer = { kind: 'adamw' } }: EstimateOptions,
): TrainingEstimate {
  const inputs = model.graph.inputs.map((info): BatchInput => {
    const { dtype } = storable(castTensor(tensorOf('float32', [0], []), info.dtype))
    return { name: info.name, column: info.name, dtype, shape: sampleOf(info, sizes) }
  })
  const output = model.graph.outputs.find(({ dtype }) => isFloat(dtype))?.name
  if (output === undefined)
    throw new PinGoError('GRAPH_OUTPUT_UNKNOWN', 'The model has no output of floats that a loss could be taken on.')
  const elements = elementsPerSample(model, output, sizes)
  const programs = batches.map((batch) =>
    buildProgram(model, {
      loss: 'mse',
      optimizer,
      batch,
      inputs,
      output,
      target: { name: 'target', column: 'target', dtype: 'float32', shape: [elements] },
    }),
  )
  return {
    sizes,
    flopsPerSample: programs.at(-1)!.flopsPerSample,
    batches: programs.map(({ peakBytes }, i) => ({ batch: batches[i]!, peakBytes })),
  }
}

const sampleOf = ({ name, shape }: ValueInfo, sizes: Record<string, number>): number[] =>
  shape.slice(1).map((n, i) => (typeof n === 'number' ? n : sizes[n || `${name}_${i + 1}`]!))

function elementsPerSample(model: Model, output: string, sizes: Record<string, number>): number {
  const fixed = model.graph.inputs.map(({ shape }) => shape[0]).find((n) => typeof n === 'number')
  const batch = fixed ?? 2
  const symbols = symbolsOf(model).filter((name) => isBatch(model, name))
  const values = inferAt(model, { ...sizes, ...Object.fromEntries(symbols.map((name) => [name, batch])) })
  const elements = sizeOf(values.get(output)!.shape) / batch
  if (Number.isInteger(elements)) return elements
  throw new PinGoError(
    'GRAPH_BATCH_FIXED',
    'The model does not carry its first axis as the batch through to its output.',
    {
      hint: 'Export it with the batch as the first axis of its inputs and outputs.',
    },
  )
}
