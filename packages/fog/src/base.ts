import { PinGoError, readSafetensors, sizeOf, type Tensor, type TensorSpec, writeSafetensors } from '@pingo/wire'

/** A job's flat state: parameters and running statistics, each concatenated in the program's order. */
export interface Base {
  theta: Float32Array
  buffers: Float32Array
}

const flat = (data: Float32Array): Tensor => ({ dtype: 'float32', shape: [data.length], data })

/** The file that a lease starts from. */
export const encodeBase = ({ theta, buffers }: Base): Uint8Array =>
  writeSafetensors([
    ['theta', flat(theta)],
    ['buffers', flat(buffers)],
  ])

/** @throws PinGoError SAFETENSORS_MALFORMED */
export function decodeBase(bytes: Uint8Array): Base {
  const { tensors } = readSafetensors(bytes)
  return { theta: float32(tensors.get('theta'), 'theta'), buffers: float32(tensors.get('buffers'), 'buffers') }
}

export const encodeMomentum = (momentum: Float32Array): Uint8Array => writeSafetensors([['momentum', flat(momentum)]])

export function decodeMomentum(bytes: Uint8Array): Float32Array {
  return float32(readSafetensors(bytes).tensors.get('momentum'), 'momentum')
}

/** Concatenates named tensors in the order of `specs`. @throws PinGoError TENSOR_MISSING, TENSOR_MALFORMED */
export function flatten(tensors: ReadonlyMap<string, Tensor>, specs: readonly TensorSpec[]): Float32Array {
  const out = new Float32Array(specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0))
  let at = 0
  for (const { name, shape } of specs) {
    const data = float32(tensors.get(name), name)
    if (data.length !== sizeOf(shape))
      throw new PinGoError(
        'TENSOR_MALFORMED',
        `Tensor '${name}' has ${data.length} elements, its shape [${shape}] wants ${sizeOf(shape)}.`,
      )
    out.set(data, at)
    at += data.length
  }
  return out
}

/** The inverse of {@link flatten}: views on `data`. */
export function unflatten(data: Float32Array, specs: readonly TensorSpec[]): Map<string, Tensor> {
  const out = new Map<string, Tensor>()
  let at = 0
  for (const { name, shape } of specs) {
    const size = sizeOf(shape)
    out.set(name, { dtype: 'float32', shape, data: data.subarray(at, at + size) })
    at += size
  }
  return out
}

function float32(tensor: Tensor | undefined, name: string): Float32Array {
  if (!tensor) throw new PinGoError('TENSOR_MISSING', `The file has no tensor '${name}'.`)
  if (!(tensor.data instanceof Float32Array))
    throw new PinGoError('TENSOR_MALFORMED', `Tensor '${name}' is ${tensor.dtype}, not float32.`)
  return tensor.data
}
