import { type DType, PinGoError } from '@pingo/wire'
import { GraphBuilder } from './builder.ts'
import { importModel } from './import.ts'
import type { Model } from './model.ts'
import type { Value } from './operator.ts'

export interface InferredType {
  dtype: DType
  shape: (number | string)[]
}

/**
 * Sizes tried for symbolic dimensions, smallest first: images and sequences have a least size below which a model does not work.
 */
const TRIAL_SIZES = [4, 16, 64, 224, 512]

/** Name that unnamed symbolic dimensions get: the first axis is the batch. */
const nameOf = (input: string, axis: number) => (axis === 0 ? 'batch' : `${input}_${axis}`)

/**
 * Types and shapes of all values of a model. Symbolic dimensions stay symbolic unless `given` a size: the model is inferred at
 * several trial sizes, and a dimension that grows with a symbol is that symbol (`batch`), a multiple (`4*batch`) or a line
 * (`batch+2`); one that grows in another way is ''.
 * @throws PinGoError GRAPH_UNSUPPORTED, GRAPH_SHAPE_MISMATCH
 */
export function inferShapes(model: Model, given: Record<string, number> = {}): Map<string, InferredType> {
  const symbols = symbolsOf(model).filter((symbol) => given[symbol] === undefined)
  if (!symbols.length)
    return new Map([...inferAt(model, given)].map(([name, { dtype, shape }]) => [name, { dtype, shape: [...shape] }]))
  let failure: unknown
  for (const size of TRIAL_SIZES) {
    try {
      return symbolic(model, given, symbols, size)
    } catch (error) {
      if (!(error instanceof PinGoError)) throw error
      failure ??= error
    }
  }
  throw failure
}

/** The symbolic sizes of a model's inputs, in order, without repetition. */
export function symbolsOf(model: Model): string[] {
  const names = model.graph.inputs.flatMap(({ name, shape }) =>
    shape.map((n, i) => (typeof n === 'string' ? n || nameOf(name, i) : '')),
  )
  return [...new Set(names.filter(Boolean))]
}

/** Values at concrete sizes of all symbols. */
export function inferAt(model: Model, sizes: Record<string, number>): Map<string, Value> {
  const b = new GraphBuilder()
  const inputs = new Map(
    model.graph.inputs.map(({ name, dtype, shape }) => {
      const dims = shape.map((n, i) => (typeof n === 'number' ? n : sizes[n || nameOf(name, i)]!))
      return [name, b.input(name, dtype, dims)]
    }),
  )
  return importModel(b, model, inputs, { training: false }).values
}

function symbolic(
  model: Model,
  given: Record<string, number>,
  symbols: string[],
  size: number,
): Map<string, InferredType> {
  const base = Object.fromEntries(symbols.map((symbol) => [symbol, size]))
  const first = inferAt(model, { ...given, ...base })
  // A symbol that cannot grow alone (two names for one size) has no trial of its own: what depends on it is unknown.
  const grown = symbols.map((symbol) => trial(model, { ...given, ...base, [symbol]: 2 * size }))
  const proof = trial(model, { ...given, ...Object.fromEntries(symbols.map((symbol) => [symbol, 3 * size + 1])) })
  return new Map(
    [...first].map(([name, { dtype, shape }]) => {
      const terms = shape.map((n, axis) => {
        const doubled = grown.map((values) => values?.get(name)?.shape[axis])
        const term = dimension(n, symbols, size, doubled)
        // What two sizes suggest must hold at a third.
        const told = proof?.get(name)?.shape[axis]
        return told === undefined || valueAt(term, 3 * size + 1) === told ? term : ''
      })
      return [name, { dtype, shape: terms }]
    }),
  )
}

/** Values at given sizes; undefined where the model does not work at them. */
function trial(model: Model, sizes: Record<string, number>): Map<string, Value> | undefined {
  try {
    return inferAt(model, sizes)
  } catch (error) {
    if (error instanceof PinGoError) return undefined
    throw error
  }
}

/** A term of {@link dimension} where all symbols are n. */
function valueAt(term: number | string, n: number): number {
  if (typeof term === 'number') return term
  const [product, plus = '0'] = term.split(/(?=[+-]\d+$)/)
  return product!.split('*').reduce((p, factor) => p * (/^-?\d+$/.test(factor) ? Number(factor) : n), 1) + Number(plus)
}

/** A dimension of `n` at the base size as a term in the symbols, by what it is when each symbol doubles. */
function dimension(n: number, symbols: string[], size: number, doubled: (number | undefined)[]): number | string {
  const moving = symbols.filter((_, i) => doubled[i] !== undefined && doubled[i] !== n)
  if (!moving.length) return n
  if (moving.every((symbol) => doubled[symbols.indexOf(symbol)] === 2 * n)) {
    const factor = n / size ** moving.length
    if (Number.isInteger(factor)) return [...(factor === 1 ? [] : [factor]), ...moving].join('*')
  }
  if (moving.length > 1) return ''
  const slope = (doubled[symbols.indexOf(moving[0]!)]! - n) / size
  const offset = n - slope * size
  if (!Number.isInteger(slope)) return ''
  const term = slope === 1 ? moving[0]! : `${slope}*${moving[0]}`
  return offset === 0 ? term : `${term}${offset > 0 ? '+' : ''}${offset}`
}
