import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BatchInput, cidOf, type DatasetManifest, type FileRef, PinGoError, type TypedArray } from '@pingo/wire'
import type { FileSink } from './import-options.ts'
import { openDataset } from './store/dataset.ts'

/** A sink and the reader of what was put into it, for tests. */
export class MemoryFiles implements FileSink {
  readonly files = new Map<string, Uint8Array>()
  reads = 0

  async put(bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<FileRef> {
    if (!(bytes instanceof Uint8Array)) throw new Error('a stream was not expected')
    const cid = cidOf(bytes).toString()
    this.files.set(cid, bytes.slice())
    return { cid, bytes: bytes.byteLength }
  }

  read = async (ref: FileRef): Promise<Uint8Array> => {
    this.reads++
    return this.files.get(ref.cid)!
  }
}

/** Stored values of all samples of a dataset, by column. */
export async function everything(manifest: DatasetManifest, files: MemoryFiles): Promise<Record<string, TypedArray>> {
  const inputs = manifest.columns.map((column): BatchInput => {
    return { name: column.name, column: column.name, dtype: column.dtype, shape: column.shape }
  })
  const dataset = openDataset(manifest, files.read)
  return dataset.batch(
    Array.from({ length: dataset.samples }, (_, i) => i),
    inputs,
  )
}

/**
 * Runs with a fresh directory, removed afterwards. Temporary files of imports go to a place of their own meanwhile, which
 * must be empty at the end.
 */
export async function inDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'pingo-data-test-'))
  const before = process.env.TMPDIR
  const temporary = join(directory, '.temporary')
  await mkdir(temporary)
  process.env.TMPDIR = temporary
  try {
    await use(directory)
    const left = await readdir(temporary)
    if (left.length > 0) throw new Error(`left behind: ${left}`)
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    await rm(directory, { recursive: true })
  }
}

/** For assert.rejects and assert.throws: the error has this code and its sentence and hint say these words. */
export function says(code: string, ...words: (string | RegExp)[]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof PinGoError)) throw new Error(`not a PinGoError: ${String(error)}`, { cause: error })
    const text = `${error.message} ${error.hint ?? ''}`
    if (error.code !== code) throw new Error(`code ${error.code} instead of ${code}: ${text}`)
    for (const word of words)
      if (typeof word === 'string' ? !text.includes(word) : !word.test(text))
        throw new Error(`'${text}' does not say ${word}`)
    return true
  }
}
