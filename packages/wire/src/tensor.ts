/** Element types that PinGo moves and stores, by their ONNX / numpy names. */
export type DType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** A dense tensor, row-major. `float16` and `bfloat16` hold their bits in a Uint16Array, `bool` 0 or 1 in a Uint8Array. */
export interface Tensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: TypedArray
}

/** A tensor's name, element type and shape, without its elements. */
export interface TensorSpec {
  name: string
  dtype: DType
  shape: number[]
}

type ArrayConstructor = {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray
  new (length: number): TypedArray
}

export const arrayOf: Readonly<Record<DType, ArrayConstructor>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
}

/** Bytes of one element. */
export const bytesOf = (dtype: DType): number => arrayOf[dtype].BYTES_PER_ELEMENT

/** Number of elements of a shape; 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

/** The little-endian bytes of a typed array, without a copy. */
export const bytesView = (data: TypedArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** A typed view on bytes; copies only when they are not aligned. `bytes` must hold exactly the elements. */
export function arrayView(dtype: DType, bytes: Uint8Array): TypedArray {
  const type = arrayOf[dtype]
  // a Buffer's own slice() would be a view
  const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes)
  return new type(aligned.buffer, aligned.byteOffset, aligned.byteLength / type.BYTES_PER_ELEMENT)
}
