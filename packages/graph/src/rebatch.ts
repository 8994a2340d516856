import { sizeOf, type Tensor } from '@pingo/wire'
import type { Node } from './model.ts'
import type { Value } from './operator.ts'
import { numbersOf, tensorOf } from './tensors.ts'

/** A model whose file has a fixed batch, brought to another. */
export interface Rebatch {
  /** The file's batch, and the one that is wanted. */
  from: number
  to: number
  /** Shapes of the model's values at the file's batch. */
  shapes: ReadonlyMap<string, readonly number[]>
  /** Picks one of n ways that are all possible; another is tried when the model does not fit together later on. */
  choose(n: number): number
}

/** Operators that keep the order of elements in memory, whatever axes they are told by. */
const KEEPS_ORDER = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/** Elements behind an axis. */
const behind = (shape: readonly number[], axis: number): number => sizeOf(shape.slice(axis + 1))

/**
 * Where the batch lies in each value. The axis that grows with it may hold more than the batch (tokens of all samples, heads of all samples):
 * its size is a · batch · c, and c, the elements of the axis that belong to one index of the batch and follow each other, says where.
 */
export class BatchPlaces {
  readonly #rebatch: Rebatch
  readonly #values: ReadonlyMap<string, Value>
  readonly #within = new Map<string, number>()

  /** @param inputs names of the model's inputs, of which the batch is the first axis; @param values by their names in the model, as they come */
  constructor(rebatch: Rebatch, inputs: Iterable<string>, values: ReadonlyMap<string, Value>) {
    this.#rebatch = rebatch
    this.#values = values
    for (const name of inputs) this.#within.set(name, 1)
  }

  /** Elements of the batch's axis that follow each other in one sample; undefined where that is not known. */
  within(name: string): number | undefined {
    return this.#within.get(name)
  }

  /** Notes where the batch lies in what a node made. */
  note({ op, inputs, outputs }: Node): void {
    for (const output of outputs) {
      const place = this.#place(output)
      if (!place) continue
      const { axis, shape } = place
      const sources = inputs.flatMap((name) => {
        const [source, within] = [this.#place(name), this.#within.get(name)]
        return source && within !== undefined ? [{ ...source, within }] : []
      })
      const [first] = sources
      const within = KEEPS_ORDER.has(op)
        ? first && (first.within * behind(first.shape, first.axis)) / behind(shape, axis)
        : sources.find((source) => source.shape[source.axis] === shape[axis])?.within
      if (within !== undefined && Number.isInteger(within)) this.#within.set(output, within)
    }
  }

  /** Whether a value's elements come sample by sample; undefined where that is not known. */
  isFirst(name: string): boolean | undefined {
    const [place, within] = [this.#place(name), this.#within.get(name)]
    if (!place || within === undefined) return undefined
    return sizeOf(place.shape.slice(0, place.axis + 1)) === this.#rebatch.from * within
  }

  /** The one axis that grows with the batch, and the shape at the file's batch. */
  #place(name: string): { axis: number; shape: readonly number[] } | undefined {
    const [shape, now] = [this.#rebatch.shapes.get(name), this.#values.get(name)?.shape]
    if (!shape || !now || shape.length !== now.length) return undefined
    const [axis, ...others] = shape.flatMap((n, i) => (n === now[i] ? [] : [i]))
    return axis === undefined || others.length ? undefined : { axis, shape }
  }
}

/**
 * Shapes that a Reshape from `before` to `after` can have when its input's axis `grown` grows with the batch, likeliest first. Memory order is
 * kept: what lies inside of the batch fills, in the output too, the axes behind the batch's and part of its own.
 * @param within see {@link BatchPlaces}; undefined: the batch is taken to be the outermost part of the axis, or the innermost
 */
export function rebatchedShapes(
  { from, to }: Pick<Rebatch, 'from' | 'to'>,
  before: readonly number[],
  grown: number,
  after: readonly number[],
  within: number | undefined,
): number[][] {
  const found = new Map<string, number[]>()
  for (const inner of within === undefined ? [before[grown]! / from, 1] : [within]) {
    const inside = inner * behind(before, grown)
    const fits = after.flatMap((n, axis) => {
      const own = inside / behind(after, axis)
      return Number.isInteger(own) && own > 0 && n % (from * own) === 0 ? [{ axis, outer: n / (from * own) }] : []
    })
    for (const { axis } of fits.toSorted((p, q) => Number(p.outer > 1) - Number(q.outer > 1))) {
      const shape = after.map((n, i) => (i === axis ? (n / from) * to : n))
      found.set(shape.join(), shape)
    }
  }
  return [...found.values()]
}

/**
 * How often an Expand or Tile repeats each axis of x, its last ones those of `wanted`: where one element is repeated as often as the file's batch
 * is large, it may be for the batch.
 * @param after the output's shape at the file's batch
 */
export function rebatchedRepeats(
  { from, to, choose }: Rebatch,
  x: readonly number[],
  wanted: readonly number[],
  after: readonly number[] = [],
): readonly number[] {
  const missing = wanted.length - x.length
  const repeated = wanted.flatMap((_, i) => (from > 1 && after[i] === from && (x[i - missing] ?? 1) === 1 ? [i] : []))
  const axes = repeated.filter((i) => wanted[i] === from)
  // Numbers that were worked out from the new batch are right already.
  if (!axes.length || axes.length < repeated.length) return wanted
  const axis = axes[choose(axes.length + 1)]
  return wanted.map((n, i) => (i === axis ? to : n))
}

/** A constant of one repeated number, such as an initial state of zeros, in which an axis as long as the file's batch may stand for it. */
export function rebatchedConstant({ from, to, choose }: Rebatch, tensor: Tensor): Tensor {
  const axes = tensor.shape.flatMap((n, i) => (n === from ? [i] : []))
  if (from === 1 || tensor.shape.length < 2 || !axes.length) return tensor
  const numbers = numbersOf(tensor)
  for (let i = 1; i < numbers.length; i++) if (numbers[i] !== numbers[0]) return tensor
  const axis = axes[choose(axes.length + 1)]
  const shape = tensor.shape.map((n, i) => (i === axis ? to : n))
  return tensorOf(tensor.dtype, shape, new Float64Array(sizeOf(shape)).fill(Number(numbers[0])))
}
