/** A matrix over a field, row by row. */
export type Matrix = readonly (readonly number[])[]

/** The field of 2^w elements: numbers whose bits are the coefficients of a polynomial, multiplied modulo `polynomial`. */
export class Field {
  readonly w: number
  readonly #log: number[]
  readonly #exp: number[]

  constructor(w: number, polynomial: number) {
    this.w = w
    const size = 2 ** w
    this.#log = new Array<number>(size)
    this.#exp = new Array<number>(size - 1)
    for (let power = 0, element = 1; power < size - 1; power++) {
      this.#log[element] = power
      this.#exp[power] = element
      element *= 2
      if (element >= size) element = (element ^ polynomial) % size
    }
  }

  multiply(a: number, b: number): number {
    return a && b ? this.#exp[(this.#log[a]! + this.#log[b]!) % this.#exp.length]! : 0
  }

  /** `b` is not 0. */
  divide(a: number, b: number): number {
    return a ? this.#exp[(this.#log[a]! - this.#log[b]! + this.#exp.length) % this.#exp.length]! : 0
  }

  /** The w × w bits that multiply by `element`: bit `b` of the product is the sum of the bits `a` of the other where `bits[b][a]`. */
  bits(element: number): number[][] {
    const columns = Array.from({ length: this.w }, (_, a) => this.multiply(element, 2 ** a))
    return columns.map((_, b) => columns.map((column) => (column >> b) & 1))
  }

  /** Ones in {@link bits}: what multiplying costs. */
  ones(element: number): number {
    return this.bits(element).flat().filter(Boolean).length
  }

  product(a: Matrix, b: Matrix): number[][] {
    return a.map((row) =>
      b[0]!.map((_, column) => row.reduce((sum, element, i) => sum ^ this.multiply(element, b[i]![column]!), 0)),
    )
  }

  /** Gauss and Jordan. @throws RangeError for a singular matrix */
  inverse(matrix: Matrix): number[][] {
    const n = matrix.length
    const rows = matrix.map((row, r) => [...row, ...row.map((_, c) => (c === r ? 1 : 0))])
    for (let c = 0; c < n; c++) {
      const pivot = rows.findIndex((row, r) => r >= c && row[c] !== 0)
      if (pivot < 0) throw new RangeError('a singular matrix has no inverse')
      const chosen = rows[pivot]!
      const row = chosen.map((element) => this.divide(element, chosen[c]!))
      rows[pivot] = rows[c]!
      rows[c] = row
      for (const [r, other] of rows.entries())
        if (r !== c && other[c] !== 0) rows[r] = other.map((element, i) => element ^ this.multiply(row[i]!, other[c]!))
    }
    return rows.map((row) => row.slice(n))
  }
}
