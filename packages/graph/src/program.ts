import {
  type BatchInput,
  isPinGoError,
  type OptimizerInput,
  OptimizerSchema,
  PinGoError,
  sizeOf,
  type Tensor,
  type TensorSpec,
  validate,
} from '@pingo/wire'
import { bindInputs, pairOf } from './binding.ts'
import { GraphBuilder } from './builder.ts'
import { Choices } from './choices.ts'
import { differentiate } from './differentiate.ts'
import { flopsOf } from './flops.ts'
import { type Imported, importModel } from './import.ts'
import { type Loss, type LossKind, lossOf } from './loss.ts'
import type { Model } from './model.ts'
import type { Value } from './operator.ts'
import { emitUpdate } from './optimizer.ts'
import { writeModel } from './proto/write.ts'
import { range } from './shape.ts'

/** Greatest batch of a program (the manifest's own limit). */
export const MAX_BATCH = 65_536

/** What is needed to differentiate a model: its data and its loss. */
export interface GradientOptions {
  loss: LossKind
  batch: number
  /** One for each input of the model: stored element type and stored shape of a sample (reshaped when only the shape differs). */
  inputs: BatchInput[]
  /** stored * scale + shift, as float32, by input name: part of the step and evaluate graphs, not of the exported model. */
  logical?: Record<string, { scale?: number; shift?: number }>
  /** Class ids (integers) for cross_entropy, numbers else. */
  target: BatchInput
  /** The model's output that the loss is taken on; default: the first. */
  output?: string
  /** Names of initialisers that are not trained. */
  frozen?: string[]
}

export interface ProgramOptions extends GradientOptions {
  optimizer: OptimizerInput
}

/** A training program: see ProgramManifestSchema of @pingo/wire for the inputs and outputs of its graphs. */
export interface Program {
  step: Uint8Array
  evaluate: Uint8Array
  /** Initial parameters and buffers. */
  initial: Map<string, Tensor>
  parameters: TensorSpec[]
  buffers: TensorSpec[]
  /** Optimiser state; starts as zeros. */
  state: TensorSpec[]
  metric: 'accuracy' | 'mae'
  predictionsPerSample: number
  /** Multiplications and additions of a training step, divided by the batch. */
  flopsPerSample: number
  inputs: BatchInput[]
  target: BatchInput
  /** What is allowed but may surprise, in sentences. */
  notes: string[]
}

/** The graph up to the loss. */
interface Forward {
  b: GraphBuilder
  imported: Imported
  output: Value
  loss: Loss
  sampleWeight: Value
}

const specOf = ({ name, dtype, shape }: Value): TensorSpec => ({ name, dtype, shape: [...shape] })

/**
 * Builds the step and the evaluate graph of a model.
 *
 * Parameters are the float initialisers (or Constant nodes) that the loss depends on differentiably; running statistics of
 * BatchNormalization are buffers. Dropout passes its input through.
 * @throws PinGoError GRAPH_UNSUPPORTED, GRAPH_SHAPE_MISMATCH, GRAPH_INPUT_MISMATCH, GRAPH_TARGET_MISMATCH, GRAPH_NO_PARAMETERS
 */
export function buildProgram(model: Model, options: ProgramOptions): Program {
  const optimizer = validate(OptimizerSchema, options.optimizer, 'optimizer')
  const step = forward(model, options, true)
  const { b, imported, loss } = step
  const { weights, gradients } = gradientsOf(step, true)
  const update = emitUpdate(b, optimizer, weights, gradients)
  const buffers = [...imported.weights.values()].filter((v) => imported.buffers.has(v.name))
  const outputs: [string, Value][] = [
    ...weights.map((w, i): [string, Value] => [`next.${w.name}`, update.parameters[i]!]),
    ...buffers.map((v): [string, Value] => [`next.${v.name}`, imported.buffers.get(v.name)!]),
    ...update.state.map(({ value, next }): [string, Value] => [`next.${value.name}`, next]),
    ['loss', meanOf(step)],
    ['metric_sum', loss.metricSum],
  ]
  const stepModel = b.finish('step', outputs, [...weights, ...buffers])
  const evaluate = forward(model, options, false)
  const evaluateModel = evaluate.b.finish(
    'evaluate',
    [
      ['loss_sum', evaluate.loss.lossSum],
      ['metric_sum', evaluate.loss.metricSum],
    ],
    [...weights, ...buffers].map((w) => evaluate.imported.weights.get(w.name)!),
  )
  return {
    step: writeModel(stepModel),
    evaluate: writeModel(evaluateModel),
    initial: new Map([...weights, ...buffers].map((v) => [v.name, v.data!])),
    parameters: weights.map(specOf),
    buffers: buffers.map(specOf),
    state: update.state.map(({ value }) => specOf(value)),
    metric: loss.metric,
    predictionsPerSample: loss.predictionsPerSample,
    flopsPerSample: Math.round(flopsOf(b.live(outputs.map(([, v]) => v))) / options.batch),
    inputs: options.inputs,
    target: options.target,
    notes: [...new Set(imported.notes)],
  }
}

/** A graph that computes gradients: inputs as the step graph's without optimiser; see {@link buildGradients}. */
export interface GradientProgram {
  /** Outputs: `loss` [], `output` (the model's output), `grad.<name>` for each parameter. */
  graph: Uint8Array
  parameters: TensorSpec[]
  buffers: TensorSpec[]
  initial: Map<string, Tensor>
  notes: string[]
}

/**
 * Builds the graph of the loss and of its gradient by each parameter. Its inputs are the parameters, the buffers, the model's inputs,
 * the target and `sample_weight`.
 * @param training false: BatchNormalization uses its running statistics, as PyTorch's eval() does
 */
export function buildGradients(model: Model, options: GradientOptions, training = true): GradientProgram {
  const step = forward(model, options, training)
  const { weights, gradients } = gradientsOf(step, true)
  const { b, imported, output } = step
  const buffers = [...imported.weights.values()].filter((v) => imported.buffers.has(v.name))
  const outputs: [string, Value][] = [
    ['loss', meanOf(step)],
    ['output', output],
    ...weights.map((w, i): [string, Value] => [`grad.${w.name}`, gradients[i]!]),
  ]
  return {
    graph: writeModel(b.finish('gradients', outputs, [...weights, ...buffers])),
    parameters: weights.map(specOf),
    buffers: buffers.map(specOf),
    initial: new Map([...weights, ...buffers].map((v) => [v.name, v.data!])),
    notes: [...new Set(imported.notes)],
  }
}

/**
 * Imports the model behind its inputs' prelude and puts the loss on its output. Where a model with a fixed batch can be given another
 * in several ways, the first that fits together is taken.
 */
function forward(model: Model, options: GradientOptions, training: boolean): Forward {
  const choices = new Choices()
  let first: unknown
  for (;;)
    try {
      return forwardWith(model, options, training, choices)
    } catch (error) {
      first ??= error
      if (!isPinGoError(error) || !choices.next()) throw first
    }
}

function forwardWith(model: Model, options: GradientOptions, training: boolean, choices: Choices): Forward {
  const { batch, target } = options
  if (!Number.isInteger(batch) || batch < 1 || batch > MAX_BATCH)
    throw new PinGoError('GRAPH_BATCH_INVALID', `A batch of ${batch} is not possible: choose 1 to ${MAX_BATCH}.`)
  const bound = bindInputs(model, options.inputs, batch)
  const b = new GraphBuilder()
  for (const name of model.graph.initializers.keys()) b.reserve(name)
  const exported =
    bound.exportedBatch === undefined ? undefined : exportedShapes(model, options, bound.exportedBatch, choices)
  const inputs = new Map<string, Value>()
  const sampleWeight = b.input('sample_weight', 'float32', [batch])
  const repeat =
    training && model.graph.nodes.some(({ op }) => op === 'BatchNormalization')
      ? realSample(b, sampleWeight)
      : undefined
  for (const info of model.graph.inputs) {
    const given = pairOf(model, options.inputs, info)
    const stored = b.input(given.name, given.dtype, [batch, ...given.shape])
    let x = prelude(b, stored, info.dtype, options.logical?.[given.name] ?? options.logical?.[info.name])
    if (repeat) x = b.one('Gather', [x, repeat])
    inputs.set(info.name, b.reshape(x, bound.shapes.get(info.name)!))
  }
  const imported = importModel(b, model, inputs, {
    training,
    frozen: options.frozen,
    ...(exported ? { exported } : {}),
  })
  const output = outputOf(model, imported, options.output)
  if (output.shape[0] !== batch && sizeOf(output.shape) % batch !== 0)
    throw new PinGoError('GRAPH_BATCH_FIXED', `The model does not carry the batch of ${batch} through to its output.`, {
      hint: 'Export it with a dynamic batch axis (dynamic_axes in torch.onnx.export).',
    })
  const targets = b.input(target.name, target.dtype, [batch, ...target.shape])
  const loss = lossOf(b, options.loss, output, targets, sampleWeight)
  return { b, imported, output, loss, sampleWeight }
}

/** Stored values as the model's input type: stored * scale + shift for floats. */
function prelude(
  b: GraphBuilder,
  stored: Value,
  dtype: Value['dtype'],
  logical: { scale?: number; shift?: number } = {},
): Value {
  const { scale = 1, shift = 0 } = logical
  const model = dtype === 'float16' || dtype === 'float64' || dtype === 'bfloat16' ? 'float32' : dtype
  if (model !== 'float32') return stored.dtype === model ? stored : b.cast(stored, model)
  const x = stored.dtype === 'float32' ? stored : b.cast(stored, 'float32')
  return b.add(b.scale(x, scale), b.scalar(shift))
}

/**
 * For models with batch statistics: the index of a real sample for every row. Padding would otherwise move mean and variance; rows of
 * padding repeat the real samples instead (and still count nothing in the loss).
 */
function realSample(b: GraphBuilder, sampleWeight: Value): Value {
  const rows = b.ints(range(sampleWeight.shape[0]!))
  const real = b.sum(b.cast(b.one('Greater', [sampleWeight, b.scalar(0)]), 'float32'))
  const count = b.cast(b.one('Max', [real, b.scalar(1)]), 'int64')
  return b.one('Mod', [rows, count])
}

/** The loss as the mean over weighted samples; a batch of padding alone has loss 0. */
function meanOf({ b, loss, sampleWeight }: Forward): Value {
  return b.div(loss.lossSum, totalWeight(b, sampleWeight))
}

const totalWeight = (b: GraphBuilder, w: Value) => b.one('Max', [b.sum(w), b.scalar(1)])

/** Differentiates the mean loss by every weight that may be trained. */
function gradientsOf(
  { b, imported, loss, sampleWeight }: Forward,
  needed: boolean,
): { weights: Value[]; gradients: Value[] } {
  const [at, g] = loss.seed()
  const candidates = [...imported.weights.values()].filter((v) => !imported.buffers.has(v.name))
  const found = differentiate(b, [[at, b.div(g, totalWeight(b, sampleWeight))]], candidates)
  const weights = candidates.filter((v) => found.has(v.name))
  if (needed && !weights.length)
    throw new PinGoError(
      'GRAPH_NO_PARAMETERS',
      'The model has no weights that the loss depends on: there is nothing to train.',
      {
        hint: 'Check that the weights are inside the file as float tensors.',
      },
    )
  return { weights, gradients: weights.map((w) => found.get(w.name)!) }
}

function outputOf(model: Model, imported: Imported, wanted: string | undefined): Value {
  const names = model.graph.outputs.map(({ name }) => name)
  const name = wanted ?? names[0]
  const value = name === undefined ? undefined : imported.values.get(name)
  if (value && name !== undefined && names.includes(name)) return value
  throw new PinGoError('GRAPH_OUTPUT_UNKNOWN', `The model has no output '${name ?? ''}'.`, {
    hint: `Its outputs: ${names.join(', ') || 'none'}.`,
  })
}

/** Shapes of all values at the batch size the model was exported with. */
function exportedShapes(model: Model, options: GradientOptions, from: number, choices: Choices) {
  const b = new GraphBuilder()
  const bound = bindInputs(model, options.inputs, from)
  const inputs = new Map(
    model.graph.inputs.map((info) => [info.name, b.input(info.name, info.dtype, bound.shapes.get(info.name)!)]),
  )
  const { values } = importModel(b, model, inputs, { training: false })
  return {
    from,
    to: options.batch,
    choose: choices.choose,
    shapes: new Map([...values].map(([name, v]) => [name, v.shape])),
  }
}
