import { type BatchInput, PinGoError, sizeOf } from '@pingo/wire'
import type { Model, ValueInfo } from './model.ts'
import { shapeText } from './shape.ts'

/** Batch size that stands for a symbolic batch where a model was exported with one. */
export interface Bound {
  /** Static shape of each model input, by name. */
  shapes: Map<string, number[]>
  /** Batch size the model was exported with, when it is fixed and differs from the wanted one. */
  exportedBatch: number | undefined
}

const fault = (message: string, hint: string) => new PinGoError('GRAPH_INPUT_MISMATCH', message, { hint })

/**
 * The static shapes of a model's inputs for a batch of samples of the given stored shapes: the first axis is the batch, the other
 * symbolic sizes are read off the data; a sample that has as many elements in another shape is reshaped.
 * @throws PinGoError GRAPH_INPUT_MISMATCH naming the input and both shapes
 */
export function bindInputs(model: Model, inputs: readonly BatchInput[], batch: number): Bound {
  const symbols = new Map<string, number>()
  const shapes = new Map<string, number[]>()
  let exportedBatch: number | undefined
  for (const info of model.graph.inputs) {
    const given = pairOf(model, inputs, info)
    const [first, ...rest] = info.shape
    if (first === undefined)
      throw fault(
        `The model's input '${info.name}' is a scalar and has no batch axis.`,
        'Export the model with the batch as its first axis.',
      )
    if (typeof first === 'number' && first !== batch) exportedBatch = first
    const sample = bindSample(info, rest, given, symbols)
    if (typeof first === 'string' && first) symbols.set(first, batch)
    shapes.set(info.name, [batch, ...sample])
  }
  return { shapes, exportedBatch }
}

/** The batch input of that name, or the only one there is. */
export function pairOf(model: Model, inputs: readonly BatchInput[], info: ValueInfo): BatchInput {
  const only = model.graph.inputs.length === 1 && inputs.length === 1 ? inputs[0] : undefined
  const found = inputs.find((input) => input.name === info.name) ?? only
  if (found) return found
  const names = inputs.map(({ name }) => `'${name}'`).join(', ') || 'nothing'
  throw fault(
    `The model has an input '${info.name}', the data give ${names}.`,
    'Name a column of the dataset for every input of the model.',
  )
}

function bindSample(
  info: ValueInfo,
  wanted: readonly (number | string)[],
  given: BatchInput,
  symbols: Map<string, number>,
): number[] {
  const misfit = () =>
    fault(
      `The model's input '${info.name}' wants ${shapeText(wanted)} for a sample, the column '${given.column}' has ${shapeText(given.shape)}.`,
      'Reshape the data or export the model for its shape.',
    )
  const known = wanted.map((n) => (typeof n === 'string' ? (symbols.get(n) ?? n) : n))
  const aligned =
    known.length === given.shape.length && known.every((n, i) => typeof n === 'string' || n === given.shape[i])
  const open = known.filter((n) => typeof n === 'string')
  const rest = sizeOf(given.shape) / sizeOf(known.filter((n) => typeof n === 'number'))
  const shape = known.map((n, i) => (typeof n === 'number' ? n : aligned ? given.shape[i]! : rest))
  if (!aligned && (open.length > 1 || sizeOf(shape) !== sizeOf(given.shape) || !Number.isInteger(rest))) throw misfit()
  wanted.forEach((n, i) => {
    if (typeof n !== 'string' || !n) return
    const before = symbols.get(n)
    if (before !== undefined && before !== shape[i])
      throw fault(
        `The size '${n}' of the model is ${before} for one input and ${shape[i]} for '${info.name}'.`,
        'Give columns of equal length.',
      )
    symbols.set(n, shape[i]!)
  })
  return shape
}
