import { basename, dirname, join } from 'node:path'
import { type InputBatch, importInputs, tokenText } from '@pingo/data'
import type { ValueSpec } from '@pingo/engine'
import {
  arrayOf,
  type Column,
  ColumnSchema,
  type DatasetManifest,
  isPinGoError,
  type ModelCard,
  PinGoError,
  sizeOf,
  type Tensor,
  validate,
} from '@pingo/wire'
import { z } from 'zod'
import { RESULT_FILES, readCard } from '../result.ts'

/** What a model reads: the form of the data that it was trained on, or that its inputs ask for. */
export interface Reading {
  kind: DatasetManifest['kind']
  columns: Column[]
  /** Which column each of the model's inputs is fed from. */
  columnOf(input: string): string
  /** The column that it learned to tell, when a model card says so. */
  target?: Column
  card?: ModelCard
}

const InputsSchema = z.array(z.looseObject({ name: z.string(), column: z.string() }))

/** The reading that the model card beside a model tells; undefined where there is none. @throws PinGoError MODEL_CARD_INVALID */
export async function readingFromCard(model: string): Promise<Reading | undefined> {
  const path = join(dirname(model), RESULT_FILES.card)
  let card: ModelCard
  try {
    card = await readCard(path)
  } catch (error) {
    if (isPinGoError(error) && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined
    throw error
  }
  const columns = validate(z.array(ColumnSchema), card.columns, `model card ${path}`)
  const inputs = validate(InputsSchema, card.inputs, `model card ${path}`)
  return {
    kind: card.kind as Reading['kind'],
    columns,
    columnOf: (input) => inputs.find(({ name }) => name === input)?.column ?? columns[0]!.name,
    target: targetOf(card, columns),
    card,
  }
}

/** Losses after which a model tells numbers, whatever its data's target holds. */
const OF_NUMBERS = ['mse', 'l1', 'huber', 'smooth_l1', 'cosine']

/** What the model tells: classes after a loss of classes; else numbers, as an autoencoder does whose data have classes too. */
function targetOf({ loss }: ModelCard, columns: Column[]): Column | undefined {
  const target = columns.find(({ role }) => role === 'target')
  const tokens = columns.find(({ role, merges }) => role === 'input' && merges)
  if (!OF_NUMBERS.includes(loss))
    return target?.vocabulary && tokens
      ? { ...target, vocabulary: target.vocabulary.map((_, id) => tokenText(tokens, id)) }
      : target
  return target?.dtype === 'float32' ? target : { name: 'output', role: 'target', dtype: 'float32', shape: [] }
}

const ARRAY_FILE = /\.(npy|safetensors)$/i

/** The reading of a model without a card: a table for [batch, n], images for [batch, 1 or 3, height, width], else arrays. */
export function readingFromInputs(inputs: readonly ValueSpec[], file: string): Reading[] {
  const columns = inputs.map(({ name, shape }): Column => {
    const sample = shape.slice(1)
    if (!sample.every((n): n is number => typeof n === 'number'))
      throw new PinGoError(
        'MODEL_INPUT_OPEN',
        `The model leaves the size of its input '${name}' open: [${shape.map((d) => d || '?').join(',')}].`,
        {
          hint: 'Export it with a fixed size of everything but the batch.',
        },
      )
    return { name, role: 'input', dtype: 'float32', shape: sample }
  })
  const reading = (kind: Reading['kind'], change: Partial<Column> = {}): Reading => ({
    kind,
    columns: columns.map((column) => ({ ...column, ...change })),
    columnOf: (input) => input,
  })
  const [first] = columns
  if (ARRAY_FILE.test(file))
    return (['float32', 'uint8', 'int32', 'int64'] as const).map((dtype) => reading('tensor', { dtype }))
  if (first?.shape.length === 3 && (first.shape[0] === 1 || first.shape[0] === 3))
    return [reading('image', { dtype: 'uint8', scale: 1 / 255 })]
  const size = sizeOf(first?.shape ?? [])
  return [reading('tabular', { fields: Array.from({ length: size }, (_, i) => `column${i + 1}`) })]
}

/** Batches of a file as the model takes them (logical values). The first of the readings that fits the file is taken. */
export async function* readInputs(
  file: string,
  readings: Reading[],
  options: { batchRows?: number; signal?: AbortSignal },
): AsyncGenerator<{ batch: InputBatch; reading: Reading }> {
  for (const [index, reading] of readings.entries()) {
    let begun = false
    try {
      for await (const batch of importInputs(file, reading, { ...options, values: 'logical' })) {
        begun = true
        yield { batch, reading }
      }
      return
    } catch (error) {
      if (begun || !isPinGoError(error, 'DATA_UNLIKE')) throw error
      if (index === readings.length - 1) throw unlike(file, reading, error)
    }
  }
}

function unlike(file: string, { kind, columns }: Reading, cause: unknown): PinGoError {
  const inputs = columns.filter(({ role }) => role === 'input')
  const form = inputs.map(({ name, dtype, shape }) => `'${name}' ${dtype} [${shape}]`).join(', ')
  return new PinGoError('DATA_UNLIKE', `${basename(file)} is not what the model reads: ${WHAT[kind]}, ${form}.`, {
    hint: 'Give a file of the form that the model was trained on.',
    cause,
  })
}
const WHAT = { tabular: 'a table', image: 'images', text: 'text', tensor: 'arrays' } as const

/** A batch's column in the element type and shape of a model's input; fixed batches are filled up with zeros. */
export function feedOf(input: ValueSpec, stored: Tensor, rows: number): Tensor {
  const sample = input.shape.slice(1)
  const shape = sample.every((n): n is number => typeof n === 'number') ? sample : stored.shape.slice(1)
  const size = sizeOf(shape)
  const from = stored.shape[0]!
  if (size * from !== stored.data.length)
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `The model's input '${input.name}' is [${sample.map((d) => d || '?').join(',')}] a sample, the file holds [${stored.shape.slice(1)}].`,
      { hint: 'Give a file of the form that the model was trained on.' },
    )
  const { dtype } = input
  if (dtype === 'float16' || dtype === 'bfloat16')
    throw new PinGoError('MODEL_INPUT_OPEN', `The model's input '${input.name}' is ${dtype}; it cannot be fed.`, {
      hint: 'Export the model with float32 inputs.',
    })
  const whole = from === rows && stored.dtype === dtype
  const data = whole ? stored.data : new arrayOf[dtype](rows * size)
  if (!whole) {
    const big = data instanceof BigInt64Array || data instanceof BigUint64Array
    for (let i = 0; i < stored.data.length; i++) {
      const value = stored.data[i]!
      ;(data as unknown as (number | bigint)[])[i] = big ? BigInt(Math.trunc(Number(value))) : Number(value)
    }
  }
  return { dtype, shape: [rows, ...shape], data }
}
