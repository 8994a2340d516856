/**
 * The random numbers of a training step, for dropout and the like. A runtime's own random nodes cannot be replayed; these numbers
 * are a pure function of a seed and a counter, so that any contributor or auditor who repeats a step gets the same bits. They enter the step
 * graph as its input `noise`.
 * @module
 */

const MASK64 = (1n << 64n) - 1n

/** SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
function mix64(x: bigint): bigint {
  let z = x & MASK64
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK64
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK64
  return z ^ (z >> 31n)
}

/**
 * The seed of a batch's noise.
 * @param seed the job's seed, a whole number; @param batch the batch's number in the job's stream of samples, from 0: whoever trains that batch,
 * in whatever lease, draws the same numbers
 * @returns 64 bits
 */
export function batchSeed(seed: number, batch: number): bigint {
  return mix64(mix64(BigInt(seed) + 0x9e3779b97f4a7c15n) ^ mix64(BigInt(batch) + 0xd1b54a32d192ed03n))
}

/**
 * Fills an array with uniform numbers in [0, 1), multiples of 2^-24, the i-th a function of `seed` and `i` alone: the counter is keyed by one half
 * of the seed and mixed, then by the other and mixed again, by the 32-bit integer hash of least known bias with two multiplications (Wellons
 * and TheIronBorn, github.com/skeeto/hash-prospector: 16 21f0aaad 15 735a2d97 15).
 * @param seed 64 bits, as of {@link batchSeed}
 */
export function fillNoise(into: Float32Array, seed: bigint): Float32Array {
  const low = Number(seed & 0xffffffffn) | 0
  const high = Number((seed >> 32n) & 0xffffffffn) | 0
  for (let i = 0; i < into.length; i++) {
    let x = i ^ low
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    x = ((x ^ (x >>> 15)) + high) | 0
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    x ^= x >>> 15
    into[i] = (x >>> 8) * 2 ** -24
  }
  return into
}
