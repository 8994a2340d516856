import { type Column, MAX_CLASSES, PinGoError, sizeOf, type TypedArray } from '@pingo/wire'
import { throwIfAborted } from '../abort.ts'
import { ClassIds, guessTask, numberName, sortedClasses, tooManyClasses } from '../classes.ts'
import type { ImportOptions } from '../import-options.ts'
import { type ArrayFile, elementsOf, isFloat, storedType, toStored } from './array-file.ts'

const SCAN_ELEMENTS = 1 << 18

export interface TargetArray {
  column: Column
  read(first: number, count: number): Promise<TypedArray>
}

/**
 * An array of labels as the target column. One number a sample becomes class ids (or float32 [] for regression); several
 * floats become float32 [k]; several whole numbers (a token for each position) stay what they are, as int32.
 * @param labels true when the file can only hold labels (idx)
 */
export async function targetArray(file: ArrayFile, options: ImportOptions, labels: boolean): Promise<TargetArray> {
  const rest = file.shape.slice(1)
  const like = options.like?.columns.find(({ role }) => role === 'target')
  const name = like?.name ?? 'target'
  if (sizeOf(rest) !== 1) {
    const task = options.task ?? (isFloat(file.dtype) ? 'regression' : 'classification')
    return checkLike(file, like, task === 'regression' ? numbers(file, name, [...rest]) : tokens(file, name, [...rest]))
  }
  if (like?.classes) return classes(file, like, like.classes)
  if (like) return checkLike(file, like, numbers(file, name, [...like.shape]))
  const found = await distinctNumbers(file, options.signal)
  const task =
    options.task ??
    (labels && found.integers
      ? 'classification'
      : guessTask({
          ...found,
          distinct: found.values.size,
          samples: file.shape[0]!,
          labels: labels || !isFloat(file.dtype),
        }))
  if (task === 'regression') return numbers(file, name, [])
  if (found.values.size > MAX_CLASSES) throw tooManyClasses(`'${file.path}'`, found.values.size)
  const names = sortedClasses([...found.values].map(numberName))
  return classes(file, { name, role: 'target', dtype: 'int32', shape: [], classes: names }, names)
}

function numbers(file: ArrayFile, name: string, shape: number[]): TargetArray {
  return {
    column: { name, role: 'target', dtype: 'float32', shape },
    async read(first, count) {
      const bytes = await file.read(first, count)
      const perSample = Math.max(1, sizeOf(shape))
      if (isFloat(file.dtype)) return toStored(file.path, file.dtype, bytes, first, perSample)
      return Float32Array.from(elementsOf(file.dtype, bytes) as ArrayLike<number>, Number)
    },
  }
}

function tokens(file: ArrayFile, name: string, shape: number[]): TargetArray {
  return {
    column: { name, role: 'target', dtype: 'int32', shape },
    async read(first, count) {
      const values = elementsOf(file.dtype, await file.read(first, count))
      const ids = new Int32Array(values.length)
      for (let i = 0; i < ids.length; i++) {
        const value = Number(values[i])
        if (!Number.isInteger(value) || value < 0 || value > 2 ** 31 - 1)
          throw new PinGoError(
            'DATA_DTYPE',
            `'${file.path}', sample ${first + Math.floor(i / sizeOf(shape))} (counted from 0) holds ${value}, which is not a class id.`,
            {
              hint: "Use whole numbers from 0 on, or set task to 'regression'.",
            },
          )
        ids[i] = value
      }
      return ids
    },
  }
}

function classes(file: ArrayFile, column: Column, names: readonly string[]): TargetArray {
  const ids = new ClassIds(names)
  return {
    column,
    async read(first, count) {
      return Int32Array.from(elementsOf(file.dtype, await file.read(first, count)) as ArrayLike<number>, (value, i) => {
        const name = numberName(Number(value))
        const id = ids.get(name)
        if (id === undefined) throw ids.unknown(name, `'${file.path}', sample ${first + i} (counted from 0)`, 'class')
        return id
      })
    },
  }
}

function checkLike(file: ArrayFile, like: Column | undefined, target: TargetArray): TargetArray {
  if (!like) return target
  const { dtype, shape } = target.column
  if (dtype !== like.dtype || sizeOf(shape) !== sizeOf(like.shape))
    throw new PinGoError(
      'DATA_UNLIKE',
      `'${file.path}' holds targets ${dtype} [${shape}], the dataset to follow has ${like.dtype} [${like.shape}].`,
      { hint: 'Prepare both files in the same way.' },
    )
  return { ...target, column: like }
}

async function distinctNumbers(
  file: ArrayFile,
  signal: AbortSignal | undefined,
): Promise<{ values: Set<number>; integers: boolean; min: number; max: number }> {
  const samples = file.shape[0]!
  const values = new Set<number>()
  let integers = true
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let first = 0; first < samples; first += SCAN_ELEMENTS) {
    throwIfAborted(signal)
    const count = Math.min(SCAN_ELEMENTS, samples - first)
    const bytes = await file.read(first, count)
    const elements =
      storedType(file.dtype) === 'float32'
        ? toStored(file.path, file.dtype, bytes, first, 1)
        : elementsOf(file.dtype, bytes)
    for (let i = 0; i < elements.length; i++) {
      const value = Number(elements[i])
      if (!Number.isInteger(value)) integers = false
      if (value < min) min = value
      if (value > max) max = value
      if (values.size <= MAX_CLASSES) values.add(value)
    }
  }
  return { values, integers, min, max }
}
