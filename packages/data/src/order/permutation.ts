import { deriveSeed, splitMix64 } from './random.ts'

const ROUNDS = 8

/** A permutation of 0 … size - 1 that is computed, not stored. */
export interface Permutation {
  at(index: number): number
  /** The index at which `value` stands: `at(indexOf(v)) = v`. */
  indexOf(value: number): number
}

/**
 * A seeded permutation in constant memory: a balanced Feistel network on the smallest even number of bits that holds `size`
 * values, walked until it lands inside (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
 * Integer arithmetic only. `size` is 1 … 2^32.
 */
export function permutation(size: number, ...seed: readonly number[]): Permutation {
  let halfBits = 1
  while (4 ** halfBits < size) halfBits++
  const half = 2 ** halfBits
  const keys = splitMix64(deriveSeed(...seed), ROUNDS).map((key) => Number(key & 0xffffffffn) | 0)

  const forward = (value: number): number => {
    let left = Math.floor(value / half)
    let right = value % half
    for (let i = 0; i < ROUNDS; i++) {
      const next = (left ^ (scatter32(right ^ keys[i]!) % half)) >>> 0
      left = right
      right = next
    }
    return left * half + right
  }
  const backward = (value: number): number => {
    let left = Math.floor(value / half)
    let right = value % half
    for (let i = ROUNDS - 1; i >= 0; i--) {
      const previous = (right ^ (scatter32(left ^ keys[i]!) % half)) >>> 0
      right = left
      left = previous
    }
    return left * half + right
  }
  const walk = (step: (value: number) => number, from: number): number => {
    let value = step(from)
    while (value >= size) value = step(value)
    return value
  }
  return { at: (index) => walk(forward, index), indexOf: (value) => walk(backward, value) }
}

/** The finaliser of MurmurHash3 (Appleby): a bijection of 32-bit integers. */
function scatter32(x: number): number {
  let h = x
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
