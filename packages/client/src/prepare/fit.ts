import { inferShapes, type Model, type ValueInfo } from '@pingo/graph'
import {
  type BatchInput,
  type Column,
  type LossInput,
  type LossKind,
  lossKindOf,
  PinGoError,
  sizeOf,
} from '@pingo/wire'
import { type Columns, classesOf, describeColumn, elementsOf, holdsClasses, titleOf } from './columns.ts'

/** How a model and a dataset go together. */
export interface Fit {
  loss: LossInput
  inputs: BatchInput[]
  target: BatchInput
  /** What may be meant otherwise: for the user to read. */
  notes: string[]
}

/**
 * Matches a model's inputs and output with a dataset's columns.
 * @throws PinGoError DATA_SHAPE_MISMATCH with both shapes and the columns; LOSS_MISMATCH
 */
export function fit(model: Model, columns: Columns, asked: { loss?: LossInput; output?: string }): Fit {
  // A model that gives its own loss reads the target, too, under the column's name or as its one further input.
  const isOwn = asked.loss !== undefined && lossKindOf(asked.loss) === 'output'
  const inputs = matchInputs(model, columns.inputs, isOwn ? columns.target : undefined)
  const outputs = model.graph.outputs
  const output = asked.output === undefined ? outputs[0] : outputs.find(({ name }) => name === asked.output)
  if (!output)
    throw new PinGoError('MODEL_OUTPUT_UNKNOWN', `The model has no output '${asked.output ?? ''}'.`, {
      hint: `Its outputs are ${outputs.map(({ name }) => name).join(', ')}.`,
    })
  const { target } = columns
  const shape = inferShapes(model).get(output.name)?.shape ?? output.shape
  const loss = asked.loss ?? defaultLoss(target, shape)
  const notes: string[] = []
  checkTarget(lossKindOf(loss), target, shape, notes)
  return {
    loss,
    inputs,
    target: { name: freeName(inputs), column: target.name, dtype: target.dtype, shape: target.shape },
    notes,
  }
}

/** What the target is called among the graph's inputs: any name that no input has. */
function freeName(inputs: BatchInput[]): string {
  let name = 'target'
  while (inputs.some((input) => input.name === name)) name += "'"
  return name
}

type Dimensions = readonly (number | string)[]

/** Inputs that a caller feeds: those without a value of their own (older exporters list the weights too). */
const fedInputs = ({ graph }: Model): ValueInfo[] => graph.inputs.filter(({ name }) => !graph.initializers.has(name))

/** Pairs inputs and columns by name; the one input and the one column that are left over go together. */
function matchInputs(model: Model, columns: Column[], target?: Column): BatchInput[] {
  const inputs = fedInputs(model)
  const given = inputs.length > 1 && target ? [...columns, target] : columns
  const byName = inputs.map((input) => [input, given.find(({ name }) => name === input.name)] as const)
  const [open, ...more] = byName.filter(([, column]) => !column).map(([input]) => input)
  const free = given.filter((column) => !byName.some(([, taken]) => taken === column))
  const last = open && !more.length && free.length === 1 && (target || given.length === 1) ? free[0] : undefined
  const pairs = byName.map(([input, column]) => [input, column ?? last] as const)
  const list = (names: { name: string }[]) => names.map(({ name }) => `'${name}'`).join(', ') || 'none'
  return pairs.map(([input, column]) => {
    if (!column)
      throw new PinGoError(
        'DATA_SHAPE_MISMATCH',
        `The model reads the inputs ${list(inputs)}; the data have ${list(columns)}, none for '${input.name}'.`,
        { hint: 'Name the columns of the data as the model names its inputs.' },
      )
    checkInput(input, column)
    return { name: input.name, column: column.name, dtype: column.dtype, shape: column.shape }
  })
}

function checkInput(input: ValueInfo, column: Column): void {
  const wanted: Dimensions = input.shape.slice(1)
  if (!fits(wanted, column.shape))
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `The model's input '${input.name}' is ${show(wanted)} a sample, the data's '${column.name}' is ${describeColumn(column)}.`,
      { hint: adviceFor(wanted, column) },
    )
  if (/int/.test(input.dtype) && column.dtype === 'float32')
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `The model's input '${input.name}' is of whole numbers (${input.dtype}), the data's '${column.name}' is not.`,
      { hint: 'A model that reads tokens is trained on text or on token files.' },
    )
}

/** Element counts agree, or dimension for dimension where the model leaves some open. */
function fits(wanted: Dimensions, shape: readonly number[]): boolean {
  const fixed = wanted.filter((d): d is number => typeof d === 'number' && d > 0)
  if (fixed.length === wanted.length) return sizeOf(fixed) === sizeOf(shape)
  if (wanted.length === shape.length)
    return wanted.every((d, axis) => typeof d === 'string' || d <= 0 || d === shape[axis])
  return sizeOf(shape) % sizeOf(fixed) === 0
}

function adviceFor(wanted: Dimensions, column: Column): string {
  if (column.fields) return 'Choose the columns with data.features and data.target, or change the model’s input.'
  if (column.shape.length === 3 && wanted.length === 3)
    return `Bring the images to that size with data.imageSize: [${wanted[1]}, ${wanted[2]}], or change the model's input.`
  return 'Change the data or the model’s input.'
}

function defaultLoss(target: Column, output: Dimensions): LossKind {
  if (!holdsClasses(target)) return 'mse'
  return classesOf(target) === 2 && widthOf(output, target) === 1 ? 'bce' : 'cross_entropy'
}

/** Numbers that the model gives per prediction; undefined where its shape leaves that open. */
function widthOf(output: Dimensions, target: Column): number | undefined {
  if (output.length === target.shape.length + 1) return 1
  const last = output.at(-1)
  return typeof last === 'number' ? last : undefined
}

function checkTarget(loss: LossKind, target: Column, output: Dimensions, notes: string[]): void {
  const classes = classesOf(target)
  const isClasses = holdsClasses(target)
  const column = `'${titleOf(target)}'`
  if (loss === 'output') return
  const given = output.slice(1)
  const sizes = given.every((d): d is number => typeof d === 'number') ? sizeOf(given) : undefined
  const isSoft = loss === 'cross_entropy' && !isClasses && (sizes === undefined || sizes === elementsOf(target))
  if (isSoft && elementsOf(target) > 1) return
  if (loss === 'cross_entropy' && !isClasses)
    throw new PinGoError(
      'LOSS_MISMATCH',
      `The loss cross_entropy learns classes; the target ${column} holds numbers.`,
      {
        hint: 'Set loss: mse, or data.task: classification when the numbers are names of classes.',
      },
    )
  if (loss !== 'cross_entropy' && loss !== 'bce' && isClasses)
    throw new PinGoError('LOSS_MISMATCH', `The loss ${loss} learns numbers; the target ${column} holds classes.`, {
      hint: 'Set loss: cross_entropy, or data.task: regression when the classes are numbers to tell.',
    })
  if (loss === 'bce' && isClasses && (classes ?? 2) > 2)
    throw new PinGoError(
      'LOSS_MISMATCH',
      `The loss bce learns yes or no; the target ${column} has ${classes} classes.`,
      {
        hint: 'Set loss: cross_entropy.',
      },
    )
  if (loss === 'cross_entropy') {
    const widths = [output.at(-1), output[1]].filter((d): d is number => typeof d === 'number')
    const width = output.length === target.shape.length + 1 ? 1 : Math.max(...widths)
    if (classes === undefined || !Number.isFinite(width)) return
    if (width < classes)
      throw new PinGoError(
        'DATA_SHAPE_MISMATCH',
        `The model gives ${width} ${width === 1 ? 'score' : 'scores'} ${show(output.slice(1))}, the target ${column} has ${classes} classes${namesOf(target)}.`,
        { hint: `The model's last layer must give ${classes}.` },
      )
    if (width > classes && !widths.includes(classes))
      notes.push(
        `The model gives ${width} scores, the target ${column} has ${classes} classes; the others are never right`,
      )
    return
  }
  if (sizes !== undefined && sizes !== elementsOf(target))
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `The model gives ${show(given)} a sample, the target ${column} is [${target.shape}].`,
      {
        hint: `The model's last layer must give ${elementsOf(target)} ${elementsOf(target) === 1 ? 'number' : 'numbers'}.`,
      },
    )
}

const show = (dimensions: Dimensions): string => `[${dimensions.map((d) => (d === '' ? '?' : d)).join(',')}]`

function namesOf({ classes, vocabulary }: Column): string {
  if (!classes) return vocabulary ? ' (tokens)' : ''
  return ` (${classes.slice(0, 6).join(', ')}${classes.length > 6 ? ', …' : ''})`
}
