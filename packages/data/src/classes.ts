import { MAX_CLASSES, PinGoError } from '@pingo/wire'
import { nearest } from './nearest.ts'
import { parseNumber } from './table/numbers.ts'

/** Longest name of a class or category, characters. */
export const MAX_CLASS_CHARS = 1000

/** Whole numbers are taken for classes up to so many different ones when nothing else speaks for it. */
const FEW = 20
const MANY_ZERO_BASED = 100
const MANY_LABELS = 1000

export interface TargetValues {
  integers: boolean
  distinct: number
  samples: number
  min: number
  max: number
  /** True when its name or origin says that it holds labels. */
  labels: boolean
}

/** Whether numbers to predict are classes or quantities, when nobody says so. */
export function guessTask(values: TargetValues): 'classification' | 'regression' {
  const { integers, distinct, samples } = values
  if (!integers) return 'regression'
  const zeroBased = values.min === 0 && values.max === distinct - 1
  if (zeroBased && distinct <= 2) return 'classification'
  const repeated = 2 * distinct <= samples
  const few = values.labels
    ? distinct <= FEW || (repeated && distinct <= MANY_LABELS)
    : repeated && (distinct <= FEW || (zeroBased && distinct <= MANY_ZERO_BASED && 10 * distinct <= samples))
  return few ? 'classification' : 'regression'
}

/** Class names in the order of their ids: numbers by value, anything else by its characters' code points. */
export function sortedClasses(names: Iterable<string>): string[] {
  const texts = [...names]
  const numbers = texts.map((text) => parseNumber(text))
  if (numbers.every((number) => !Number.isNaN(number)))
    return [...new Set(numbers)].sort((a, b) => a - b).map(numberName)
  return texts.sort(compareText)
}

/** The name of a number as a class: 1, 1.0 and 01 are one class. */
export function numberName(number: number): string {
  return String(number === 0 ? 0 : number)
}

/** By code units, so the same everywhere. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Ids of names, where a number may be written in any way. */
export class ClassIds {
  readonly names: readonly string[]
  readonly #ids: Map<string, number>

  constructor(names: readonly string[]) {
    this.names = names
    this.#ids = new Map(names.map((name, id) => [name, id]))
  }

  /** The id of a name as it is written in a cell; undefined when there is no such class. */
  get(name: string): number | undefined {
    const id = this.#ids.get(name)
    if (id !== undefined) return id
    const trimmed = name.trim()
    const number = parseNumber(trimmed)
    return this.#ids.get(Number.isNaN(number) ? trimmed : numberName(number))
  }

  unknown(name: string, where: string, what: 'class' | 'category'): PinGoError {
    const near = nearest(name.trim(), this.names)
    const shown = this.names
      .slice(0, 10)
      .map((n) => `'${n}'`)
      .join(', ')
    return new PinGoError(
      what === 'class' ? 'DATA_UNKNOWN_CLASS' : 'DATA_UNKNOWN_CATEGORY',
      `${where}: '${name.slice(0, 100)}' is not one of the ${this.names.length} ${what === 'class' ? 'classes' : 'categories'} (${shown}${this.names.length > 10 ? ', …' : ''}).`,
      { hint: near === undefined ? `Correct it, or leave out the row.` : `Did you mean '${near}'?` },
    )
  }
}

export function tooManyClasses(where: string, count: number): PinGoError {
  return new PinGoError(
    'DATA_TOO_MANY_CLASSES',
    `${where} holds ${count > MAX_CLASSES ? `more than ${MAX_CLASSES}` : count} different values, too many to be classes.`,
    { hint: "Name another target, or set task to 'regression' if it holds quantities." },
  )
}
