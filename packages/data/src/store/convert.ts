import { arrayOf, type BatchInput, type Column, PinGoError, sizeOf, type TypedArray } from '@pingo/wire'

/** Copies `count` elements from `source[from]` on to `target[to]` on, changing the element type. */
export type CopyElements = (source: TypedArray, from: number, target: TypedArray, to: number, count: number) => void

const RANGE: Partial<Record<BatchInput['dtype'], readonly [number, number]>> = {
  uint8: [0, 255],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
}

export function emptyInput(input: BatchInput, samples: number): TypedArray {
  return new arrayOf[input.dtype](samples * sizeOf(input.shape))
}

/**
 * How stored values of a column become values of a batch input. Element types of equal kind are copied as blocks; whole
 * numbers that do not fit, and fractions where whole numbers are wanted, are refused rather than bent.
 * @throws PinGoError DATA_SHAPE_MISMATCH
 */
export function copier(column: Column, input: BatchInput): CopyElements {
  const has = sizeOf(column.shape)
  const wants = sizeOf(input.shape)
  if (has !== wants)
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `Column '${column.name}' has ${has} values a sample [${column.shape}], the model's input '${input.name}' wants ${wants} [${input.shape}].`,
      {
        hint: 'Change the model or the columns so that both agree.',
        details: { column: column.name, input: input.name },
      },
    )
  if (column.dtype === input.dtype)
    return (source, from, target, to, count) => {
      ;(target as Float32Array).set((source as Float32Array).subarray(from, from + count), to)
    }
  const exact = RANGE[input.dtype]
  const big = input.dtype === 'int64'
  return (source, from, target, to, count) => {
    for (let i = 0; i < count; i++) {
      const value = Number(source[from + i])
      if (exact && !(Number.isInteger(value) && value >= exact[0] && value <= exact[1]))
        throw new PinGoError(
          'DATA_DTYPE_MISMATCH',
          `Column '${column.name}' holds ${value}, which the model's input '${input.name}' of type ${input.dtype} cannot take.`,
        )
      target[to + i] = big ? BigInt(value) : value
    }
  }
}

/** The values that a model sees: stored * scale + shift as float32, or the stored values when the column has neither. */
export function logicalValues(column: Pick<Column, 'scale' | 'shift'>, stored: TypedArray): TypedArray {
  const { scale, shift } = column
  if (scale === undefined && shift === undefined) return stored
  return Float32Array.from(stored as Float32Array, (value) => Number(value) * (scale ?? 1) + (shift ?? 0))
}
