import { bytesView, type Column, type DatasetManifest, PinGoError, sizeOf, type TypedArray } from '@pingo/wire'
import { type ArrayFile, storedType, toStored } from './array-file.ts'

/** An array as an input column: how it is described and how its samples are read. */
export interface InputArray {
  column: Column
  kind: DatasetManifest['kind']
  /** Stored values of `count` samples from `first` on. */
  read(first: number, count: number): Promise<TypedArray>
}

export const PIXEL_SCALE = 1 / 255

/**
 * Bytes of rank 3 or 4 are images, [n, h, w], [n, c, h, w] or [n, h, w, c] with 1 or 3 channels: stored [c, h, w], seen by the
 * model as value / 255. Anything else is stored as it is.
 */
export function inputArray(name: string, file: ArrayFile): InputArray {
  const dtype = storedType(file.dtype)
  const rest = file.shape.slice(1)
  const plain = async (first: number, count: number) =>
    toStored(file.path, file.dtype, await file.read(first, count), first, sizeOf(rest))
  if (file.dtype !== 'uint8' || (rest.length !== 2 && rest.length !== 3)) {
    const shape = rest.length === 0 ? [1] : [...rest]
    return { column: { name, role: 'input', dtype, shape }, kind: 'tensor', read: plain }
  }
  const colours = (n: number | undefined) => n === 1 || n === 3
  const last = rest.length === 3 && !colours(rest[0]) && colours(rest[2])
  if (rest.length === 3 && !last && !colours(rest[0]))
    return { column: { name, role: 'input', dtype, shape: [...rest] }, kind: 'tensor', read: plain }
  const [channels, height, width] = (rest.length === 2 ? [1, ...rest] : last ? [rest[2], rest[0], rest[1]] : rest) as [
    number,
    number,
    number,
  ]
  return {
    column: { name, role: 'input', dtype: 'uint8', shape: [channels, height, width], scale: PIXEL_SCALE },
    kind: 'image',
    read: last
      ? async (first, count) => channelsFirst(bytesView(await plain(first, count)), count, channels, height * width)
      : plain,
  }
}

function channelsFirst(pixels: Uint8Array, count: number, channels: number, area: number): Uint8Array {
  const out = new Uint8Array(pixels.length)
  for (let n = 0, at = 0; n < count; n++)
    for (let p = 0; p < area; p++)
      for (let c = 0; c < channels; c++, at++) out[(n * channels + c) * area + p] = pixels[at]!
  return out
}

/** The same array as a column that exists already. @throws PinGoError DATA_UNLIKE */
export function inputArrayLike(file: ArrayFile, like: Column): InputArray {
  const own = inputArray(like.name, file)
  const { dtype, shape } = own.column
  if (dtype !== like.dtype || sizeOf(shape) !== sizeOf(like.shape))
    throw new PinGoError(
      'DATA_UNLIKE',
      `'${file.path}' holds ${dtype} [${shape}] a sample, the dataset to follow has ${like.dtype} [${like.shape}].`,
      { hint: 'Prepare both files in the same way.' },
    )
  return { ...own, column: like }
}
