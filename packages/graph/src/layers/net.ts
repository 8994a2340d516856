import { PinGoError, type Tensor } from '@pingo/wire'
import type { Attributes, Model, ValueInfo } from '../model.ts'
import { FIXED_PREFIX } from '../parameters.ts'
import { shapeText } from '../shape.ts'
import { Random } from '../templates/random.ts'
import { tensorOf } from '../tensors.ts'
import { Draft } from './draft.ts'
import { draw, type Fans, type Initial } from './initial.ts'

/** What flows from layer to layer: a value of the graph whose first axis is the batch. */
export interface Signal {
  readonly value: string
  readonly dtype: 'float32' | 'int64'
  /** Of one sample, without the batch. */
  readonly shape: readonly number[]
}

/** A part of a network: from a signal, emits nodes and weights and returns another. Layers hold no weights and may be used twice. */
export interface Layer {
  readonly kind: string
  /** Name of its weights (`NAME.weight`); default: the kind and its number in its block. */
  readonly name?: string | undefined
  apply(net: Net, x: Signal, name: string): Signal
}

/** A {@link Draft} with seeded weights and shared constants, in which every name is given once. */
export class Net extends Draft {
  readonly #outputs = new Set<string>()
  readonly #random: Random

  constructor(seed: number) {
    super()
    this.#random = new Random(seed)
  }

  override node(op: string, inputs: string[], output: string, attributes?: Attributes, before?: string[]): string {
    if (this.#outputs.has(output)) throw taken(output)
    this.#outputs.add(output)
    return super.node(op, inputs, output, attributes, before)
  }

  override tensor(name: string, tensor: Tensor): string {
    if (this.initializers.has(name)) throw taken(name)
    return super.tensor(name, tensor)
  }

  /** A trained weight. */
  weight(name: string, shape: readonly number[], initial: Initial, fans: Fans = [1, 1]): string {
    return this.tensor(name, tensorOf('float32', shape, draw(this.#random, shape, initial, fans)))
  }

  /** Shape of a weight that is there already. */
  shapeOf(weight: string): readonly number[] | undefined {
    return this.initializers.get(weight)?.shape
  }

  /** A constant that training leaves alone; equal labels hold equal values and are written once. */
  fixed(label: string, make: () => Tensor): string {
    const name = `${FIXED_PREFIX}${label}`
    return this.initializers.has(name) ? name : this.tensor(name, make())
  }

  scalar(value: number): string {
    return this.fixed(`${value}`, () => tensorOf('float32', [], [value]))
  }

  /** An int64 list, for shapes and axes. */
  list(...values: number[]): string {
    return this.fixed(`ints/${values.join('_')}`, () => tensorOf('int64', [values.length], values))
  }

  /** The whole as a model; the value `result` becomes its output `output`. */
  finish(name: string, input: ValueInfo, result: Signal): Model {
    const last = this.nodes.findLast(({ outputs }) => outputs.includes(result.value))
    const readAgain = this.nodes.some(({ inputs }) => inputs.includes(result.value))
    if (last && !readAgain) last.outputs = last.outputs.map((output) => (output === result.value ? 'output' : output))
    else this.node('Identity', [result.value], 'output')
    return this.model(name, [input], [{ name: 'output', dtype: result.dtype, shape: ['batch', ...result.shape] }])
  }
}

const taken = (name: string) =>
  new PinGoError('LAYER_NAME_TAKEN', `Two layers are called '${name.replace(/\.\w+$/, '')}'.`, {
    hint: 'Give each its own name, or none.',
  })

/** A layer as a value. */
export const layer = (kind: string, name: string | undefined, apply: Layer['apply']): Layer => ({ kind, name, apply })

/**
 * What is wrong with a layer's input or settings.
 * @param reads what it wants, as in "images [channels, height, width]"
 */
export function misfit(name: string, x: Signal, reads: string, hint: string): PinGoError {
  return new PinGoError(
    'LAYER_SHAPE_MISMATCH',
    `The layer '${name}' reads ${reads}; it is given ${x.dtype === 'int64' ? 'tokens ' : ''}${shapeText(x.shape)} a sample.`,
    { hint },
  )
}

/** A setting that a layer cannot take. */
export const badSetting = (name: string, what: string, hint: string): PinGoError =>
  new PinGoError('LAYER_INVALID', `The layer '${name}' cannot be built: ${what}.`, { hint })

/** A whole number of at least `min`. @throws PinGoError LAYER_INVALID */
export function whole(name: string, what: string, value: number, min = 1): void {
  if (!Number.isSafeInteger(value) || value < min)
    throw badSetting(name, `${what} is ${value}`, `Give a whole number of at least ${min}.`)
}

/** Refuses tokens where numbers are read. */
export function numbersOnly(name: string, x: Signal): void {
  if (x.dtype !== 'float32') throw misfit(name, x, 'numbers', 'Put embedding(vocabulary, width) in front of it.')
}
