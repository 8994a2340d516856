import {
  type BatchInput,
  LossSchema,
  lossKindOf,
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
import { type Forward, overSamples, type Pass, passOf } from './accumulate.ts'
import { flopsOf } from './flops.ts'
import { forward, type GradientOptions } from './forward.ts'
import type { Imported, TrainingMode } from './import.ts'
import { planned } from './memory-plan.ts'
import type { Model } from './model.ts'
import type { Value } from './operator.ts'
import { emitUpdate } from './optimizer.ts'
import { frozenBy } from './optimizers/rules.ts'
import { settleOptimizer } from './optimizers/settle.ts'
import { checkPatterns } from './patterns.ts'
import { writeModel } from './proto/write.ts'

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
