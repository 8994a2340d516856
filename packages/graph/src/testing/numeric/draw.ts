import type { Tensor } from '@pingo/wire'
import fc from 'fast-check'
import type { Attribute, Node } from '../../model.ts'
import { FIXED_PREFIX } from '../../parameters.ts'
import { Random } from '../../templates/random.ts'
import { tensorOf } from '../../tensors.ts'
import { count, size } from '../interpreter/tensor.ts'

/** How a node's input reaches it: as data, as a weight, as a running statistic, or as a number of the file. */
export type Role = 'input' | 'weight' | 'buffer' | 'constant'

export interface Operand {
  role: Role
  tensor: Tensor
}

/** One operator with its inputs, drawn at random. Float inputs and weights are differentiated by. */
export interface Case {
  op: string
  inputs: (Operand | undefined)[]
  attributes?: Record<string, Attribute | undefined>
  /** Several nodes in place of the one: they read the inputs by {@link nameOf} and make y0, y1, … */
  nodes?: Node[]
  /** Default: 18. */
  opset?: number
  /** Outputs that the node names; default: one. */
  outputs?: number
  /** Outputs that carry no gradient: indices, running statistics. */
  undifferentiated?: number[]
  /** The sizes it writes out hold for its own batch alone: nothing can be said of another. */
  ownSizes?: boolean
  /** BatchNormalization in the step graph. */
  training?: boolean
  /** Attentions are laid out with the sequence first even where it does not pay. */
  sequenceFirst?: boolean
}

export interface Reals {
  low?: number
  high?: number
  /** Points (kinks, poles) from which every number keeps `gap`. Default: 0 and 0.02. */
  avoid?: readonly number[]
  gap?: number
}

/** Steps of a golden-ratio sequence are far apart from each other. */
const GOLDEN = (Math.sqrt(5) - 1) / 2

/** What cases are drawn with: small numbers, shapes, axes and tensors. fast-check shrinks all of them. */
export class Draw {
  readonly #g: fc.GeneratorValue
  readonly #random: Random
  #place: number

  constructor(g: fc.GeneratorValue) {
    this.#g = g
    const seed = g(fc.integer, { min: 0, max: 2 ** 30 })
    this.#random = new Random(seed)
    this.#place = this.#random.uniform()
  }

  /** A whole number from min to max, both included. */
  int = (min: number, max: number): number => this.#g(fc.integer, { min, max })
  flag = (): boolean => this.#g(fc.boolean)
  pick = <T>(...choices: T[]): T => choices[this.int(0, choices.length - 1)]!
  /** A number that float32 holds exactly. */
  float = (min: number, max: number): number => this.int(Math.ceil(min * 64), Math.floor(max * 64)) / 64

  shape(minRank: number, maxRank: number, max = 4): number[] {
    return count(this.int(minRank, maxRank)).map(() => this.int(1, max))
  }

  /** An axis, from either end. */
  axis(rank: number): number {
    return this.int(-rank, rank - 1)
  }

  /** Some axes without repetition, in any order, from either end. */
  axes(rank: number): number[] {
    const all = this.shuffled(count(rank)).slice(0, this.int(1, rank))
    return all.map((axis) => (this.flag() ? axis : axis - rank))
  }

  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items]
    return items.map(() => rest.splice(this.int(0, rest.length - 1), 1)[0]!)
  }

  /** A shape that broadcasts to the given one: leading axes dropped, others 1. */
  narrower(shape: readonly number[]): number[] {
    return shape.slice(this.int(0, shape.length)).map((n) => (this.flag() ? n : 1))
  }

  /** Shapes that broadcast together, any of them the wide one. */
  together(n: number, maxRank = 3): number[][] {
    const wide = this.shape(0, maxRank, 3)
    return this.shuffled([wide, ...count(n - 1).map(() => this.narrower(wide))])
  }

  /** Real numbers, no two of a case nearer than about 0.4 (high - low) / (numbers drawn); exact in float32. */
  numbers(n: number, { low = -2, high = 2, avoid = [0], gap = 0.02 }: Reals = {}): number[] {
    const values: number[] = []
    while (values.length < n) {
      this.#place = (this.#place + GOLDEN) % 1
      const value = Math.fround(low + (high - low) * this.#place)
      if (avoid.every((point) => Math.abs(value - point) > gap)) values.push(value)
    }
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(this.#random.uniform() * (i + 1))
      ;[values[i], values[j]] = [values[j]!, values[i]!]
    }
    return values
  }

  /** A float tensor to be differentiated by: data or a weight. */
  real(shape: readonly number[], options?: Reals): Operand {
    const role = this.flag() ? 'input' : 'weight'
    return { role, tensor: tensorOf('float32', shape, this.numbers(size(shape), options)) }
  }

  buffer(shape: readonly number[], options?: Reals): Operand {
    return { role: 'buffer', tensor: tensorOf('float32', shape, this.numbers(size(shape), options)) }
  }

  /** A float tensor of the file that is not trained. */
  fixed(shape: readonly number[], options?: Reals): Operand {
    return { role: 'constant', tensor: tensorOf('float32', shape, this.numbers(size(shape), options)) }
  }

  /** Whole numbers from min to max, with repetitions, as a constant or as data. */
  whole(shape: readonly number[], min: number, max: number, role: Role = this.flag() ? 'input' : 'constant'): Operand {
    return {
      role,
      tensor: tensorOf(
        'int64',
        shape,
        count(size(shape)).map(() => this.int(min, max)),
      ),
    }
  }

  bools(shape: readonly number[]): Operand {
    const role = this.flag() ? 'input' : 'constant'
    return {
      role,
      tensor: tensorOf(
        'bool',
        shape,
        count(size(shape)).map(() => +this.flag()),
      ),
    }
  }
}

/** A constant list of int64. */
export const ints64 = (values: readonly number[]): Operand => ({
  role: 'constant',
  tensor: tensorOf('int64', [values.length], values),
})
export const int64 = (value: number): Operand => ({ role: 'constant', tensor: tensorOf('int64', [], [value]) })
export const floats32 = (values: readonly number[], shape: readonly number[] = [values.length]): Operand => ({
  role: 'constant',
  tensor: tensorOf('float32', shape, values),
})

/** Name of the i-th input in the case's model. */
export const nameOf = (i: number, { role }: Operand): string =>
  `${role === 'constant' ? FIXED_PREFIX : ''}${i < 26 ? String.fromCharCode(97 + i) : `in${i}`}`

export type Generator = (d: Draw) => Case
/** How each operator is drawn, by its name. */
export type Generators = Record<string, Generator>

/** The case in one line, for failures. */
export function describe({ op, inputs, attributes = {}, opset, training, nodes = [] }: Case): string {
  const chain = nodes.map(
    (n) => `\n  ${n.outputs} = ${n.op}(${n.inputs}) ${Object.entries(n.attributes).map(([k, a]) => `${k}=${a.value}`)}`,
  )
  const shapes = inputs.map((x) => (x ? `${x.role} ${x.tensor.dtype}[${x.tensor.shape}]` : '-'))
  const small = inputs.map((x) =>
    x && x.tensor.dtype !== 'float32' && x.tensor.data.length <= 12 ? `{${x.tensor.data.join()}}` : '',
  )
  const given = Object.entries(attributes).map(([name, a]) =>
    a ? `${name}=${a.type === 'tensor' ? '…' : a.value}` : '',
  )
  return `${op} (opset ${opset ?? 18}${training ? ', training' : ''}) ${shapes.map((s, i) => s + small[i]).join(', ')} ${given.join(' ')}${chain.join('')}`
}
