import { type Column, PinGoError } from '@pingo/wire'
import { ClassIds, compareText, guessTask, MAX_CLASS_CHARS, sortedClasses, tooManyClasses } from '../classes.ts'
import { MAX_CATEGORIES, MAX_FIELDS } from '../limits.ts'
import { nearest } from '../nearest.ts'
import type { ColumnProfile } from './profile.ts'

/** How one column of a table becomes fields of the packed input, from field `at` on. */
export type FieldPlan =
  | { kind: 'number'; index: number; name: string; at: number }
  | { kind: 'category'; index: number; name: string; at: number; ids: ClassIds }
  | { kind: 'vector'; index: number; name: string; at: number; size: number }

export type TargetPlan =
  | { kind: 'class'; index: number; name: string; ids: ClassIds }
  | { kind: 'numbers'; fields: FieldPlan[]; size: number }

/** The packed column of a list of field plans: names of its fields and its categories. */
export function packedColumn(plans: readonly FieldPlan[]): Pick<Column, 'shape' | 'fields' | 'categories'> {
  const fields = plans.flatMap((plan) => {
    if (plan.kind === 'number') return [plan.name]
    if (plan.kind === 'vector') return Array.from({ length: plan.size }, (_, i) => `${plan.name}[${i}]`)
    return plan.ids.names.map((category) => categoryField(plan.name, category))
  })
  const long = fields.find((field) => field.length > MAX_CLASS_CHARS)
  if (long !== undefined)
    throw new PinGoError(
      'DATA_NAME_TOO_LONG',
      `A field name is longer than ${MAX_CLASS_CHARS} characters: '${long.slice(0, 40)}…'.`,
      {
        hint: 'Shorten the name of the column or of its categories.',
      },
    )
  const categories = plans.flatMap((plan) =>
    plan.kind === 'category' ? [[plan.name, [...plan.ids.names]] as [string, string[]]] : [],
  )
  return {
    shape: [fields.length],
    fields,
    ...(categories.length > 0 ? { categories: Object.fromEntries(categories) } : {}),
  }
}

/** Name of the field that is 1 where `column` holds `category`. */
export const categoryField = (column: string, category: string): string => `${column}=${category}`

/** Plans the fields of a new dataset by what its columns hold, in the order of the file. */
export function planFields(path: string, columns: ReadonlyMap<number, ColumnProfile>): FieldPlan[] {
  const plans: FieldPlan[] = []
  let at = 0
  for (const [index, column] of columns) {
    const plan = planField(path, index, column, at)
    plans.push(plan)
    at += sizeOfPlan(plan)
    if (at > MAX_FIELDS)
      throw new PinGoError('DATA_TOO_LARGE', `'${path}' has more than ${MAX_FIELDS} fields.`, {
        hint: 'Name fewer by features.',
      })
  }
  return plans
}

export const sizeOfPlan = (plan: FieldPlan): number =>
  plan.kind === 'number' ? 1 : plan.kind === 'vector' ? plan.size : plan.ids.names.length

function planField(path: string, index: number, column: ColumnProfile, at: number): FieldPlan {
  const { name } = column
  const where = `'${path}', column '${name}'`
  if (column.vectors > 0) {
    if (column.vectorLength < 1 || column.numbers + column.booleans + column.texts > 0)
      throw new PinGoError('DATA_ROW_RAGGED', `${where} holds lists of different lengths.`, {
        hint: 'Give every row a list of equally many numbers, or leave the column out by features.',
      })
    return { kind: 'vector', index, name, at, size: column.vectorLength }
  }
  if (column.numbers + column.booleans + column.texts === 0)
    throw new PinGoError('DATA_MISSING_VALUE', `${where} has no value in any row.`, {
      hint: 'Leave the column out by features.',
    })
  if (column.texts === 0 && (column.booleans === 0 || column.numbers === 0)) return { kind: 'number', index, name, at }
  if (!isCategorical(column)) return { kind: 'number', index, name, at }
  if (column.distinct.size > MAX_CATEGORIES)
    throw new PinGoError('DATA_TOO_MANY_CATEGORIES', `${where} holds more than ${MAX_CATEGORIES} different texts.`, {
      hint: 'Leave the column out by features, or replace it by numbers.',
    })
  return { kind: 'category', index, name, at, ids: new ClassIds(sortedCategories(column.distinct)) }
}

/**
 * Texts are categories. Texts among numbers are categories too ("2", "3", "more") when they come again and again; a text
 * that stands alone among numbers is rather a slip, which the encoder will name.
 */
function isCategorical({ numbers, texts, booleans, absent, distinct }: ColumnProfile): boolean {
  if (numbers === 0) return true
  if (distinct.size > MAX_CATEGORIES) return texts > numbers
  const words = [...distinct].filter((text) => !/^[\s\d.,+-]*$/.test(text)).length
  return texts + booleans + absent >= 3 * words && texts + booleans > 2
}

function sortedCategories(names: ReadonlySet<string>): string[] {
  return [...names].sort(compareText)
}

/** Plans the target by what its column holds. @throws PinGoError DATA_TOO_MANY_CLASSES and others */
export function planTarget(
  path: string,
  targets: ReadonlyMap<number, ColumnProfile>,
  rows: number,
  task: 'classification' | 'regression' | undefined,
): TargetPlan {
  const [[index, column]] = [...targets] as [[number, ColumnProfile]]
  const where = `'${path}', column '${column.name}'`
  if (targets.size === 1 && column.vectors === 0) {
    if (column.numbers + column.booleans + column.texts === 0)
      throw new PinGoError('DATA_MISSING_VALUE', `${where} has no value in any row, so there is nothing to learn.`, {
        hint: 'Name another target.',
      })
    const numeric = column.texts + column.booleans === 0
    const guessed = numeric
      ? guessTask({
          integers: column.integers,
          distinct: Math.max(column.distinct.size - (column.missing > 0 ? 1 : 0), 1),
          samples: rows,
          min: column.min,
          max: column.max,
          labels: /^(labels?|class)$/i.test(column.name),
        })
      : isSlip(column)
        ? 'regression'
        : 'classification'
    if ((task ?? guessed) === 'classification') {
      const names = [...column.distinct].filter(
        (text) => !(numeric ? Number.isNaN(Number(text)) || text === '' : text === ''),
      )
      const hopeless = task === undefined && names.length > 1000 && 2 * names.length > rows
      if (column.distinct.size > column.capacity || hopeless) throw tooManyClasses(where, names.length)
      const long = names.find((name) => name.length > MAX_CLASS_CHARS)
      if (long !== undefined)
        throw new PinGoError(
          'DATA_NAME_TOO_LONG',
          `${where}: a class name is longer than ${MAX_CLASS_CHARS} characters.`,
          {
            hint: 'Name another target, or shorten its classes.',
          },
        )
      return { kind: 'class', index, name: column.name, ids: new ClassIds(sortedClasses(names)) }
    }
  } else if (task === 'classification')
    throw new PinGoError('DATA_OPTION', 'Several targets at once can only be quantities.', {
      hint: "Set task to 'regression'.",
    })
  const fields: FieldPlan[] = []
  let at = 0
  for (const [i, { name, vectors, vectorLength }] of targets) {
    if (vectors > 0 && vectorLength < 1)
      throw new PinGoError('DATA_ROW_RAGGED', `'${path}', column '${name}' holds lists of different lengths.`, {
        hint: 'Give every row a list of equally many numbers.',
      })
    const plan: FieldPlan =
      vectors > 0 ? { kind: 'vector', index: i, name, at, size: vectorLength } : { kind: 'number', index: i, name, at }
    fields.push(plan)
    at += sizeOfPlan(plan)
  }
  return { kind: 'numbers', fields, size: at }
}

/** A single odd text in a column of many different numbers. */
const isSlip = ({ texts, numbers, integers, distinct }: ColumnProfile): boolean =>
  texts * 10 < numbers && (!integers || distinct.size > 100)

/** The plans by which the fields of an imported dataset were made, to make them again from another table. */
export function plansFrom(column: Column, indexOf: (name: string) => number): FieldPlan[] {
  const fields = column.fields ?? []
  const plans: FieldPlan[] = []
  for (let at = 0; at < fields.length; ) {
    const field = fields[at]!
    const category = Object.entries(column.categories ?? {}).find(
      ([name, categories]) =>
        categories.length > 0 && categories.every((value, i) => fields[at + i] === categoryField(name, value)),
    )
    const vector = /^(.*)\[0\]$/s.exec(field)?.[1]
    if (category) {
      plans.push({
        kind: 'category',
        index: indexOf(category[0]),
        name: category[0],
        at,
        ids: new ClassIds(category[1]),
      })
    } else if (vector !== undefined && fields[at + 1] !== undefined && indexOf(vector) >= 0 && indexOf(field) < 0) {
      let size = 1
      while (fields[at + size] === `${vector}[${size}]`) size++
      plans.push({ kind: 'vector', index: indexOf(vector), name: vector, at, size })
    } else plans.push({ kind: 'number', index: indexOf(field), name: field, at })
    at += sizeOfPlan(plans.at(-1)!)
  }
  return plans
}

/** @throws PinGoError DATA_NO_COLUMN with the nearest name */
export function noColumn(path: string, name: string, columns: readonly string[], what = 'column'): PinGoError {
  const near = nearest(name, columns)
  const some = columns
    .slice(0, 12)
    .map((column) => `'${column}'`)
    .join(', ')
  return new PinGoError('DATA_NO_COLUMN', `'${path}' has no ${what} '${name}'.`, {
    hint:
      near === undefined ? `Its columns are ${some}${columns.length > 12 ? ', …' : ''}.` : `Did you mean '${near}'?`,
  })
}
