import { createWriteStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { BlockStore, FileStore, fetchFile, type Source } from '@pingo/storage'
import { type FileRef, type JobView, type ModelCard, ModelCardSchema, PinGoError, validate } from '@pingo/wire'

/** Names of a result's files, in the folder that it is fetched into. */
export const RESULT_FILES = { model: 'model.onnx', checkpoint: 'checkpoint.safetensors', card: 'model.json' } as const

export interface FetchedResult {
  /** Absolute paths. */
  model: string
  checkpoint: string
  card: string
  modelCard: ModelCard
}

export interface FetchOptions {
  signal?: AbortSignal
  onProgress?(progress: { bytes: number; totalBytes: number }): void
}

/**
 * Fetches a done job's files into `folder`, each block checked against its CID. Broken off, it goes on where it was when
 * called again; the files appear only once all three are whole.
 * @throws PinGoError JOB_NOT_DONE, FOLDER_NOT_WRITABLE, DISK_FULL, and those of storage's fetchFile
 */
export async function fetchResult(
  job: JobView,
  source: Source,
  folder: string,
  options: FetchOptions = {},
): Promise<FetchedResult> {
  const { result } = job
  if (!result)
    throw new PinGoError(
      'JOB_NOT_DONE',
      `Job ${job.id} is ${job.state} and has no result${job.reason ? `: ${job.reason}` : ''}.`,
      {
        hint: `See how it stands with \`pingo job describe ${job.id}\`.`,
      },
    )
  const parts = join(folder, '.pingo-parts')
  const refs = Object.entries(RESULT_FILES).map(([key, name]) => ({
    name,
    ref: result[key as keyof typeof RESULT_FILES],
  }))
  const totalBytes = refs.reduce((sum, { ref }) => sum + ref.bytes, 0)
  try {
    await mkdir(parts, { recursive: true })
    const blocks = await BlockStore.open(parts)
    try {
      const files = new FileStore(blocks)
      let before = 0
      for (const { ref } of refs) {
        await fetchFile(ref, [source], blocks, {
          signal: options.signal,
          onProgress: ({ bytes }) => options.onProgress?.({ bytes: before + bytes, totalBytes }),
        })
        before += ref.bytes
        options.onProgress?.({ bytes: before, totalBytes })
      }
      for (const { name, ref } of refs) await writeWhole(files, ref, join(parts, name), options.signal)
    } finally {
      await blocks.close()
    }
    for (const { name } of refs) await rename(join(parts, name), join(folder, name))
    await rm(parts, { recursive: true, force: true })
  } catch (cause) {
    throw writeError(folder, cause)
  }
  const [model, checkpoint, card] = [RESULT_FILES.model, RESULT_FILES.checkpoint, RESULT_FILES.card].map((name) =>
    join(folder, name),
  ) as [string, string, string]
  return { model, checkpoint, card, modelCard: await readCard(card) }
}

/** Reads a `model.json`. @throws PinGoError MODEL_CARD_INVALID */
export async function readCard(path: string): Promise<ModelCard> {
  try {
    return validate(ModelCardSchema, JSON.parse(await readFile(path, 'utf8')), 'model card')
  } catch (cause) {
    throw new PinGoError('MODEL_CARD_INVALID', `${path} is not a model card of PinGo.`, {
      hint: 'Fetch it again with `pingo job get ID`.',
      cause,
    })
  }
}

async function writeWhole(files: FileStore, ref: FileRef, path: string, signal?: AbortSignal): Promise<void> {
  await pipeline(files.read(ref), createWriteStream(path), { signal })
  const handle = await open(path, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function writeError(folder: string, cause: unknown): unknown {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
    case 'EEXIST':
      return new PinGoError('FOLDER_NOT_WRITABLE', `Nothing can be written into ${folder}.`, {
        hint: 'Name another folder with --output.',
        cause,
      })
    case 'ENOSPC':
      return new PinGoError('DISK_FULL', `The disk of ${folder} is full.`, {
        hint: 'Free some space, or name another folder with --output, and fetch again.',
        cause,
      })
    default:
      return cause
  }
}
