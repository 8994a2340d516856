import { readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { fileError, SourceFile } from './files.ts'
import { imageType } from './image/decode.ts'
import { classFolders, imagesIn } from './image/image-list.ts'
import type { Format } from './import-options.ts'
import type { ImportLimits } from './limits.ts'
import { sniffCsv } from './table/csv-sniff.ts'

const EXTENSIONS: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.parquet': 'parquet',
  '.pq': 'parquet',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.npy': 'npy',
  '.txt': 'text',
  '.md': 'text',
  '.safetensors': 'safetensors',
  '.idx': 'idx',
  '.png': 'images',
  '.jpg': 'images',
  '.jpeg': 'images',
}
const SNIFF_BYTES = 64 << 10

/** The format of a file by its first bytes where they are telling, by its extension, else by what its text looks like. */
export async function detectFormat(path: string, limits: ImportLimits): Promise<Format> {
  if ((await statOf(path)).isDirectory()) return 'images'
  return SourceFile.with(path, limits, async (file) => {
    const start = Buffer.from(await file.read(0, SNIFF_BYTES))
    const magic = formatByMagic(start)
    if (magic) return magic
    const extension = EXTENSIONS[extname(path).toLowerCase()]
    if (extension) return extension
    if (start.toString('latin1', 0, 2) === 'PK')
      throw unknown(path, 'is a zip archive (.npz, .xlsx …)', 'Unpack it, or save the data as .npy or CSV.')
    if (start.includes(0))
      throw unknown(path, 'has a format that is not known', 'Give its format, or convert it to CSV, Parquet or .npy.')
    const text = start.toString('utf8')
    if (text.trimStart().startsWith('{')) return 'jsonl'
    if (text.trimStart().startsWith('['))
      throw unknown(path, 'is one large JSON array', 'Write each row as a JSON object on a line of its own.')
    const { rows } = sniffCsv(path, text, file.bytes <= SNIFF_BYTES, limits)
    const cells = rows[0]?.length ?? 0
    return cells > 1 && rows.length > 1 && rows.every((row) => row.length === cells) ? 'csv' : 'text'
  })
}

function formatByMagic(start: Buffer): Format | undefined {
  if (start.toString('latin1', 0, 4) === 'PAR1') return 'parquet'
  if (start.toString('latin1', 0, 6) === '\x93NUMPY') return 'npy'
  if (imageType(start)) return 'images'
  if (
    start.length >= 8 &&
    start[0] === 0 &&
    start[1] === 0 &&
    [8, 9, 11, 12, 13, 14].includes(start[2]!) &&
    start[3]! >= 1 &&
    start[3]! <= 8
  )
    return 'idx'
  if (start.length > 9 && start[8] === 0x7b && start.readBigUInt64LE(0) < 2n ** 32n && start.includes(0))
    return 'safetensors'
  return undefined
}

const unknown = (path: string, what: string, hint: string) =>
  new PinGoError('DATA_FORMAT', `'${path}' ${what}.`, { hint })

export async function statOf(path: string) {
  try {
    return await stat(path)
  } catch (cause) {
    throw fileError(path, cause)
  }
}

/**
 * When a folder holds both splits, where each of them lies: folders train and test (or val) of images, or files such as
 * train-images-idx3-ubyte and t10k-images-idx3-ubyte, train.csv and test.csv.
 */
export async function findSplits(folder: string): Promise<{ train: string; test: string } | undefined> {
  let names: string[]
  try {
    names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort()
  } catch (cause) {
    throw fileError(folder, cause)
  }
  if ((await imagesIn(folder)).length > 0) return undefined
  const tests = ['test', 't10k', 'val', 'valid', 'validation']
  const candidates = (split: string) =>
    names.filter(
      (name) =>
        name.toLowerCase() === split || new RegExp(`^${split}[-_.](?!.*labels)|^[Xx]_${split}\\.npy$`).test(name),
    )
  const train = candidates('train')
  for (const split of tests) {
    const test = candidates(split)
    if (train.length !== 1 || test.length !== 1) continue
    const found = { train: join(folder, train[0]!), test: join(folder, test[0]!) }
    const folders = (await statOf(found.train)).isDirectory()
    if (folders !== (await statOf(found.test)).isDirectory()) continue
    if (!folders || (await classFolders(found.train)).length > 0) return found
  }
  return undefined
}
