const MASK = (1n << 64n) - 1n
const GOLDEN = 0x9e3779b97f4a7c15n

/** The output function of SplitMix64: a bijection of 64-bit integers that scatters neighbours. */
function scatter(x: bigint): bigint {
  let z = x & MASK
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK
  return z ^ (z >> 31n)
}

/**
 * SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): the next 64-bit outputs
 * after `seed`. Used to seed {@link Random}, as the authors of xoshiro recommend.
 */
export function splitMix64(seed: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => scatter(seed + GOLDEN * BigInt(i + 1)))
}

/** One 64-bit seed from several non-negative integers, e.g. (seed, epoch, window): equal lists give equal seeds. */
export function deriveSeed(...parts: readonly number[]): bigint {
  return parts.reduce((state, part) => scatter((state ^ BigInt(part)) + GOLDEN), BigInt(parts.length))
}

/**
 * xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 2021): 32-bit integer
 * arithmetic only, so every machine and every engine draws the same numbers. Not for secrets.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  /** The state itself: four 32-bit words, not all zero. */
  constructor(a: number, b: number, c: number, d: number) {
    this.#a = a | 0
    this.#b = b | 0
    this.#c = c | 0
    this.#d = d | 0
  }

  /** A generator whose state is drawn by SplitMix64 from the seed derived from `parts`. */
  static from(...parts: readonly number[]): Random {
    const [low, high] = splitMix64(deriveSeed(...parts), 2) as [bigint, bigint]
    const word = (x: bigint) => Number(x & 0xffffffffn)
    return new Random(word(low), word(low >> 32n), word(high), word(high >> 32n) || 1)
  }

  /** The next integer of 0 … 2^32 - 1. */
  next(): number {
    const x = Math.imul(this.#b, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9)
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result >>> 0
  }

  /** An unbiased integer of 0 … bound - 1, for a bound of 1 … 2^32 (draws again where the remainder would be uneven). */
  below(bound: number): number {
    const uneven = 2 ** 32 % bound
    let x = this.next()
    while (x < uneven) x = this.next()
    return x % bound
  }

  /** Shuffles in place, every order equally likely (Fisher and Yates; Durstenfeld 1964). */
  shuffle<T extends { length: number; [index: number]: number }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const swapped = items[i]!
      items[i] = items[j]!
      items[j] = swapped
    }
    return items
  }
}
