/**
 * Mean and standard deviation (of the population) of each element of a vector in one pass, in double precision
 * (Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 1962).
 * NaN counts as missing.
 */
export class Moments {
  #rows = 0
  readonly #counts: Float64Array
  readonly #means: Float64Array
  readonly #squares: Float64Array

  constructor(elements: number) {
    this.#counts = new Float64Array(elements)
    this.#means = new Float64Array(elements)
    this.#squares = new Float64Array(elements)
  }

  add(values: ArrayLike<number>): void {
    const counts = this.#counts
    const means = this.#means
    const squares = this.#squares
    this.#rows++
    for (let i = 0; i < means.length; i++) {
      const value = values[i]!
      if (Number.isNaN(value)) continue
      const difference = value - means[i]!
      const mean = (means[i]! += difference / ++counts[i]!)
      squares[i]! += difference * (value - mean)
    }
  }

  /** How many values element `i` has had. */
  count(i: number): number {
    return this.#counts[i]!
  }

  mean(): number[] {
    return Array.from(this.#means)
  }

  /** Missing values count as the mean, which they are replaced by. */
  std(): number[] {
    return Array.from(this.#squares, (sum) => Math.sqrt(sum / Math.max(this.#rows, 1)))
  }
}

/** The same of all elements together, sample by sample (Chan, Golub, LeVeque 1979, formula for joining two sets). */
export class PooledMoments {
  #count = 0
  #mean = 0
  #squares = 0

  add(values: ArrayLike<number>): void {
    const n = values.length
    let sum = 0
    for (let i = 0; i < n; i++) sum += values[i]!
    const mean = sum / n
    let squares = 0
    for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2
    const difference = mean - this.#mean
    const total = this.#count + n
    this.#mean += (difference * n) / total
    this.#squares += squares + (difference * difference * this.#count * n) / total
    this.#count = total
  }

  mean(): number[] {
    return [this.#mean]
  }

  std(): number[] {
    return [Math.sqrt(this.#squares / Math.max(this.#count, 1))]
  }
}
