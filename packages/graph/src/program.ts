import {
  type BatchInput,
  isPinGoError,
  type LossInput,
  LossSchema,
  lossKindOf,
  MAX_ACCUMULATE,
  type Metric,
  type Optimizer,
  type OptimizerInput,
  OptimizerSchema,
  PinGoError,
  type Stats,
  sizeOf,
  type Tensor,
  type TensorSpec,
  validate,
} from '@pingo/wire'
import { type Forward, overSamples, type Pass, passOf, rowsOf } from './accumulate.ts'
import { bindInputs, pairOf } from './binding.ts'
import { GraphBuilder } from './builder.ts'
import { Choices } from './choices.ts'
import { flopsOf } from './flops.ts'
import { type Imported, importModel, type TrainingMode } from './import.ts'
import { lossOf } from './loss.ts'
import { planned } from './memory-plan.ts'
import type { Model } from './model.ts'
import type { Value } from './operator.ts'
import { NoiseSource } from './operators/random.ts'
import { emitUpdate } from './optimizer.ts'
import { frozenBy } from './optimizers/rules.ts'
import { settleOptimizer } from './optimizers/settle.ts'
import { checkPatterns } from './patterns.ts'
import { writeModel } from './proto/write.ts'
import { range } from './shape.ts'
import { tensorOf } from './tensors.ts'

/** Greatest batch of a program (the manifest's own limit). */
export const MAX_BATCH = 65_536

/** What stored numbers are multiplied by, and what is added then. */
export interface Scaling {
  scale?: number | readonly number[]
  shift?: number | readonly number[]
}

/** What is needed to differentiate a model: its data and its loss. */
export interface GradientOptions {
  loss: LossInput
  batch: number
  /** One for each input of the model: stored element type and stored shape of a sample (reshaped when only the shape differs). */
  inputs: BatchInput[]
  /**
   * stored * scale + shift, as float32, by the name of an input or of the target: part of the step and evaluate graphs, not of the
   * exported model. A list has a number for each element of a sample.
   */
  logical?: Record<string, Scaling>
  /** Class ids (integers) for cross_entropy, numbers else. */
  target: BatchInput
  /** The model's output that the loss is taken on; default: the first. */
  output?: string
  /** Names of initialisers that are not trained, or patterns of them (`backbone.*`). Running statistics move all the same. */
  frozen?: string[]
  /** `all`: also what looks like a constant is differentiated by, and nothing is frozen; default `likely`. */
  weights?: 'likely' | 'all'
}

export interface ProgramOptions extends GradientOptions {
  optimizer: OptimizerInput
  /**
   * Micro-batches that a batch is cut into; must divide it. Default 1. Their gradients are added up before the one update, which is
   * exact but for models with batch statistics: BatchNormalization then normalises each micro-batch by its own. Where it is set, `memory` keeps to it.
   */
  accumulate?: number | undefined
  /**
   * Bytes that a step may need: `peakBytes` of the program, and what a runtime keeps for operations that are added. Where it would need more, the batch is cut into micro-batches (unless samples
   * of a batch depend on each other: batch statistics, a loss of the model's own), then values are computed again in the backward pass, which changes no bit; GRAPH_MEMORY where that is not enough.
   */
  memory?: number | undefined
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
  metric: Metric
  predictionsPerSample: number
  /** What the evaluate graph's `metric_stats` holds; see `metricsOf`. */
  stats?: Stats
  /** With defaults, and with the groups that follow from the model: what the manifest is to say. */
  optimizer: Optimizer
  /** Multiplications and additions of a training step, divided by the batch. */
  flopsPerSample: number
  /**
   * Bytes that a step needs, estimated from its shapes: parameters, state, their gradients, the batch, constants, and the results
   * alive at once, where the runtime overwrites parameters and state in place.
   * What a runtime needs for itself comes on top.
   */
  peakBytes: number
  inputs: BatchInput[]
  target: BatchInput
  /** Random numbers that a step takes (see noise.ts); absent when nothing in it is random. */
  noise?: { elements: number }
  /** What is allowed but may surprise, in sentences. */
  notes: string[]
}

const specOf = ({ name, dtype, shape }: Value): TensorSpec => ({ name, dtype, shape: [...shape] })

/**
 * Builds the step and the evaluate graph of a model.
 *
 * Parameters are the float initialisers (or Constant nodes) that the loss depends on differentiably; running statistics of
 * BatchNormalization are buffers. Dropout is active in the step graph, by the numbers of its input `noise`.
 * @throws PinGoError GRAPH_UNSUPPORTED, GRAPH_SHAPE_MISMATCH, GRAPH_INPUT_MISMATCH, GRAPH_TARGET_MISMATCH, GRAPH_NO_PARAMETERS,
 * GRAPH_MEMORY
 */
export function buildProgram(model: Model, options: ProgramOptions): Program {
  const asked = validate(OptimizerSchema, options.optimizer, 'optimizer')
  const thawed = model.graph.initializers
  const frozen = [...(options.frozen ?? []), ...[...thawed.keys()].filter((name) => frozenBy(asked, name))]
  const given = { ...options, frozen }
  const plan = planned((parts) => trainingStep(model, given, asked, parts), {
    limit: options.memory,
    batch: options.batch,
    parts: options.accumulate ?? 1,
    cuts: options.accumulate === undefined && !mixesSamples(model, options),
  })
  const { forward: step, parameters: weights, buffers, state, optimizer, noise, imported } = plan.step
  const evaluate = forward(model, given, false)
  const stats = evaluate.loss.stats?.()
  const summed = (sum: Value) => overSamples(evaluate.b, sum, evaluate.loss, evaluate.sampleWeight)
  const evaluateModel = evaluate.b.finish(
    'evaluate',
    [
      ['loss_sum', summed(evaluate.loss.lossSum)],
      ['metric_sum', summed(evaluate.loss.metricSum)],
      ...(stats ? [['metric_stats', stats[1]] as const] : []),
    ],
    [...weights, ...buffers].map((w) => evaluate.imported.weights.get(w.name)!),
  )
  return {
    step: writeModel(plan.graph),
    evaluate: writeModel(evaluateModel),
    initial: new Map([...weights, ...buffers].map((v) => [v.name, v.data!])),
    parameters: weights.map(specOf),
    buffers: buffers.map(specOf),
    state: state.map(specOf),
    metric: step.loss.metric,
    predictionsPerSample: step.loss.predictionsPerSample,
    ...(stats ? { stats: stats[0] } : {}),
    optimizer,
    flopsPerSample: Math.round(flopsOf(plan.operations) / options.batch),
    peakBytes: plan.bytes,
    inputs: options.inputs,
    target: options.target,
    ...noise,
    notes: [...new Set([...imported.notes, ...notesOn(step, model), ...plan.notes])],
  }
}

/** Whether a sample's gradient depends on which others are in its batch, as far as one can tell. */
const mixesSamples = (model: Model, { loss }: GradientOptions): boolean =>
  lossKindOf(validate(LossSchema, loss, 'loss')) === 'output' ||
  model.graph.nodes.some(({ op }) => op === 'BatchNormalization')

/** Forward, backward and update of a batch in so many micro-batches. */
function trainingStep(model: Model, options: ProgramOptions, asked: Optimizer, parts: number) {
  const step = forward(model, options, true, { parts, random: true })
  const { b } = step
  const pass = passOf(step)
  const { weights, gradients, imported } = trained(pass)
  checkGroups(asked, options, imported)
  const optimizer = settleOptimizer(b, asked, weights, step.output)
  b.origin = 'optimizer'
  const update = emitUpdate(b, optimizer, weights, gradients)
  const buffers = [...imported.weights.values()].filter((v) => imported.buffers.has(v.name))
  const moved = buffers.map((v) => imported.buffers.get(v.name)!)
  const outputs: [string, Value][] = [
    ...weights.map((w, i): [string, Value] => [`next.${w.name}`, update.parameters[i]!]),
    ...buffers.map((v, i): [string, Value] => [`next.${v.name}`, moved[i]!]),
    ...update.state.map(({ value, next }): [string, Value] => [`next.${value.name}`, next]),
    ['loss', pass.loss],
    ['metric_sum', pass.metricSum],
  ]
  return {
    b,
    outputs,
    pass: [...gradients, ...moved, pass.loss, pass.metricSum],
    gradients,
    weights: [...weights, ...buffers],
    forward: step,
    parameters: weights,
    buffers,
    state: update.state.map(({ value }) => value),
    optimizer,
    imported,
    noise: noiseOf(step),
  }
}

/** How many random numbers the graph takes, once all of it is built. */
function noiseOf({ noise }: Forward): { noise?: { elements: number } } {
  const elements = noise?.settle() ?? 0
  return elements ? { noise: { elements } } : {}
}

/** Patterns that mean no weight are a mistake. @throws PinGoError GRAPH_PATTERN_UNKNOWN */
function checkGroups({ groups = [] }: Optimizer, { frozen = [] }: GradientOptions, imported: Imported): void {
  const names = [...imported.weights.keys(), ...imported.frozen]
  checkPatterns('frozen', frozen, names)
  for (const { match } of groups) checkPatterns('optimizer.groups', match, names)
}

function notesOn({ parts, loss, output, sampleWeight }: Forward, model: Model): string[] {
  const notes: string[] = []
  if (parts > 1 && model.graph.nodes.some(({ op }) => op === 'BatchNormalization'))
    notes.push(
      `BatchNormalization uses the statistics of each of the ${parts} micro-batches, not those of the whole batch.`,
    )
  if (loss.metric === 'loss' && sizeOf(output.shape) === 1 && sampleWeight.shape[0] !== 1)
    notes.push('The model gives one loss for a batch: in a short last batch some samples count twice in it.')
  return notes
}

/** A graph that computes gradients: inputs as the step graph's without optimiser; see {@link buildGradients}. */
export interface GradientProgram {
  /** Outputs: `loss` [], `output` (the model's output), `grad.<name>` for each parameter. */
  graph: Uint8Array
  parameters: TensorSpec[]
  buffers: TensorSpec[]
  initial: Map<string, Tensor>
  /** Length of the input `noise`; absent when nothing is random. */
  noise?: { elements: number }
  notes: string[]
}

/**
 * Builds the graph of the loss and of its gradient by each parameter. Its inputs are the parameters, the buffers, the model's inputs,
 * the target and `sample_weight`.
 * @param training false: BatchNormalization uses its running statistics, as PyTorch's eval() does; `file`: as each node says
 * @param random true: Dropout is active and the graph has the input `noise`, as the step graph; else it passes its input through, so that
 * gradients can be compared
 */
export function buildGradients(
  model: Model,
  options: GradientOptions,
  training: TrainingMode = true,
  random = false,
): GradientProgram {
  return gradientProgram(forward(model, options, training, { random }))
}

/** The graph of a loss and its gradients. */
export function gradientProgram(step: Forward): GradientProgram {
  const { weights, gradients, imported, loss } = trained(passOf(step))
  const { b, output } = step
  const buffers = [...imported.weights.values()].filter((v) => imported.buffers.has(v.name))
  const outputs: [string, Value][] = [
    ['loss', loss],
    ['output', output],
    ...weights.map((w, i): [string, Value] => [`grad.${w.name}`, gradients[i]!]),
  ]
  const noise = noiseOf(step)
  return {
    graph: writeModel(b.finish('gradients', outputs, [...weights, ...buffers])),
    parameters: weights.map(specOf),
    buffers: buffers.map(specOf),
    initial: new Map([...weights, ...buffers].map((v) => [v.name, v.data!])),
    ...noise,
    notes: [...new Set(imported.notes)],
  }
}

/** Micro-batches (default 1), and whether what is random is so (default: it passes through). */
interface Passes {
  parts?: number | undefined
  random?: boolean
}

/**
 * Imports the model behind its inputs' prelude and puts the loss on its output. Where a model with a fixed batch can be given another
 * in several ways, the first that fits together is taken.
 */
function forward(model: Model, options: GradientOptions, training: TrainingMode, how: Passes = {}): Forward {
  const choices = new Choices()
  let first: unknown
  for (;;)
    try {
      return forwardWith(model, options, training, choices, how)
    } catch (error) {
      first ??= error
      if (!isPinGoError(error) || !choices.next()) throw first
    }
}

function forwardWith(
  model: Model,
  options: GradientOptions,
  training: TrainingMode,
  choices: Choices,
  { parts = 1, random = false }: Passes,
): Forward {
  const { batch, target } = options
  if (!Number.isInteger(batch) || batch < 1 || batch > MAX_BATCH)
    throw new PinGoError('GRAPH_BATCH_INVALID', `A batch of ${batch} is not possible: choose 1 to ${MAX_BATCH}.`)
  if (!Number.isInteger(parts) || parts < 1 || parts > MAX_ACCUMULATE || batch % parts !== 0)
    throw new PinGoError('GRAPH_BATCH_INVALID', `A batch of ${batch} cannot be cut into ${parts} micro-batches.`, {
      hint: `Choose a divisor of the batch up to ${MAX_ACCUMULATE} for accumulate.`,
    })
  const lossSettings = validate(LossSchema, options.loss, 'loss')
  const size = batch / parts
  const bound = bindInputs(model, options.inputs, size)
  const b = new GraphBuilder()
  for (const name of model.graph.initializers.keys()) b.reserve(name)
  const exported =
    bound.exportedBatch === undefined ? undefined : exportedShapes(model, options, bound.exportedBatch, size, choices)
  const sampleWeight = b.input('sample_weight', 'float32', [batch])
  const repeats =
    (training === true && model.graph.nodes.some(({ op }) => op === 'BatchNormalization')) ||
    lossKindOf(lossSettings) === 'output'
  const real = repeats ? realSample(b, sampleWeight) : undefined
  const stored = new Map(
    model.graph.inputs.map((info) => {
      const given = pairOf(model, options.inputs, info)
      return [info, b.input(given.name, given.dtype, [batch, ...given.shape])]
    }),
  )
  const given = b.input(target.name, target.dtype, [batch, ...target.shape])
  const scaling = options.logical?.[target.name]
  const targets = scaling ? prelude(b, given, 'float32', scaling) : given
  const noise = random ? new NoiseSource(b) : undefined
  const partOf = (part: number, zero?: Value, after?: Imported): Forward => {
    const inputs = new Map<string, Value>()
    for (const [info, whole] of stored) {
      const own = options.logical?.[whole.name] ?? options.logical?.[info.name]
      const x = prelude(b, rowsOf(b, whole, part, size, zero, real), info.dtype, own)
      inputs.set(info.name, b.reshape(x, bound.shapes.get(info.name)!))
    }
    const imported = importModel(b, model, inputs, {
      training,
      ...(noise ? { noise } : {}),
      frozen: options.frozen,
      weights: options.weights,
      ...(after ? { after } : {}),
      ...(exported ? { exported: part === 0 ? exported : { ...exported, choose: choices.again() } } : {}),
    })
    const output = outputOf(model, imported, options.output)
    const isWhole = lossKindOf(lossSettings) === 'output' && sizeOf(output.shape) === 1
    if (!isWhole && output.shape[0] !== size && sizeOf(output.shape) % size !== 0)
      throw new PinGoError(
        'GRAPH_BATCH_FIXED',
        `The model does not carry the batch of ${size} through to its output.`,
        {
          hint: 'Export it with a dynamic batch axis (dynamic_axes in torch.onnx.export).',
        },
      )
    const weight = rowsOf(b, sampleWeight, part, size)
    b.origin = 'loss'
    const loss = lossOf(b, lossSettings, output, rowsOf(b, targets, part, size), weight)
    const next = (index: number, after: Value) => partOf(index, after, imported)
    return { b, imported, output, loss, sampleWeight, noise, parts, part: next }
  }
  return partOf(0)
}

/** Stored values as the model's input type: stored * scale + shift for floats. */
export function prelude(
  b: GraphBuilder,
  stored: Value,
  dtype: Value['dtype'],
  { scale = 1, shift = 0 }: Scaling = {},
): Value {
  const model = dtype === 'float16' || dtype === 'float64' || dtype === 'bfloat16' ? 'float32' : dtype
  if (model !== 'float32') return stored.dtype === model ? stored : b.cast(stored, model)
  const x = stored.dtype === 'float32' ? stored : b.cast(stored, 'float32')
  const number = (v: number | readonly number[]) =>
    typeof v === 'number' ? b.scalar(v) : b.constant(tensorOf('float32', stored.shape.slice(1), v))
  return b.add(b.mul(x, number(scale)), number(shift))
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

/** The pass, once it is sure that it trains something. @throws PinGoError GRAPH_NO_PARAMETERS */
function trained(pass: Pass): Pass {
  if (pass.weights.length) return pass
  throw new PinGoError(
    'GRAPH_NO_PARAMETERS',
    'The model has no weights that the loss depends on: there is nothing to train.',
    {
      hint: 'Check that the weights are inside the file as float tensors, and that not all are frozen.',
    },
  )
}

export function outputOf(model: Model, imported: Imported, wanted: string | undefined): Value {
  const names = model.graph.outputs.map(({ name }) => name)
  const name = wanted ?? names[0]
  const value = name === undefined ? undefined : imported.values.get(name)
  if (value && name !== undefined && names.includes(name)) return value
  throw new PinGoError('GRAPH_OUTPUT_UNKNOWN', `The model has no output '${name ?? ''}'.`, {
    hint: `Its outputs: ${names.join(', ') || 'none'}.`,
  })
}

/** Shapes of all values at the batch size the model was exported with. */
function exportedShapes(model: Model, options: GradientOptions, from: number, to: number, choices: Choices) {
  const b = new GraphBuilder()
  const bound = bindInputs(model, options.inputs, from)
  const inputs = new Map(
    model.graph.inputs.map((info) => [info.name, b.input(info.name, info.dtype, bound.shapes.get(info.name)!)]),
  )
  const { values } = importModel(b, model, inputs, { training: false })
  return {
    from,
    to,
    choose: choices.choose,
    shapes: new Map([...values].map(([name, v]) => [name, v.shape])),
  }
}
