import { readFileSync, realpathSync, statSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { type ExternalData, parseModel, writeModel } from '@pingo/graph'
import { isPinGoError, PinGoError } from '@pingo/wire'

/** Largest ONNX file that is read, bytes (protobuf's own limit is 2 GiB); what it keeps in other files counts too. */
export const MAX_MODEL_BYTES = 1 << 30
/** Files beside a model that hold its weights. */
export const MAX_DATA_FILES = 1_000

/**
 * The bytes of a model file. Weights that it keeps in files beside it (`model.onnx.data`, as PyTorch 2 writes) are put inside.
 * @throws PinGoError MODEL_NOT_FOUND, MODEL_UNREADABLE, MODEL_TOO_LARGE, MODEL_DATA_REFUSED
 */
export async function readModelBytes(path: string): Promise<Uint8Array> {
  const bytes = await readWhole(path)
  const beside = dataBeside(path, bytes.byteLength)
  try {
    const model = parseModel(bytes, beside.read)
    return beside.files() ? writeModel(model) : bytes
  } catch (error) {
    // What is no model is told by whoever makes something of it, in its own words.
    if (isPinGoError(error) && error.code.startsWith('ONNX_') && !beside.files()) return bytes
    throw error
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path)
    if (size > MAX_MODEL_BYTES) throw tooLarge(path, size)
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

const tooLarge = (path: string, size: number): PinGoError =>
  new PinGoError('MODEL_TOO_LARGE', `${path} has ${size} bytes; models of up to 1 GiB are read.`)

/**
 * Reads a model's data files: only plain files in the model's own folder or below it, wherever links lead, and no more than
 * {@link MAX_MODEL_BYTES} together with the model.
 */
function dataBeside(path: string, modelBytes: number): { read: ExternalData; files(): number } {
  const files = new Map<string, Uint8Array>()
  let total = modelBytes
  const open = (location: string): Uint8Array => {
    const known = files.get(location)
    if (known) return known
    const refuse = (why: string, hint: string, cause?: unknown) =>
      new PinGoError(
        'MODEL_DATA_REFUSED',
        `${basename(path)} keeps weights in the file '${location.slice(0, 200)}', ${why}.`,
        { hint, cause },
      )
    const outside = 'which is not in the folder of the model'
    const inside = 'Save the model as one file, or with its data file beside it.'
    if (isAbsolute(location) || location.includes('\\') || location.includes('\0')) throw refuse(outside, inside)
    let file: string
    let size: number
    try {
      const folder = realpathSync(dirname(path))
      file = realpathSync(resolve(folder, location))
      const from = relative(folder, file)
      if (from === '' || from === '..' || from.startsWith(`..${sep}`) || isAbsolute(from)) throw refuse(outside, inside)
      const stats = statSync(file)
      if (!stats.isFile()) throw refuse('which is not a file', inside)
      size = stats.size
    } catch (cause) {
      if (cause instanceof PinGoError) throw cause
      throw refuse(
        'which cannot be read',
        'Put it beside the model, under the name it had when the model was saved.',
        cause,
      )
    }
    total += size
    if (total > MAX_MODEL_BYTES) throw tooLarge(`${path} with its data`, total)
    if (files.size >= MAX_DATA_FILES) throw refuse(`after ${MAX_DATA_FILES} others`, 'Save the model as one file.')
    const bytes = readFileSync(file)
    files.set(location, bytes)
    return bytes
  }
  return {
    read: (location, offset, length) => {
      const bytes = open(location)
      const end = length === undefined ? bytes.byteLength : offset + length
      if (offset > bytes.byteLength || end > bytes.byteLength)
        throw new PinGoError(
          'MODEL_DATA_REFUSED',
          `'${location}' is shorter than ${basename(path)} says: its data are cut off or of another model.`,
          { hint: 'Export the model again, both files together.' },
        )
      return bytes.subarray(offset, end)
    },
    files: () => files.size,
  }
}
