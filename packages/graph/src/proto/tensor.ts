import { arrayOf, arrayView, bytesOf, type DType, PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { DATA_TYPE, dtypeOf, ENTRY, TENSOR } from './fields.ts'
import { type Field, malformed } from './message.ts'

/** Greatest rank of a tensor and greatest number of elements (2^31 bytes of float32). */
export const MAX_TENSOR_RANK = 16
export const MAX_TENSOR_ELEMENTS = 2 ** 29

const unsupported = (message: string, hint: string) => new PinGoError('ONNX_UNSUPPORTED', message, { hint })

/** @throws PinGoError ONNX_UNSUPPORTED for element types that cannot be held */
export function knownDtype(code: number, what: string): DType {
  const dtype = dtypeOf(code)
  if (!dtype)
    throw unsupported(
      `${what} has the ONNX element type ${code}, which PinGo does not handle.`,
      'Use float32, integer or bool tensors.',
    )
  return dtype
}

/** A shape from a file: bounded rank, whole non-negative sizes, bounded product. */
export function checkedShape(dims: readonly number[], what: string): number[] {
  if (dims.length > MAX_TENSOR_RANK) throw malformed(`${what} has ${dims.length} dimensions`)
  if (dims.some((n) => !Number.isSafeInteger(n) || n < 0)) throw malformed(`${what} has an impossible shape`)
  if (sizeOf(dims) > MAX_TENSOR_ELEMENTS) throw malformed(`${what} has too many elements`)
  return [...dims]
}

/**
 * Gives `length` bytes (all that follow when undefined) from `offset` on of a file that a model keeps weights in; `location` is what
 * the model calls it, a path that nobody has judged. Throws where it cannot or will not.
 */
export type ExternalData = (location: string, offset: number, length: number | undefined) => Uint8Array

/** Where a tensor's bytes are, as its entries say (onnx/docs/ExternalData.md). */
function externalBytes(entries: ReadonlyMap<string, string>, what: string, read: ExternalData): Uint8Array {
  const number = (key: string): number | undefined => {
    const text = entries.get(key)
    if (text === undefined) return undefined
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value)) throw malformed(`${what} has an impossible ${key}`)
    return value
  }
  const location = entries.get('location')
  if (!location) throw malformed(`${what} does not say which file holds its data`)
  return read(location, number('offset') ?? 0, number('length'))
}

/** Reads a TensorProto. Element data are a view on the file where alignment allows. */
export function readTensor(field: Field, external?: ExternalData): { name: string; tensor: Tensor } {
  let name = ''
  let code = 0
  let raw: Uint8Array | undefined
  let refused: string | undefined
  let isElsewhere = false
  const dims: number[] = []
  const numbers: number[] = []
  const bigints: bigint[] = []
  const elsewhere = new Map<string, string>()
  field.message((f) => {
    if (f.number === TENSOR.name) name = f.string
    else if (f.number === TENSOR.dims) f.ints(dims)
    else if (f.number === TENSOR.dataType) code = f.int
    else if (f.number === TENSOR.rawData) raw = f.bytes
    else if (f.number === TENSOR.floatData) f.floats(numbers)
    else if (f.number === TENSOR.doubleData) f.doubles(numbers)
    else if (f.number === TENSOR.int32Data) f.ints(numbers)
    else if (f.number === TENSOR.int64Data || f.number === TENSOR.uint64Data) f.bigints(bigints)
    else if (f.number === TENSOR.externalData) readEntry(f, elsewhere)
    else if (f.number === TENSOR.dataLocation) isElsewhere = f.int !== 0
    else if (f.number === TENSOR.segment) refused = 'is cut into segments'
    else if (f.number === TENSOR.stringData) refused = 'holds strings'
  })
  const what = `The tensor '${name.slice(0, 100)}'`
  if ((isElsewhere || elsewhere.size) && !external) refused = 'keeps its data in another file'
  if (refused) throw unsupported(`${what} ${refused}.`, 'Save the model as one file with all weights inside.')
  const dtype = knownDtype(code, what)
  const shape = checkedShape(dims, what)
  const size = sizeOf(shape)
  if (external && (isElsewhere || elsewhere.size)) raw = externalBytes(elsewhere, what, external)
  if (raw) {
    if (raw.byteLength !== size * bytesOf(dtype))
      throw malformed(`${what} has ${raw.byteLength} bytes, not those of its shape`)
    return { name, tensor: { dtype, shape, data: arrayView(dtype, raw) } }
  }
  const given = bigints.length || numbers.length
  if (given !== size) throw malformed(`${what} has ${given} elements, its shape wants ${size}`)
  const data = new arrayOf[dtype](size)
  const wide = dtype === 'int64' || dtype === 'uint64'
  for (let i = 0; i < size; i++)
    data[i] = wide ? (bigints[i] ?? BigInt(Math.trunc(numbers[i] ?? 0))) : Number(numbers[i] ?? bigints[i])
  return { name, tensor: { dtype, shape, data } }
}

function readEntry(field: Field, into: Map<string, string>): void {
  let [key, value] = ['', '']
  field.message((f) => {
    if (f.number === ENTRY.key) key = f.string
    else if (f.number === ENTRY.value) value = f.string
  })
  into.set(key, value)
}

export { DATA_TYPE }
