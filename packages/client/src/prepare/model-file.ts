import { readFile, stat } from 'node:fs/promises'
import { PinGoError } from '@pingo/wire'

/** Largest ONNX file that is read, bytes (protobuf's own limit is 2 GiB). */
export const MAX_MODEL_BYTES = 1 << 30

/** The bytes of a model file. @throws PinGoError MODEL_NOT_FOUND, MODEL_UNREADABLE, MODEL_TOO_LARGE */
export async function readModelBytes(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path)
    if (size > MAX_MODEL_BYTES)
      throw new PinGoError('MODEL_TOO_LARGE', `${path} has ${size} bytes; models of up to 1 GiB are read.`)
    return await readFile(path)
  } catch (cause) {
    if (cause instanceof PinGoError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT')
      throw new PinGoError('MODEL_NOT_FOUND', `There is no model at ${path}.`, {
        hint: 'Check the path; in a job file it is relative to the folder of the job file.',
        cause,
      })
    throw new PinGoError('MODEL_UNREADABLE', `The model at ${path} cannot be read (${code}).`, { cause })
  }
}
