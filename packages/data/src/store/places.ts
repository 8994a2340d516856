import { type BatchInput, type Column, type DatasetManifest, PinGoError, sizeOf, type TypedArray } from '@pingo/wire'
import { type CopyElements, copier, emptyInput } from './convert.ts'

/** Which shard holds a sample. */
export interface Places {
  readonly samples: number
  /** @throws PinGoError DATASET_INDEX */
  shardOf(index: number): number
  /** The first sample of a shard. */
  firstOf(shard: number): number
}

/** @throws PinGoError DATASET_INVALID */
export function placesOf(manifest: DatasetManifest): Places {
  /** ends[s] is the first sample after shard s. */
  const ends = new Float64Array(manifest.shards.length)
  let samples = 0
  for (const [i, shard] of manifest.shards.entries()) ends[i] = samples += shard.samples
  if (samples !== manifest.samples)
    throw new PinGoError(
      'DATASET_INVALID',
      `Dataset '${manifest.name}' says ${manifest.samples} samples, its shards have ${samples}.`,
    )
  return {
    samples,
    firstOf: (shard) => (shard === 0 ? 0 : ends[shard - 1]!),
    shardOf(index) {
      if (!Number.isInteger(index) || index < 0 || index >= samples)
        throw new PinGoError(
          'DATASET_INDEX',
          `Sample ${index} is not one of the ${samples} of dataset '${manifest.name}'.`,
        )
      let low = 0
      let high = ends.length - 1
      while (low < high) {
        const middle = (low + high) >>> 1
        if (ends[middle]! <= index) low = middle + 1
        else high = middle
      }
      return low
    },
  }
}

/** An input of a batch that is being filled. */
export interface Target {
  input: BatchInput
  column: Column
  /** Elements of a sample. */
  size: number
  copy: CopyElements
  target: TypedArray
}

/** Room for a batch. @throws PinGoError DATASET_COLUMN, DATA_SHAPE_MISMATCH */
export function targetsOf(manifest: DatasetManifest, inputs: readonly BatchInput[], samples: number): Target[] {
  return inputs.map((input) => {
    const column = manifest.columns.find(({ name }) => name === input.column)
    if (!column)
      throw new PinGoError('DATASET_COLUMN', `Dataset '${manifest.name}' has no column '${input.column}'.`, {
        hint: `It has ${manifest.columns.map(({ name }) => `'${name}'`).join(', ')}.`,
      })
    return {
      input,
      column,
      size: sizeOf(input.shape),
      copy: copier(column, input),
      target: emptyInput(input, samples),
    }
  })
}

/** Waits for a shared read; who gives up waiting does not stop it for the others. @throws PinGoError ABORTED */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  const aborted = () => new PinGoError('ABORTED', 'Reading the batch was stopped.', { cause: signal.reason })
  if (signal.aborted) throw aborted()
  let stop: () => void = () => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(aborted())
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
