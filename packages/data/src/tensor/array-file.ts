import { PinGoError, type TypedArray } from '@pingo/wire'

/** Element types of array files; float16 is read as float32. */
export type ElementType =
  | 'bool'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'int64'
  | 'float16'
  | 'float32'
  | 'float64'

/** An array on disk whose first axis counts samples, read piece by piece. */
export interface ArrayFile {
  path: string
  dtype: ElementType
  shape: readonly number[]
  totalBytes: number
  /** The elements of `count` samples from `first` on, little-endian, in their own type. */
  read(first: number, count: number): Promise<Uint8Array>
  close(): Promise<void>
}

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  int64: 8,
  float16: 2,
  float32: 4,
  float64: 8,
}

export const MAX_ARRAY_RANK = 8

export function isFloat(dtype: ElementType): boolean {
  return dtype === 'float16' || dtype === 'float32' || dtype === 'float64'
}

/** The type in which a column stores such elements: nothing is lost but digits of float64. */
export function storedType(dtype: ElementType): 'float32' | 'uint8' | 'int32' | 'int64' {
  if (isFloat(dtype)) return 'float32'
  if (dtype === 'bool' || dtype === 'uint8') return 'uint8'
  return dtype === 'int64' || dtype === 'uint32' ? 'int64' : 'int32'
}

/** Little-endian bytes as numbers (int64 as BigInt64Array). `bytes` must be aligned, as a fresh array is. */
export function elementsOf(dtype: ElementType, bytes: Uint8Array): TypedArray | Float16Array {
  const aligned = bytes.byteOffset % ELEMENT_BYTES[dtype] === 0 ? bytes : bytes.slice()
  const { buffer, byteOffset } = aligned
  const length = bytes.length / ELEMENT_BYTES[dtype]
  switch (dtype) {
    case 'bool':
    case 'uint8':
      return new Uint8Array(buffer, byteOffset, length)
    case 'int8':
      return new Int8Array(buffer, byteOffset, length)
    case 'uint16':
      return new Uint16Array(buffer, byteOffset, length)
    case 'int16':
      return new Int16Array(buffer, byteOffset, length)
    case 'uint32':
      return new Uint32Array(buffer, byteOffset, length)
    case 'int32':
      return new Int32Array(buffer, byteOffset, length)
    case 'int64':
      return new BigInt64Array(buffer, byteOffset, length)
    case 'float16':
      return new Float16Array(buffer, byteOffset, length)
    case 'float32':
      return new Float32Array(buffer, byteOffset, length)
    case 'float64':
      return new Float64Array(buffer, byteOffset, length)
  }
}

/** Elements as their column stores them. @throws PinGoError DATA_NOT_FINITE naming the sample */
export function toStored(
  path: string,
  dtype: ElementType,
  bytes: Uint8Array,
  first: number,
  perSample: number,
): TypedArray {
  const elements = elementsOf(dtype, bytes)
  if (isFloat(dtype)) {
    const values = elements instanceof Float32Array ? elements : Float32Array.from(elements as Float64Array)
    for (let i = 0; i < values.length; i++)
      if (!Number.isFinite(values[i]))
        throw new PinGoError(
          'DATA_NOT_FINITE',
          `'${path}', sample ${first + Math.floor(i / perSample)} (counted from 0) holds ${elements[i]}, which is not a finite float32.`,
          {
            hint: 'Remove or replace such values.',
          },
        )
    return values
  }
  switch (storedType(dtype)) {
    case 'uint8':
      return elements as Uint8Array
    case 'int64':
      return elements instanceof BigInt64Array ? elements : BigInt64Array.from(elements as Uint32Array, BigInt)
    default:
      return elements instanceof Int32Array ? elements : Int32Array.from(elements as Int16Array)
  }
}
