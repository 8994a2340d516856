import { type Column, PinGoError } from '@pingo/wire'
import { throwIfAborted } from '../abort.ts'
import { ClassIds, guessTask, MAX_CLASS_CHARS, sortedClasses } from '../classes.ts'
import { SourceFile } from '../files.ts'
import type { ImportOptions } from '../import-options.ts'
import { type ImportLimits, MAX_IMAGE_SIDE } from '../limits.ts'
import type { Source } from '../store/source.ts'
import { parseNumber } from '../table/numbers.ts'
import { PIXEL_SCALE } from '../tensor/input-array.ts'
import { decodeImage } from './decode.ts'
import { type LabelledImage, listImages } from './image-list.ts'
import { toPlanes } from './planes.ts'

/** Largest image file, bytes. */
const MAX_IMAGE_FILE_BYTES = 256 << 20

export interface ImageShape {
  channels: 1 | 3
  height: number
  width: number
  /** True when images of another size are refused instead of resized. */
  exact: boolean
}

/** A folder of labelled images: `input` uint8 [channels, height, width] with scale 1/255, and `target`. */
export async function imageSource(folder: string, options: ImportOptions, limits: ImportLimits): Promise<Source> {
  const images = await listImages(folder, limits, options)
  const shape = await imageShape(images[0]!.path, options, limits)
  const target = imageTarget(images, options)
  const input: Column = options.like?.columns.find(({ role }) => role === 'input') ?? {
    name: 'input',
    role: 'input',
    dtype: 'uint8',
    shape: [shape.channels, shape.height, shape.width],
    scale: PIXEL_SCALE,
  }
  const pixels = shape.channels * shape.height * shape.width
  return {
    kind: 'image',
    columns: [input, target.column],
    samples: images.length,
    async *records(signal) {
      let bytesRead = 0
      for (const [i, { path }] of images.entries()) {
        throwIfAborted(signal)
        const { planes, bytes } = await readImage(path, shape, limits)
        bytesRead += bytes
        const data = new Uint8Array(pixels + 4)
        data.set(planes)
        target.write(new DataView(data.buffer), pixels, i)
        yield { rows: 1, data, bytesRead }
      }
    },
  }
}

/** The shape that images are brought to: by the dataset to follow, the options, or the first image. */
export async function imageShape(
  first: string,
  options: Pick<ImportOptions, 'like' | 'imageSize' | 'channels'>,
  limits: ImportLimits,
): Promise<ImageShape> {
  if (options.like) return shapeLike(options.like.columns, first)
  const { imageSize } = options
  for (const side of imageSize ?? [])
    if (!Number.isInteger(side) || side < 1 || side > MAX_IMAGE_SIDE)
      throw new PinGoError('DATA_OPTION', `imageSize must be two whole numbers of 1 … ${MAX_IMAGE_SIDE}.`)
  if (imageSize && options.channels)
    return { channels: options.channels, height: imageSize[0], width: imageSize[1], exact: false }
  const image = decodeImage(first, await imageBytes(first, limits), limits)
  const [height, width] = imageSize ?? [image.height, image.width]
  if (height > MAX_IMAGE_SIDE || width > MAX_IMAGE_SIDE)
    throw new PinGoError(
      'DATA_TOO_LARGE',
      `'${first}' is ${height} x ${width} pixels, a sample may have sides of at most ${MAX_IMAGE_SIDE}.`,
      { hint: 'Give a smaller imageSize.' },
    )
  return { channels: options.channels ?? image.channels, height, width, exact: !imageSize }
}

export function shapeLike(columns: readonly Column[], path: string): ImageShape {
  const { shape, dtype } = columns.find(({ role }) => role === 'input')!
  const [channels, height, width] = shape
  if (shape.length !== 3 || dtype !== 'uint8' || (channels !== 1 && channels !== 3))
    throw new PinGoError(
      'DATA_UNLIKE',
      `'${path}' is an image, the dataset to follow has ${dtype} [${shape}] as input.`,
      { hint: 'Give a file of the same kind.' },
    )
  return { channels, height: height!, width: width!, exact: false }
}

export async function readImage(
  path: string,
  shape: ImageShape,
  limits: ImportLimits,
): Promise<{ planes: Uint8Array; bytes: number }> {
  const bytes = await imageBytes(path, limits)
  const image = decodeImage(path, bytes, limits)
  if (shape.exact && (image.height !== shape.height || image.width !== shape.width))
    throw new PinGoError(
      'DATA_SHAPE_MISMATCH',
      `'${path}' is ${image.height} x ${image.width} pixels, the first image is ${shape.height} x ${shape.width}.`,
      {
        hint: 'Give imageSize to resize all of them.',
      },
    )
  return { planes: toPlanes(image, shape.channels, shape.height, shape.width), bytes: bytes.length }
}

function imageBytes(path: string, limits: ImportLimits): Promise<Uint8Array> {
  return SourceFile.with(path, { fileBytes: Math.min(limits.fileBytes, MAX_IMAGE_FILE_BYTES) }, (file) =>
    file.readExactly(0, file.bytes),
  )
}

function imageTarget(
  images: readonly LabelledImage[],
  options: ImportOptions,
): { column: Column; write(view: DataView, at: number, i: number): void } {
  const like = options.like?.columns.find(({ role }) => role === 'target')
  const distinct = new Set(images.map(({ label }) => label))
  const where = (i: number) => `The label of '${images[i]!.path}'`
  const values = [...distinct].map((label) => parseNumber(label))
  const numeric = values.every((value) => !Number.isNaN(value))
  const guessed = numeric
    ? guessTask({
        integers: values.every(Number.isInteger),
        distinct: distinct.size,
        samples: images.length,
        min: Math.min(...values.slice(0, 1000)),
        max: Math.max(...values.slice(0, 1000)),
        labels: true,
      })
    : 'classification'
  const task = like ? (like.classes ? 'classification' : 'regression') : (options.task ?? guessed)
  if (task === 'regression')
    return {
      column: like ?? { name: 'target', role: 'target', dtype: 'float32', shape: [] },
      write(view, at, i) {
        const value = Math.fround(parseNumber(images[i]!.label))
        if (!Number.isFinite(value))
          throw new PinGoError('DATA_NOT_A_NUMBER', `${where(i)} is '${images[i]!.label}', not a finite number.`, {
            hint: "Correct it, or set task to 'classification'.",
          })
        view.setFloat32(at, value, true)
      },
    }
  const long = [...distinct].find((label) => label.length > MAX_CLASS_CHARS)
  if (long !== undefined)
    throw new PinGoError('DATA_NAME_TOO_LONG', `A class name is longer than ${MAX_CLASS_CHARS} characters.`, {
      hint: 'Shorten it.',
    })
  const empty = images.findIndex(({ label }) => label === '')
  if (empty >= 0)
    throw new PinGoError('DATA_MISSING_VALUE', `${where(empty)} is empty.`, {
      hint: 'Complete it, or remove its line.',
    })
  const ids = new ClassIds(like?.classes ?? sortedClasses(distinct))
  return {
    column: like ?? { name: 'target', role: 'target', dtype: 'int32', shape: [], classes: [...ids.names] },
    write(view, at, i) {
      const id = ids.get(images[i]!.label)
      if (id === undefined) throw ids.unknown(images[i]!.label, where(i), 'class')
      view.setInt32(at, id, true)
    },
  }
}
