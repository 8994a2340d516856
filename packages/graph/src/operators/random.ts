import { type DType, MAX_NOISE, PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { CAST_CODES } from '../casts.ts'
import { floatOf, intOf, intsOf } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { numbersOf, tensorOf } from '../tensors.ts'

/** Name of the step graph's input of uniform random numbers. */
export const NOISE_INPUT = 'noise'

/** Hands out parts of the step graph's input `noise`, in the order of the model's nodes. */
export class NoiseSource {
  readonly #b: GraphBuilder
  #input: Value | undefined
  #elements = 0

  constructor(b: GraphBuilder) {
    this.#b = b
  }

  /** Uniform numbers in [0, 1) that no other node gets. @throws PinGoError GRAPH_UNSUPPORTED when they are too many */
  take(shape: readonly number[]): Value {
    const from = this.#elements
    this.#elements += sizeOf(shape)
    if (this.#elements > MAX_NOISE)
      throw new PinGoError('GRAPH_UNSUPPORTED', `a step would draw more than ${MAX_NOISE} random numbers`, {
        hint: 'Make the batch smaller, or leave dropout out of the attention.',
      })
    // How many numbers all nodes draw is known at the end: until then, the input is as long as it may be.
    this.#input ??= this.#b.input(NOISE_INPUT, 'float32', [MAX_NOISE + 1])
    return this.#b.reshape(this.#b.slice(this.#input, [0], [from], [this.#elements]), shape)
  }

  /** Gives the input its length: how many numbers were handed out. */
  settle(): number {
    if (this.#input) (this.#input.shape as number[])[0] = this.#elements
    return this.#elements
  }
}

/**
 * Dropout (Srivastava et al. 2014): in the step graph, an element is kept where its random number is at least `ratio`, and scaled by 1 / (1 - ratio);
 * elsewhere the input passes through.
 */
function dropout(c: LowerContext): (Value | undefined)[] {
  const { b } = c
  const x = c.inputs[0]!
  const given = c.inputs[1]
  if (given && !given.data)
    throw new PinGoError('GRAPH_UNSUPPORTED', 'its ratio depends on the data', { hint: 'Use a constant ratio.' })
  const ratio = given?.data ? Number(numbersOf(given.data)[0]) : floatOf(c.attributes, 'ratio', 0.5)
  if (!(ratio >= 0 && ratio < 1))
    throw new PinGoError('GRAPH_UNSUPPORTED', `a ratio of ${ratio} is not possible`, { hint: 'Use 0 to less than 1.' })
  if (!c.noise || ratio === 0) return c.node.outputs[1] ? [x, b.cast(b.filled(x.shape, 1), 'bool')] : [x]
  const kept = b.one('GreaterOrEqual', [c.noise(x.shape), b.scalar(ratio)])
  return [b.mul(x, b.where(kept, b.scalar(1 / (1 - ratio)), b.scalar(0))), kept]
}

/** The shape and element type of a random tensor: of an input, or as attributes say. */
function drawn(c: LowerContext): { shape: readonly number[]; dtype: DType } {
  const code = intOf(c.attributes, 'dtype', 0)
  const dtype = (Object.keys(CAST_CODES) as DType[]).find((name) => CAST_CODES[name] === code)
  const like = c.inputs[0]
  return { shape: like?.shape ?? intsOf(c.attributes, 'shape') ?? [], dtype: dtype ?? like?.dtype ?? 'float32' }
}

/** A random tensor: drawn in the step graph, its mean elsewhere. */
const random = (mean: (c: LowerContext) => number, draw: (c: LowerContext, noise: Value) => Value): Operator => ({
  lower: (c) => {
    const { shape, dtype } = drawn(c)
    const x = c.noise ? draw(c, c.noise(shape)) : c.b.filled(shape, mean(c))
    return [dtype === 'float32' || dtype === 'float64' ? x : c.b.cast(x, dtype)]
  },
  stopsGradient: true,
})

const normal = random(
  (c) => floatOf(c.attributes, 'mean', 0),
  (c, noise) => {
    // Box and Muller 1958, from two numbers an element; 1 - u is never 0.
    const { b } = c
    const radius = b.one('Sqrt', [b.scale(b.one('Log', [b.sub(b.scalar(1), noise)]), -2)])
    const angle = b.one('Cos', [b.scale(c.noise!(noise.shape), 2 * Math.PI)])
    const scaled = b.scale(b.mul(radius, angle), floatOf(c.attributes, 'scale', 1))
    return b.add(scaled, b.scalar(floatOf(c.attributes, 'mean', 0)))
  },
)

const uniform = random(
  (c) => (floatOf(c.attributes, 'low', 0) + floatOf(c.attributes, 'high', 1)) / 2,
  (c, noise) => {
    const [low, high] = [floatOf(c.attributes, 'low', 0), floatOf(c.attributes, 'high', 1)]
    return c.b.add(c.b.scale(noise, high - low), c.b.scalar(low))
  },
)

/** Operators that draw random numbers. */
export const randomness: Record<string, Operator> = {
  Dropout: { lower: dropout },
  RandomNormal: normal,
  RandomNormalLike: normal,
  RandomUniform: uniform,
  RandomUniformLike: uniform,
  Bernoulli: {
    lower: (c) => {
      const x = c.inputs[0]!
      const hit = c.noise
        ? c.b.one('Less', [c.noise(x.shape), x])
        : c.b.one('GreaterOrEqual', [x, c.b.constant(tensorOf('float32', [], [0.5]))])
      return [c.b.cast(hit, drawn(c).dtype)]
    },
    stopsGradient: true,
  },
}
