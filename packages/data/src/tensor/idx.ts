import { PinGoError, sizeOf } from '@pingo/wire'
import { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import { type ArrayFile, ELEMENT_BYTES, type ElementType, MAX_ARRAY_RANK } from './array-file.ts'

const TYPES: Readonly<Record<number, ElementType>> = {
  8: 'uint8',
  9: 'int8',
  11: 'int16',
  12: 'int32',
  13: 'float32',
  14: 'float64',
}

/** Opens an idx file (the format of MNIST, yann.lecun.com/exdb/mnist): two zero bytes, type, rank, dimensions and elements big-endian. */
export async function openIdx(path: string, limits: ImportLimits): Promise<ArrayFile> {
  const file = await SourceFile.open(path, limits)
  try {
    const [zero, zeroToo, type, rank] = (await file.readExactly(0, 4)) as unknown as [number, number, number, number]
    const dtype = TYPES[type]
    if (zero !== 0 || zeroToo !== 0 || !dtype || rank < 1 || rank > MAX_ARRAY_RANK)
      throw new PinGoError('DATA_IDX', `'${path}' is not an idx file.`, {
        hint: 'Give the format of the file if it is another.',
      })
    const header = Buffer.from(await file.readExactly(4, 4 * rank))
    const shape = Array.from({ length: rank }, (_, i) => header.readUInt32BE(4 * i))
    const start = 4 + 4 * rank
    const width = ELEMENT_BYTES[dtype]
    const sampleBytes = sizeOf(shape.slice(1)) * width
    if (start + shape[0]! * sampleBytes > file.bytes)
      throw new PinGoError(
        'DATA_TRUNCATED',
        `'${path}' is cut off: its header says ${shape.join(' x ')} ${dtype}, it has ${file.bytes - start} bytes of them.`,
        {
          hint: 'Download or export it again.',
        },
      )
    return {
      path,
      dtype,
      shape,
      totalBytes: file.bytes,
      async read(first, count) {
        const bytes = Buffer.from((await file.readExactly(start + first * sampleBytes, count * sampleBytes)).buffer)
        return width === 2 ? bytes.swap16() : width === 4 ? bytes.swap32() : width === 8 ? bytes.swap64() : bytes
      },
      close: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}
