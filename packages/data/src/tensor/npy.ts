import { PinGoError, sizeOf } from '@pingo/wire'
import { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import { type ArrayFile, ELEMENT_BYTES, type ElementType, MAX_ARRAY_RANK } from './array-file.ts'

const MAX_HEADER_BYTES = 64 << 10
const TYPES: Readonly<Record<string, ElementType>> = {
  b1: 'bool',
  u1: 'uint8',
  i1: 'int8',
  u2: 'uint16',
  i2: 'int16',
  u4: 'uint32',
  i4: 'int32',
  i8: 'int64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
}

/** Opens a .npy file (numpy.lib.format, versions 1 to 3): row-major arrays of booleans, whole numbers and floats. */
export async function openNpy(path: string, limits: ImportLimits): Promise<ArrayFile> {
  const file = await SourceFile.open(path, limits)
  const wrong = (why: string) =>
    new PinGoError('DATA_NPY', `'${path}' is not a .npy file that can be read: ${why}.`, {
      hint: 'Write it again by numpy.save.',
    })
  try {
    const lead = Buffer.from(await file.readExactly(0, 12))
    const version = lead[6]!
    if (lead.toString('latin1', 0, 6) !== '\x93NUMPY' || version < 1 || version > 3)
      throw wrong('its first bytes are others')
    const [length, at] = version === 1 ? [lead.readUInt16LE(8), 10] : [lead.readUInt32LE(8), 12]
    if (length > MAX_HEADER_BYTES) throw wrong(`its header says ${length} bytes`)
    const header = Buffer.from(await file.readExactly(at, length)).toString('latin1')
    const field = (name: string, value: string) => new RegExp(`['"]${name}['"]\\s*:\\s*${value}`).exec(header)?.[1]
    const descr = field('descr', `['"]([^'"]*)['"]`)
    const shape = field('shape', '\\(([\\d,\\sL]*)\\)')
      ?.split(',')
      .filter((part) => part.trim() !== '')
      .map((part) => Number.parseInt(part, 10))
    const order = field('fortran_order', '(True|False)')
    if (!shape || !order || shape.some((n) => !Number.isSafeInteger(n))) throw wrong('its header is damaged')
    const [, endian, type] = /^([<>|=])([a-z]\d+)$/i.exec(descr ?? '') ?? []
    const dtype = TYPES[type ?? '']
    if (!dtype)
      throw new PinGoError(
        'DATA_DTYPE',
        `'${path}' holds elements of type ${descr ?? 'object or record'}, which cannot be read.`,
        {
          hint: `Convert it first: array.astype('float32'), or one of ${Object.keys(TYPES).join(', ')}.`,
        },
      )
    if (shape.length < 1 || shape.length > MAX_ARRAY_RANK) throw wrong(`it has ${shape.length} axes`)
    if (order === 'True' && shape.filter((n) => n > 1).length > 1)
      throw new PinGoError('DATA_NPY', `'${path}' is stored column by column (Fortran order).`, {
        hint: 'Save numpy.ascontiguousarray(array) instead.',
      })
    const start = at + length
    const width = ELEMENT_BYTES[dtype]
    const sampleBytes = sizeOf(shape.slice(1)) * width
    if (start + shape[0]! * sampleBytes > file.bytes)
      throw new PinGoError(
        'DATA_TRUNCATED',
        `'${path}' is cut off: its header says (${shape.join(', ')}) ${dtype}, it has ${file.bytes - start} bytes of them.`,
        {
          hint: 'Download or export it again.',
        },
      )
    const swap = endian === '>'
    return {
      path,
      dtype,
      shape,
      totalBytes: file.bytes,
      async read(first, count) {
        const bytes = Buffer.from((await file.readExactly(start + first * sampleBytes, count * sampleBytes)).buffer)
        if (!swap) return bytes
        return width === 2 ? bytes.swap16() : width === 4 ? bytes.swap32() : width === 8 ? bytes.swap64() : bytes
      },
      close: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}
