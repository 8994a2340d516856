import { type Column, type DatasetManifest, PinGoError, sizeOf } from '@pingo/wire'

/** The columns that a model reads and the one that it learns to tell. */
export interface Columns {
  inputs: Column[]
  target: Column
}

/**
 * The columns of a dataset. @param own true for a model that learns to tell its own input (as numbers): the target, if there is one,
 * is left aside
 * @throws PinGoError DATA_SHAPE_MISMATCH
 */
export function columnsOf(dataset: DatasetManifest, own = false): Columns {
  const inputs = dataset.columns.filter(({ role }) => role === 'input')
  if (own && inputs.length === 1) {
    const { name, shape, fields } = inputs[0]!
    return { inputs, target: { name, role: 'target', dtype: 'float32', shape, ...(fields ? { fields } : {}) } }
  }
  const targets = dataset.columns.filter(({ role }) => role === 'target')
  if (!inputs.length || targets.length !== 1)
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `The dataset '${dataset.name}' has ${inputs.length} input and ${targets.length} target columns; training needs inputs and one target.`,
    )
  return { inputs, target: targets[0]! }
}

/** Whether a target holds ids of classes or tokens (else numbers). */
export const holdsClasses = (target: Column): boolean => target.dtype !== 'float32'

/** How many classes or tokens a target tells apart; undefined when the dataset does not say. */
export const classesOf = (target: Column): number | undefined => (target.classes ?? target.vocabulary)?.length

/** What a target is called in the user's file. */
export const titleOf = ({ name, fields }: Column): string => (fields?.length === 1 ? fields[0]! : name)

/** A column's shape and names, for sentences: "[4] (width, height, …)". */
export function describeColumn(column: Column): string {
  const { fields = [] } = column
  const names = fields.slice(0, 8).join(', ')
  return `[${column.shape}]${fields.length ? ` (${names}${fields.length > 8 ? ', …' : ''})` : ''}`
}

/** Elements of one sample. */
export const elementsOf = (column: Column): number => sizeOf(column.shape)
