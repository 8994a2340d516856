import {
  type BatchInput,
  isPinGoError,
  type LossInput,
  LossSchema,
  lossKindOf,
  MAX_ACCUMULATE,
  PinGoError,
  sizeOf,
  validate,
} from '@pingo/wire'
import { type Forward, rowsOf } from './accumulate.ts'
import { bindInputs, pairOf } from './binding.ts'
import { GraphBuilder } from './builder.ts'
import { Choices } from './choices.ts'
import { type Imported, importModel, type TrainingMode } from './import.ts'
import { lossOf } from './loss.ts'
import type { Model } from './model.ts'
import type { Value } from './operator.ts'
import { NoiseSource } from './operators/random.ts'
import { sequenceFirst } from './sequence-first.ts'
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

/** Micro-batches (default 1), and whether what is random is so (default: it passes through). */
interface Passes {
  parts?: number | undefined
  random?: boolean
}

/**
 * Imports the model behind its inputs' prelude and puts the loss on its output. Where a model with a fixed batch can be given another
 * in several ways, the first that fits together is taken.
 */
export function forward(model: Model, options: GradientOptions, training: TrainingMode, how: Passes = {}): Forward {
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
    const buffers = [...imported.buffers.keys()]
    const [output, ...moved] = sequenceFirst(b, [
      outputOf(model, imported, options.output),
      ...imported.buffers.values(),
    ]) as [Value, ...Value[]]
    for (const [i, name] of buffers.entries()) imported.buffers.set(name, moved[i]!)
    const isWhole = lossKindOf(lossSettings) === 'output' && sizeOf(output.shape) === 1
    const isMixed = imported.places?.isFirst(options.output ?? model.graph.outputs[0]!.name) === false
    if (!isWhole && (isMixed || (output.shape[0] !== size && sizeOf(output.shape) % size !== 0)))
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
