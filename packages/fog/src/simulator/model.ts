import { encodeDelta, type LeaseGrant } from '@pingo/training'

/** A model small enough to be trained a million times: a noisy quadratic bowl whose bottom is known. */
export const PARAMETERS = 8
export const BUFFERS = 2
/** Samples of a step. */
export const BATCH = 16
const NOISE = 0.2

/** A checkpoint of the simulation: what a base file and its momentum file hold. */
export interface Checkpoint {
  theta: Float32Array
  momentum: Float32Array
  buffers: Float32Array
}

export const initialCheckpoint = (): Checkpoint => ({
  theta: Float32Array.from({ length: PARAMETERS }, (_, i) => 4 - i),
  momentum: new Float32Array(PARAMETERS),
  buffers: new Float32Array(BUFFERS),
})

/** The bottom of the bowl of a job. */
export const bottomOf = (seed: number, i: number): number => ((seed * 7 + i * 3) % 11) / 5 - 1

/** Euclidean distance of the parameters to the bottom. */
export function distance(theta: Float32Array, seed: number): number {
  return Math.hypot(...[...theta].map((value, i) => value - bottomOf(seed, i)))
}

export interface Trained {
  delta: Uint8Array
  buffers: Float32Array
  samples: number
  lossSum: number
}

/** Trains the first `steps` batches of a lease; deterministic in its arguments. */
export function train(base: Checkpoint, lease: LeaseGrant, steps: number, seed: number, totalSamples: number): Trained {
  const theta = base.theta.slice()
  const buffers = base.buffers.slice()
  let samples = 0
  let lossSum = 0
  let step = 0
  const leased = lease.ranges.reduce((sum, [from, to]) => sum + to - from, 0)
  for (const [from, to] of lease.ranges) {
    for (let batch = from; batch < to && step < steps; batch++, step++) {
      const { from: first, to: last } = lease.learningRate
      const rate = first + ((last - first) * step) / leased
      const count = Math.min(BATCH, totalSamples - batch * BATCH)
      let loss = 0
      for (let i = 0; i < PARAMETERS; i++) {
        const away = theta[i]! - bottomOf(seed, i)
        loss += away * away
        theta[i] = Math.fround(theta[i]! - rate * (away * (0.4 + 0.05 * i) + noise(batch, i)))
      }
      for (let i = 0; i < BUFFERS; i++) buffers[i] = Math.fround(0.9 * buffers[i]! + 0.1 * theta[i]!)
      samples += count
      lossSum += loss * count
    }
  }
  return { delta: encodeDelta(base.theta, theta), buffers, samples, lossSum }
}

function noise(batch: number, i: number): number {
  const hash = Math.imul(Math.imul(batch + 1, 0x9e3779b1) ^ (i + 1), 0x85ebca6b)
  return ((hash >>> 8) / 2 ** 24 - 0.5) * 2 * NOISE
}

/** A hash of 64 bits that things are fed to one after another (two lanes of FNV-1a): quick, not secure. */
export class Fingerprint {
  #low = 0x811c9dc5
  #high = 0x1b873593

  add(part: string | number | ArrayBufferView): this {
    if (typeof part === 'object') {
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
      for (let i = 0; i < bytes.length; i++) this.#eat(bytes[i]!)
    } else if (typeof part === 'number') {
      this.#eat(part | 0)
      this.#eat((part / 2 ** 32) | 0)
    } else for (let i = 0; i < part.length; i++) this.#eat(part.charCodeAt(i))
    this.#eat(0)
    return this
  }

  toString(): string {
    return `${(this.#low >>> 0).toString(36)}-${(this.#high >>> 0).toString(36)}`
  }

  #eat(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193)
    this.#high = (Math.imul(this.#high ^ value, 0x01000197) + 0x3c6ef372) | 0
  }
}

/** A name for content: equal for equal content, unequal for unequal in practice. */
export function nameOf(...parts: (string | ArrayBufferView)[]): string {
  const print = new Fingerprint()
  for (const part of parts) print.add(part)
  return print.toString()
}

export const checkpointName = (checkpoint: Checkpoint): string =>
  nameOf(checkpoint.theta, checkpoint.momentum, checkpoint.buffers)
