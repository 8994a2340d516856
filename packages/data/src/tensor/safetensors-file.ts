import { bytesView, type DType, PinGoError, readSafetensors, sizeOf, type Tensor } from '@pingo/wire'
import { SourceFile } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import type { ArrayFile, ElementType } from './array-file.ts'

const UNREADABLE: ReadonlySet<DType> = new Set(['bfloat16', 'uint64'])

/** Opens the tensors of a safetensors file as arrays by name. The file is held in memory. */
export async function openSafetensors(path: string, limits: ImportLimits): Promise<Map<string, ArrayFile>> {
  const bytes = await SourceFile.with(path, limits, async (file) => {
    if (file.bytes > limits.groupBytes)
      throw new PinGoError(
        'DATA_TOO_LARGE',
        `'${path}' has ${file.bytes} bytes, at most ${limits.groupBytes} are read of a safetensors file.`,
        {
          hint: 'Split it, use .npy files, or raise limits.groupBytes.',
        },
      )
    return file.readExactly(0, file.bytes)
  })
  try {
    return new Map(
      [...readSafetensors(bytes).tensors].map(([name, tensor]) => [
        name,
        arrayOfTensor(path, name, tensor, bytes.length),
      ]),
    )
  } catch (cause) {
    if (cause instanceof PinGoError && cause.code === 'SAFETENSORS_MALFORMED')
      throw new PinGoError('DATA_TRUNCATED', `'${path}': ${cause.message}`, {
        hint: 'Download or export it again.',
        cause,
      })
    throw cause
  }
}

function arrayOfTensor(path: string, name: string, { dtype, shape, data }: Tensor, totalBytes: number): ArrayFile {
  if (UNREADABLE.has(dtype))
    throw new PinGoError(
      'DATA_DTYPE',
      `'${path}', tensor '${name}' has the element type ${dtype}, which cannot be read.`,
      {
        hint: 'Convert it to float32 or int64 first.',
      },
    )
  if (shape.length === 0)
    throw new PinGoError('DATA_SHAPE_MISMATCH', `'${path}', tensor '${name}' has no axis that counts samples.`, {
      hint: 'The first axis of each tensor must be the samples.',
    })
  const sampleBytes = sizeOf(shape.slice(1)) * data.BYTES_PER_ELEMENT
  const all = bytesView(data)
  return {
    path,
    dtype: dtype as ElementType,
    shape,
    totalBytes,
    read: async (first, count) => all.slice(first * sampleBytes, (first + count) * sampleBytes),
    close: async () => {},
  }
}
