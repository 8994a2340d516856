import { PinGoError } from '@pingo/wire'
import { BLOCK, parseDelta } from './codec.ts'

export interface MergeUpdate {
  /** What the updates are ordered by: the lease's id. Unique. */
  id: string
  /** Samples trained: a positive integer. */
  weight: number
  /** `theta_start - theta_end` in the codec `int8-256`. */
  delta: Uint8Array
  /** Running statistics at the lease's end, float32 [buffers]. */
  buffers: Float32Array
}

export interface OuterSettings {
  learningRate: number
  momentum: number
}

export interface MergeInput {
  theta: Float32Array
  /** Momentum of the outer step, zeros at first; as long as `theta`. */
  momentum: Float32Array
  buffers: Float32Array
  updates: readonly MergeUpdate[]
  outer: OuterSettings
}

export interface Merged {
  theta: Float32Array
  momentum: Float32Array
  buffers: Float32Array
}

/**
 * One outer step of DiLoCo (Douillard et al. 2023, arXiv:2311.08105): g = mean of the pseudo-gradients weighted by samples,
 * m' = mu m + g, theta' = theta - lr (g + mu m') (Nesterov). Buffers are averaged by samples, never by momentum.
 *
 * Every operation is one correctly rounded float32 operation, updates in the order of their ids, coordinates ascending, one
 * accumulator each: anybody who holds the updates gets the same bits, on any CPU.
 * @throws PinGoError UPDATE_MALFORMED for an update that does not fit, MERGE_NONFINITE when the result is not finite
 */
export function mergeRound(input: MergeInput): Merged {
  const { theta, momentum, buffers, outer } = input
  if (momentum.length !== theta.length) throw malformed('The momentum is not as long as the parameters.')
  const updates = [...input.updates].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  if (updates.length === 0) throw malformed('A round cannot be merged without an update.')

  const gradient = new Float32Array(theta.length)
  const mean = new Float32Array(buffers.length)
  let total = 0
  updates.forEach((update, index) => {
    if (!Number.isSafeInteger(update.weight) || update.weight < 1)
      throw malformed(`The weight of update ${update.id} is not a positive integer.`)
    if (index > 0 && updates[index - 1]!.id === update.id) throw malformed(`Update ${update.id} is there twice.`)
    if (update.buffers.length !== buffers.length)
      throw malformed(`Update ${update.id} has ${update.buffers.length} buffer elements in place of ${buffers.length}.`)
    total += update.weight
    addDelta(gradient, update)
    const weight = Math.fround(update.weight)
    for (let i = 0; i < mean.length; i++) mean[i] = Math.fround(mean[i]! + Math.fround(weight * update.buffers[i]!))
  })

  const weight = Math.fround(total)
  const rate = Math.fround(outer.learningRate)
  const mu = Math.fround(outer.momentum)
  const nextTheta = new Float32Array(theta.length)
  const nextMomentum = new Float32Array(theta.length)
  for (let i = 0; i < theta.length; i++) {
    const g = Math.fround(gradient[i]! / weight)
    const m = Math.fround(Math.fround(mu * momentum[i]!) + g)
    nextMomentum[i] = m
    const step = Math.fround(g + Math.fround(mu * m))
    nextTheta[i] = Math.fround(theta[i]! - Math.fround(rate * step))
  }
  for (let i = 0; i < mean.length; i++) mean[i] = Math.fround(mean[i]! / weight)
  for (const vector of [nextTheta, nextMomentum, mean]) assertFinite(vector)
  return { theta: nextTheta, momentum: nextMomentum, buffers: mean }
}

/** sum += weight * delta, decoded on the way: the delta is never held as float32. */
function addDelta(sum: Float32Array, update: MergeUpdate): void {
  const { scales, values } = parseDelta(update.delta, sum.length)
  const weight = Math.fround(update.weight)
  for (let block = 0; block < scales.length; block++) {
    const scale = scales[block]!
    const to = Math.min((block + 1) * BLOCK, sum.length)
    for (let i = block * BLOCK; i < to; i++)
      sum[i] = Math.fround(sum[i]! + Math.fround(weight * Math.fround(scale * values[i]!)))
  }
}

function assertFinite(vector: Float32Array): void {
  for (let i = 0; i < vector.length; i++)
    if (!Number.isFinite(vector[i]!))
      throw new PinGoError(
        'MERGE_NONFINITE',
        'Training diverged: the merged model holds numbers that are not finite.',
        {
          hint: 'Lower the learning rate, or clip the gradient norm.',
        },
      )
}

const malformed = (message: string): PinGoError => new PinGoError('UPDATE_MALFORMED', message)
