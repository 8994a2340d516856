import { storable } from '@pingo/graph'
import { type BatchInput, PinGoError, sizeOf, type Tensor, type TypedArray } from '@pingo/wire'
import type { TrainBatch } from './trainer.ts'

/** Samples along the first axis: a tensor for each input of the model by its name (a lone one may be called `input`), and `target`. */
export type FitTensors = Readonly<Record<string, Tensor>>

/**
 * What to train on: all samples at once, which are shuffled anew for each epoch; or batches in the order in which they come, by a function
 * that starts an epoch (or, for one epoch, an iterable).
 */
export type FitData = FitTensors | AsyncIterable<FitTensors> | ((epoch: number) => AsyncIterable<FitTensors>)

/** Where the batches of a training come from, whatever kind its data are. */
export interface Batches {
  inputs: BatchInput[]
  target: BatchInput
  /** Steps of an epoch; undefined where that is only known at its end. */
  stepsPerEpoch: number | undefined
  /** The batches of an epoch but the first `skip`; `skipped` is told how many of those there were. */
  epoch(epoch: number, skip?: number, skipped?: (batches: number) => void): AsyncIterable<TrainBatch>
}

const fault = (message: string, hint: string) => new PinGoError('FIT_DATA_INVALID', message, { hint })

const isIterable = (data: FitData): data is AsyncIterable<FitTensors> =>
  typeof data === 'object' && Symbol.asyncIterator in data

/** @throws PinGoError FIT_DATA_INVALID */
export async function batchesOf(data: FitData, batch: number, seed: number): Promise<Batches> {
  if (typeof data === 'function' || isIterable(data)) return streamed(data, batch)
  const { tensors, samples } = checked(data)
  const stepsPerEpoch = Math.ceil(samples / batch)
  return {
    ...specsOf(tensors),
    stepsPerEpoch,
    async *epoch(epoch, skip = 0, skipped) {
      skipped?.(Math.min(skip, stepsPerEpoch))
      const order = shuffled(samples, seed, epoch)
      for (let i = skip; i < stepsPerEpoch; i++) {
        const rows = order.subarray(i * batch, (i + 1) * batch)
        const picked = [...tensors].map(([name, tensor]) => [name, gathered(tensor, rows)] as const)
        yield { samples: rows.length, tensors: Object.fromEntries(picked) }
      }
    },
  }
}

async function streamed(data: Exclude<FitData, FitTensors>, batch: number): Promise<Batches> {
  const start = typeof data === 'function' ? data : undefined
  // The first batch tells element types and shapes. An iterable is read once only: the epoch goes on from there.
  const begun = (start ? start(0) : (data as AsyncIterable<FitTensors>))[Symbol.asyncIterator]()
  const head = await begun.next()
  if (head.done) throw fault('The data have no batch.', 'Give at least one batch.')
  if (start) await begun.return?.()
  const specs = specsOf(checked(head.value).tensors)
  async function* read(epoch: number): AsyncGenerator<FitTensors> {
    if (start) yield* start(epoch)
    else {
      if (epoch > 0) throw fault('The data can be read once only.', 'Give a function that starts an epoch.')
      yield head.value
      for (let next = await begun.next(); !next.done; next = await begun.next()) yield next.value
    }
  }
  return {
    ...specs,
    stepsPerEpoch: undefined,
    async *epoch(epoch, skip = 0, skipped) {
      let i = 0
      for await (const given of read(epoch)) {
        if (i++ < skip) {
          skipped?.(1)
          continue
        }
        const { tensors, samples } = checked(given)
        if (samples > batch)
          throw fault(
            `Batch ${i} of the data has ${samples} samples, training takes ${batch}.`,
            'Set `batch` to the largest.',
          )
        const own = JSON.stringify(specsOf(tensors))
        if (own !== JSON.stringify(specs))
          throw fault(`Batch ${i} of the data is not like the first: ${own}.`, 'Give all batches the same tensors.')
        const arrays = [...tensors].map(([name, { data: array }]) => [name, array] as const)
        yield { samples, tensors: Object.fromEntries(arrays) }
      }
    },
  }
}

type Stored = ReturnType<typeof storable>

function checked(given: FitTensors): { tensors: Map<string, Stored>; samples: number } {
  const tensors = new Map(Object.entries(given).map(([name, tensor]) => [name, storable(tensor)]))
  const target = tensors.get('target')
  if (!target) throw fault("The data have no tensor 'target'.", 'Name what the model is to learn `target`.')
  if (tensors.size < 2)
    throw fault('The data have a target but no input.', 'Name the tensors as the model names its inputs.')
  const samples = target.shape[0] ?? 0
  for (const [name, { shape, data }] of tensors) {
    if (shape[0] !== samples || samples === 0)
      throw fault(`'${name}' has ${shape[0] ?? 'no'} samples, 'target' has ${samples}.`, 'Give as many of each.')
    if (data.length !== sizeOf(shape))
      throw fault(
        `'${name}' has ${data.length} elements, its shape [${shape}] wants ${sizeOf(shape)}.`,
        'Check its shape.',
      )
  }
  return { tensors, samples }
}

function specsOf(tensors: ReadonlyMap<string, Stored>): Pick<Batches, 'inputs' | 'target'> {
  const spec = (name: string): BatchInput => {
    const { dtype, shape } = tensors.get(name)!
    return { name, column: name, dtype, shape: shape.slice(1) }
  }
  return { inputs: [...tensors.keys()].filter((name) => name !== 'target').map(spec), target: spec('target') }
}

function gathered({ shape, data }: Tensor, rows: Uint32Array): TypedArray {
  const width = sizeOf(shape.slice(1))
  const picked = new (data.constructor as new (n: number) => TypedArray)(rows.length * width)
  for (const [i, row] of rows.entries()) picked.set(data.subarray(row * width, (row + 1) * width) as never, i * width)
  return picked
}

/** 0 … n-1 in an order that follows from seed and epoch alone (Fisher and Yates, with the 32-bit generator "mulberry32"). */
export function shuffled(n: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i)
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(epoch + 1, 0x85ebca6b)) | 0
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}
