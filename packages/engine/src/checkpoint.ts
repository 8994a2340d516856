import {
  isPinGoError,
  PinGoError,
  readSafetensors,
  sizeOf,
  type Tensor,
  type TensorSpec,
  writeSafetensors,
} from '@pingo/wire'

const FORMAT = 'pingo/checkpoint'

/** All that training goes on from, besides the model's file and the settings. */
export interface Checkpoint {
  /** Parameters and buffers by initialiser name. */
  weights: Map<string, Tensor>
  /** The optimiser's tensors by name (`optimizer.first.fc.weight`). */
  state: Map<string, Tensor>
  /** Steps done since the optimiser began. */
  step: number
}

/** One safetensors file: weights under their names in the model, the optimiser's state beside them. */
export function writeCheckpoint({ weights, state, step }: Checkpoint): Uint8Array {
  const metadata = { format: FORMAT, version: '1', step: String(step), state: JSON.stringify([...state.keys()]) }
  return writeSafetensors([...weights, ...state], metadata)
}

/** @throws PinGoError CHECKPOINT_MALFORMED */
export function readCheckpoint(bytes: Uint8Array): Checkpoint {
  const malformed = (why: string, cause?: unknown) =>
    new PinGoError('CHECKPOINT_MALFORMED', `This is no checkpoint: ${why}.`, {
      cause,
      hint: 'Give the bytes that `writeCheckpoint` or `fit` made.',
    })
  try {
    const { tensors, metadata } = readSafetensors(bytes)
    if (metadata.format !== FORMAT || metadata.version !== '1') throw malformed('its metadata are of something else')
    const step = Number(metadata.step)
    if (!Number.isSafeInteger(step) || step < 0) throw malformed(`its step is ${metadata.step}`)
    const names: unknown = JSON.parse(metadata.state ?? '[]')
    if (!Array.isArray(names) || !names.every((name) => typeof name === 'string' && tensors.has(name)))
      throw malformed('its state is not whole')
    const isState = new Set<string>(names)
    const part = (wanted: boolean) => new Map([...tensors].filter(([name]) => isState.has(name) === wanted))
    return { weights: part(false), state: part(true), step }
  } catch (error) {
    if (isPinGoError(error, 'CHECKPOINT_MALFORMED')) throw error
    throw malformed(error instanceof Error ? error.message.replace(/\.$/, '') : String(error), error)
  }
}

/** Named tensors as one flat vector in the order of the specs. @throws PinGoError CHECKPOINT_MISMATCH */
export function flatten(specs: readonly TensorSpec[], tensors: ReadonlyMap<string, Tensor>): Float32Array {
  const flat = new Float32Array(specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0))
  let at = 0
  for (const { name, shape } of specs) {
    const tensor = tensors.get(name)
    if (tensor?.dtype !== 'float32' || tensor.shape.join() !== shape.join())
      throw new PinGoError(
        'CHECKPOINT_MISMATCH',
        tensor
          ? `The checkpoint holds '${name}' as ${tensor.dtype} [${tensor.shape}], the training wants float32 [${shape}].`
          : `The checkpoint does not hold '${name}'.`,
        { hint: 'Resume with the model, the optimiser and the frozen weights that it was made with.' },
      )
    flat.set(tensor.data as Float32Array, at)
    at += sizeOf(shape)
  }
  return flat
}

/** The reverse of {@link flatten}; views on the vector. */
export function unflatten(specs: readonly TensorSpec[], flat: Float32Array): Map<string, Tensor> {
  let at = 0
  return new Map(
    specs.map(({ name, shape }) => {
      const data = flat.subarray(at, (at += sizeOf(shape)))
      return [name, { dtype: 'float32', shape, data }]
    }),
  )
}
