import { bytesView, type Column, PinGoError, sizeOf } from '@pingo/wire'
import { throwIfAborted } from '../abort.ts'
import type { ImportOptions } from '../import-options.ts'
import { nearest } from '../nearest.ts'
import { layoutOf } from '../store/layout.ts'
import type { Source } from '../store/source.ts'
import type { ArrayFile } from './array-file.ts'
import { type InputArray, inputArray, inputArrayLike } from './input-array.ts'
import { targetArray } from './target-array.ts'

const BATCH_BYTES = 1 << 20

/** Arrays with one sample for each index of their first axis, as samples. Closes nothing. */
export async function tensorSource(
  inputs: ReadonlyMap<string, ArrayFile>,
  target: ArrayFile,
  options: ImportOptions,
  labels: boolean,
): Promise<Source> {
  const samples = target.shape[0]!
  for (const [name, file] of inputs)
    if (file.shape[0] !== samples)
      throw new PinGoError(
        'DATA_LABEL_COUNT',
        `'${file.path}' has ${file.shape[0]} samples${inputs.size > 1 ? ` in '${name}'` : ''}, '${target.path}' has ${samples} labels.`,
        {
          hint: 'Give the label file that belongs to the data.',
        },
      )
  if (samples === 0)
    throw new PinGoError('DATA_EMPTY', `'${target.path}' holds no sample.`, { hint: 'Give a file that holds data.' })
  const parts: { column: Column; read: InputArray['read'] }[] = []
  let kind: Source['kind'] = 'tensor'
  for (const [name, file] of inputs) {
    if (sizeOf(file.shape) === 0)
      throw new PinGoError('DATA_EMPTY', `'${file.path}' holds samples without a value.`, {
        hint: 'Give a file that holds data.',
      })
    const input = options.like
      ? inputArrayLike(file, likeInput(options.like.columns, name, inputs.size))
      : inputArray(name, file)
    if (input.kind === 'image' && inputs.size === 1) kind = 'image'
    parts.push(input)
  }
  if (options.like) kind = options.like.kind
  parts.push(await targetArray(target, options, labels))
  const columns = parts.map(({ column }) => column)
  const { fields, recordBytes } = layoutOf(columns)
  const rows = Math.max(1, Math.floor(BATCH_BYTES / recordBytes))
  const totalBytes = [...inputs.values(), target].reduce((sum, file) => sum + file.totalBytes, 0)
  return {
    kind,
    columns,
    samples,
    totalBytes,
    async *records(signal) {
      for (let first = 0; first < samples; first += rows) {
        throwIfAborted(signal)
        const count = Math.min(rows, samples - first)
        const data = new Uint8Array(count * recordBytes)
        for (const [p, part] of parts.entries()) {
          const values = bytesView(await part.read(first, count))
          const { offset, bytes } = fields[p]!
          for (let r = 0; r < count; r++)
            data.set(values.subarray(r * bytes, (r + 1) * bytes), r * recordBytes + offset)
        }
        yield { rows: count, data, bytesRead: Math.floor((totalBytes * (first + count)) / samples) }
      }
    },
  }
}

function likeInput(columns: readonly Column[], name: string, count: number): Column {
  const inputs = columns.filter(({ role }) => role === 'input')
  const column = inputs.find((c) => c.name === name) ?? (count === 1 && inputs.length === 1 ? inputs[0] : undefined)
  if (!column)
    throw new PinGoError('DATA_UNLIKE', `The dataset to follow has no input '${name}'.`, {
      hint: 'Prepare both files in the same way.',
    })
  return column
}

/** Parts the tensors of a safetensors file into the target, named `target` unless the options say otherwise, and the inputs. */
export function pairOf(
  path: string,
  tensors: ReadonlyMap<string, ArrayFile>,
  targetName: string | undefined,
): { inputs: Map<string, ArrayFile>; target: ArrayFile } {
  const wanted = targetName ?? ['target', 'label', 'labels', 'y'].find((name) => tensors.has(name)) ?? 'target'
  const target = tensors.get(wanted)
  if (!target) {
    const near = nearest(wanted, [...tensors.keys()])
    throw new PinGoError('DATA_NO_COLUMN', `'${path}' has no tensor '${wanted}' to predict.`, {
      hint:
        near === undefined
          ? `It has ${[...tensors.keys()]
              .slice(0, 10)
              .map((n) => `'${n}'`)
              .join(', ')}: name one by target.`
          : `Did you mean '${near}'?`,
    })
  }
  const inputs = new Map([...tensors].filter(([name]) => name !== wanted))
  if (inputs.size === 0)
    throw new PinGoError('DATA_NO_FEATURES', `'${path}' has no tensor besides '${wanted}'.`, {
      hint: "Put the inputs into it as 'input'.",
    })
  return { inputs, target }
}
