import {
  type BatchInput,
  isPinGoError,
  type LossInput,
  lossKindOf,
  PinGoError,
  sizeOf,
  type Tensor,
  type TensorSpec,
} from '@pingo/wire'
import type { Forward } from './accumulate.ts'
import { GraphBuilder } from './builder.ts'
import { outputOf, prelude } from './forward.ts'
import { importModel, saysTraining, type TrainingMode } from './import.ts'
import { lossOf } from './loss.ts'
import type { Model, ValueInfo } from './model.ts'
import type { Value } from './operator.ts'
import { isLoneConstant } from './parameters.ts'
import { buildGradients, type GradientProgram, gradientProgram } from './program.ts'
import { shapeText } from './shape.ts'
import { isFloat } from './tensors.ts'
import { foldedTies } from './ties.ts'

/** Element types that the tensors of a batch may have. */
const STORED: readonly string[] = ['float32', 'uint8', 'int32', 'int64']

export interface BatchGradientOptions {
  loss: LossInput
  /** The tensors of the batch by the model's input names; a lone one may have any name. */
  inputs: readonly (Tensor & { name: string })[]
  /** Not needed for the loss `output`. */
  target?: TensorSpec | undefined
  /** Length of the tensor `sample_weight`, when there is one; default: the first axis of the model's output. */
  samples?: number
  /** The model's output that the loss is taken on; default: the first float one. */
  output?: string
  /** Default `file`: BatchNormalization in the mode in which each node was exported. Dropout passes its input through in any. */
  training?: TrainingMode
}

export interface BatchGradients extends GradientProgram {
  /** Name of the tensor that feeds each input of the model, by the graph's input name. */
  feeds: Map<string, string>
  /** Length of the graph's input `sample_weight`. */
  samples: number
  /** The model's output that the loss is taken on. */
  output: string
  /** Whether batch statistics are used anywhere. */
  training: boolean
  /** Float initialisers that have no gradient: the loss does not depend on them (or they are running statistics). */
  without: string[]
}

/**
 * The graph of the loss of one batch and of its gradient by every float weight of the file. Unlike a training step it takes inputs as
 * they are, whatever their first axis means; a file whose fixed batch is another is given this one as in training.
 * @throws PinGoError GRAPH_INPUT_MISMATCH, GRAPH_TARGET_MISMATCH, GRAPH_UNSUPPORTED, GRAPH_SHAPE_MISMATCH, GRAPH_NO_PARAMETERS
 */
export function buildBatchGradients(model: Model, options: BatchGradientOptions): BatchGradients {
  let first: unknown
  for (const how of ATTEMPTS)
    try {
      return build(model, options, how)
    } catch (error) {
      if (!isPinGoError(error, 'GRAPH_UNSUPPORTED')) throw error
      first ??= error
    }
  throw first
}

interface Attempt {
  weights: 'all' | 'likely'
  /** Integer inputs are constants of the graph: sizes and positions may follow from them. */
  fixed: boolean
}

/** A path to something that is no weight after all may have no gradient, and a shape may depend on the data, which are known here. */
const ATTEMPTS: readonly Attempt[] = [
  { weights: 'all', fixed: false },
  { weights: 'likely', fixed: false },
  { weights: 'all', fixed: true },
  { weights: 'likely', fixed: true },
]

function build(model: Model, options: BatchGradientOptions, how: Attempt): BatchGradients {
  const { training = 'file', target } = options
  for (const { name, dtype } of [...options.inputs, ...(target ? [target] : [])])
    if (!STORED.includes(dtype))
      throw mismatch(`The tensor '${name}' is ${dtype}.`, `Give it as one of ${STORED.join(', ')}.`)
  const pairs = pair(model, options.inputs)
  const output = options.output ?? firstFloat(model)
  const misfit = pairs.find(([info, spec]) => !fits(info, spec))
  const done = misfit
    ? rebatched(model, { ...options, output }, pairs, training, how)
    : exact(model, { ...options, output }, pairs, training, how)
  const ties = foldedTies(model)
  const given = new Set(done.parameters.map(({ name }) => name))
  return {
    ...done,
    feeds: new Map(pairs.map(([info, spec]) => [info.name, spec.name])),
    output: output ?? '',
    training: training === 'file' ? model.graph.nodes.some(saysTraining) : training,
    without: [...model.graph.initializers].flatMap(([name, tensor]) => {
      const isLeftOut = !isFloat(tensor.dtype) || ties.has(name) || isLoneConstant(model, name, tensor)
      return given.has(name) || isLeftOut ? [] : [name]
    }),
  }
}

type Given = Tensor & { name: string }

/** Every input of the model with the tensor that feeds it. */
function pair(model: Model, tensors: readonly Given[]): [ValueInfo, Given][] {
  const { inputs } = model.graph
  const open = inputs.filter(({ name }) => !tensors.some((t) => t.name === name))
  const spare = tensors.filter((t) => !inputs.some(({ name }) => name === t.name))
  return inputs.map((info) => {
    const found = tensors.find(({ name }) => name === info.name) ?? (open.length === 1 ? spare[0] : undefined)
    if (found) return [info, found]
    const names = tensors.map(({ name }) => `'${name}'`).join(', ') || 'none'
    throw mismatch(
      `The model has an input '${info.name}', but the batch has no tensor of that name (it has ${names}).`,
      'Write a tensor for every input of the model.',
    )
  })
}

const fits = ({ shape }: ValueInfo, spec: Given): boolean =>
  shape.length === spec.shape.length && shape.every((n, i) => typeof n === 'string' || n === spec.shape[i])

const firstFloat = ({ graph: { outputs } }: Model): string | undefined =>
  (outputs.find(({ dtype }) => isFloat(dtype)) ?? outputs[0])?.name

type Built = GradientProgram & { samples: number }

/** Inputs as they are. */
function exact(
  model: Model,
  options: BatchGradientOptions,
  pairs: [ValueInfo, Given][],
  training: TrainingMode,
  { weights, fixed }: Attempt,
): Built {
  const b = new GraphBuilder()
  for (const name of model.graph.initializers.keys()) b.reserve(name)
  const inputs = new Map<string, Value>()
  for (const [info, given] of pairs) {
    const isKnown = fixed && given.dtype !== 'float32'
    const stored = isKnown ? b.constant(given) : b.input(info.name, given.dtype, given.shape)
    inputs.set(info.name, prelude(b, stored, info.dtype))
  }
  const imported = importModel(b, model, inputs, { training, weights })
  const output = outputOf(model, imported, options.output)
  const target = options.target ? b.input('target', options.target.dtype, options.target.shape) : b.scalar(0)
  // One sample without a batch axis.
  const lone = lossKindOf(options.loss) === 'cross_entropy' && output.shape.length === 1 && sizeOf(target.shape) <= 1
  const scored = lone ? b.reshape(output, [1, ...output.shape]) : output
  const samples = options.samples ?? scored.shape[0] ?? 1
  if (samples < 1 || sizeOf(scored.shape) % samples)
    throw mismatch(
      `The batch has ${samples} sample weights, which does not go with the model's output ${shapeText(output.shape)}.`,
      'Give one weight for each entry of the first axis of the output.',
    )
  const sampleWeight = b.input('sample_weight', 'float32', [samples])
  const loss = lossOf(b, options.loss, scored, target, sampleWeight)
  const step: Forward = { b, imported, output, loss, sampleWeight, parts: 1, part: () => step }
  return { ...gradientProgram(step), samples }
}

/** The model at another batch than the fixed one of its file. */
function rebatched(
  model: Model,
  options: BatchGradientOptions,
  pairs: [ValueInfo, Given][],
  training: TrainingMode,
  { weights }: Attempt,
): Built {
  const batch = pairs[0]![1].shape[0]
  for (const [info, { name, shape }] of pairs)
    if (batch === undefined || shape[0] !== batch)
      throw mismatch(
        `The model's input '${info.name}' wants ${shapeText(info.shape)}, the tensor '${name}' is ${shapeText(shape)}.`,
        'Give it in the shape of the model, or export the model for this shape.',
      )
  const target: TensorSpec = options.target ?? { name: 'target', dtype: 'float32', shape: [batch!] }
  if (target.shape[0] !== batch && sizeOf(target.shape) % batch!)
    throw new PinGoError(
      'GRAPH_TARGET_MISMATCH',
      `The batch has ${batch} samples, its target ${shapeText(target.shape)} not as many.`,
      { hint: 'Give one target for every sample.' },
    )
  const column = (name: string, { dtype }: { dtype: Tensor['dtype'] }, shape: number[]): BatchInput => ({
    name,
    column: name,
    dtype: dtype as BatchInput['dtype'],
    shape,
  })
  const rest = target.shape[0] === batch ? target.shape.slice(1) : [sizeOf(target.shape) / batch!]
  const program = buildGradients(
    model,
    {
      loss: options.loss,
      batch: batch!,
      inputs: pairs.map(([info, spec]) => column(info.name, spec, spec.shape.slice(1))),
      target: column('target', target, rest),
      output: options.output,
      weights,
    },
    training,
  )
  return { ...program, samples: batch! }
}

const mismatch = (message: string, hint: string) => new PinGoError('GRAPH_INPUT_MISMATCH', message, { hint })
