import { arrayView, type Column, type DatasetManifest, PinGoError } from '@pingo/wire'
import type { Layout } from './layout.ts'
import { Moments, PooledMoments } from './moments.ts'

/** Vectors up to this many elements get a mean and std for each element; images and longer ones get one of all. */
const MAX_ELEMENTS = 100_000

/**
 * Mean and std of the logical values of the training split: of each element of vectors (a table's fields), of all together
 * for images and other tensors. Not of tokens and class ids, which are names rather than quantities.
 */
export class Statistics {
  readonly #watched: {
    column: Column
    offset: number
    bytes: Uint8Array
    values: Float32Array | Uint8Array
    moments: Moments | PooledMoments
  }[]

  constructor(layout: Layout, kind: DatasetManifest['kind']) {
    this.#watched = layout.fields
      .filter(({ column: { dtype } }) => dtype === 'float32' || dtype === 'uint8')
      .filter(({ column }) => (column.role === 'input' || column.dtype === 'float32') && !column.mean)
      .map(({ column, offset, bytes: length, elements }) => {
        const bytes = new Uint8Array(length)
        const each = kind !== 'image' && column.shape.length <= 1 && elements <= MAX_ELEMENTS
        return {
          column,
          offset,
          bytes,
          values: arrayView(column.dtype, bytes) as Float32Array | Uint8Array,
          moments: each ? new Moments(elements) : new PooledMoments(),
        }
      })
  }

  add(record: Uint8Array): void {
    for (const { offset, bytes, values, moments } of this.#watched) {
      bytes.set(record.subarray(offset, offset + bytes.length))
      moments.add(values)
    }
  }

  /** The columns with their mean and std. */
  describe(columns: readonly Column[]): Column[] {
    return columns.map((column) => {
      const moments = this.#watched.find((watched) => watched.column.name === column.name)?.moments
      if (!moments) return column
      const { scale = 1, shift = 0 } = column
      const missing = moments instanceof Moments ? moments.mean().findIndex((_, i) => moments.count(i) === 0) : -1
      if (missing >= 0)
        throw new PinGoError(
          'DATA_MISSING_VALUE',
          `Field '${column.fields?.[missing] ?? missing}' has no value in any row of the training split: leave it out.`,
        )
      return {
        ...column,
        mean: moments.mean().map((mean) => mean * scale + shift),
        std: moments.std().map((std) => std * Math.abs(scale)),
      }
    })
  }

  /** Replaces NaN by the mean of its element. */
  filler(): (column: string, values: Float32Array) => void {
    const means = new Map(this.#watched.map(({ column, moments }) => [column.name, moments.mean()]))
    return (column, values) => {
      const mean = means.get(column)
      if (!mean) return
      for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) values[i] = mean[i % mean.length]!
    }
  }
}
