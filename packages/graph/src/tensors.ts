import { arrayOf, type BatchInput, type DType, sizeOf, type Tensor } from '@pingo/wire'

/** A tensor from numbers; integers are cut to their type's range (int64's greatest stands for "to the end" in slices). */
export function tensorOf(dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor {
  const size = sizeOf(shape)
  const data = new arrayOf[dtype](size)
  if (dtype === 'int64' || dtype === 'uint64') {
    const [low, high] = dtype === 'int64' ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n]
    for (let i = 0; i < size; i++) {
      const value = BigInt(Math.trunc(values[i] ?? 0))
      ;(data as BigInt64Array)[i] = value < low ? low : value > high ? high : value
    }
  } else if (dtype === 'float16' || dtype === 'bfloat16') {
    for (let i = 0; i < size; i++) data[i] = dtype === 'float16' ? toHalf(values[i] ?? 0) : toBrain(values[i] ?? 0)
  } else (data as Float32Array).set(values as ArrayLike<number>)
  return { dtype, shape: [...shape], data }
}

/** The elements as numbers, whatever their type. */
export function numbersOf(tensor: Tensor): ArrayLike<number> {
  const { dtype, data } = tensor
  if (dtype === 'int64' || dtype === 'uint64') return Float64Array.from(data as BigInt64Array, Number)
  if (dtype === 'float16') return Float32Array.from(data as Uint16Array, fromHalf)
  if (dtype === 'bfloat16') return Float32Array.from(data as Uint16Array, fromBrain)
  return data as Float32Array
}

/** Element types that graphs are fed, for each: without loss where it holds whole numbers, else float32. */
const STORABLE = {
  float32: 'float32',
  float64: 'float32',
  float16: 'float32',
  bfloat16: 'float32',
  uint8: 'uint8',
  bool: 'uint8',
  int8: 'int32',
  int16: 'int32',
  uint16: 'int32',
  int32: 'int32',
  int64: 'int64',
  uint32: 'int64',
  uint64: 'int64',
} as const satisfies Record<DType, BatchInput['dtype']>

/** A tensor in the nearest of the four element types that the tensors of a batch may have. */
export function storable(tensor: Tensor): Tensor & { dtype: BatchInput['dtype'] } {
  const dtype = STORABLE[tensor.dtype]
  return { ...castTensor(tensor, dtype), dtype }
}

/** The same values in another element type: floats are rounded, integers of floats truncated, bool is "not zero". */
export function castTensor(tensor: Tensor, dtype: DType): Tensor {
  if (tensor.dtype === dtype) return tensor
  const numbers = numbersOf(tensor)
  if (dtype === 'bool')
    return tensorOf(
      dtype,
      tensor.shape,
      Uint8Array.from(numbers, (x) => (x === 0 ? 0 : 1)),
    )
  return tensorOf(dtype, tensor.shape, numbers)
}

export const isFloat = (dtype: DType): boolean =>
  dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16'

const f32 = new Float32Array(1)
const u32 = new Uint32Array(f32.buffer)

/** IEEE 754 binary16 bits to a number. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** A number to binary16 bits, rounded to nearest, ties to even. */
export function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const x = Math.abs(value)
  if (Number.isNaN(x)) return 0x7e00
  if (x >= 65520) return sign | 0x7c00
  if (x < 2 ** -14) return sign | roundEven(x * 2 ** 24)
  const exponent = Math.floor(Math.log2(x))
  const e = 2 ** exponent > x ? exponent - 1 : 2 ** (exponent + 1) <= x ? exponent + 1 : exponent
  return sign + (e + 15) * 1024 + roundEven((x / 2 ** e - 1) * 1024)
}

/** bfloat16 bits to a number. */
export function fromBrain(bits: number): number {
  u32[0] = bits << 16
  return f32[0]!
}

/** A number to bfloat16 bits, rounded to nearest, ties to even. */
export function toBrain(value: number): number {
  f32[0] = value
  if (Number.isNaN(value)) return 0x7fc0
  const bits = u32[0]!
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff
}

function roundEven(x: number): number {
  const low = Math.floor(x)
  const rest = x - low
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low
}
