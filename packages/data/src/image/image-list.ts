import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { compareText } from '../classes.ts'
import { fileError } from '../files.ts'
import type { ImportLimits } from '../limits.ts'
import { nearest } from '../nearest.ts'
import { openCsv } from '../table/csv-table.ts'
import { cellText } from '../table/profile.ts'

const IMAGE_NAME = /\.(png|jpe?g)$/i
const LABELS_FILE = 'labels.csv'
const FILE_COLUMNS = ['file', 'filename', 'file_name', 'image', 'path', 'name', 'id']
const LABEL_COLUMNS = ['label', 'class', 'target', 'y', 'category']

export interface LabelledImage {
  path: string
  label: string
}

/** True for a name that ends as images do and is not hidden. */
export const isImageName = (name: string): boolean => IMAGE_NAME.test(name) && !name.startsWith('.')

/** The images directly in a folder, sorted by name. */
export async function imagesIn(folder: string): Promise<string[]> {
  return (await entries(folder))
    .filter((entry) => entry.isFile && isImageName(entry.name))
    .map(({ name }) => join(folder, name))
}

/** Folders with images in them, below `folder`: the classes. */
export async function classFolders(folder: string): Promise<string[]> {
  const names: string[] = []
  for (const entry of await entries(folder))
    if (entry.isDirectory && !entry.name.startsWith('.') && (await imagesIn(join(folder, entry.name))).length > 0)
      names.push(entry.name)
  return names
}

/** Images with their labels: folder/class/image, or a flat folder with labels.csv. @throws PinGoError DATA_NO_IMAGES and others */
export async function listImages(
  folder: string,
  limits: ImportLimits,
  options: { labels?: string | undefined; target?: string | undefined },
): Promise<LabelledImage[]> {
  if (await isFile(folder))
    throw new PinGoError('DATA_NO_LABELS', `'${folder}' is a single file, images are imported by the folder.`, {
      hint: 'Give a folder with one folder of images for each class.',
    })
  const table = options.labels ?? ((await isFile(join(folder, LABELS_FILE))) ? join(folder, LABELS_FILE) : undefined)
  const images =
    table === undefined ? await imagesByFolder(folder) : await imagesByTable(folder, table, limits, options.target)
  if (images.length > limits.images)
    throw new PinGoError(
      'DATA_TOO_LARGE',
      `'${folder}' has ${images.length} images, at most ${limits.images} are read.`,
      { hint: 'Split it, or raise limits.images.' },
    )
  return images
}

async function imagesByFolder(folder: string): Promise<LabelledImage[]> {
  const images: LabelledImage[] = []
  for (const name of await classFolders(folder))
    for (const path of await imagesIn(join(folder, name))) images.push({ path, label: name })
  if (images.length > 0) return images
  const flat = (await imagesIn(folder)).length
  throw flat > 0
    ? new PinGoError('DATA_NO_LABELS', `'${folder}' has ${flat} images and nothing that labels them.`, {
        hint: `Put each class into a folder of its own, or add ${LABELS_FILE} with the columns file and label.`,
      })
    : new PinGoError('DATA_NO_IMAGES', `'${folder}' has no PNG or JPEG images.`, {
        hint: 'Give a folder with one folder of images for each class.',
      })
}

async function imagesByTable(
  folder: string,
  path: string,
  limits: ImportLimits,
  target: string | undefined,
): Promise<LabelledImage[]> {
  const table = await openCsv(path, { limits, known: new Set([...FILE_COLUMNS, ...LABEL_COLUMNS]) })
  const { columns } = table
  const find = (names: readonly string[]) => columns.findIndex((column) => names.includes(column.toLowerCase()))
  const fileColumn = Math.max(0, find(FILE_COLUMNS))
  const labelColumn = target === undefined ? find(LABEL_COLUMNS) : columns.indexOf(target)
  if (target !== undefined && labelColumn < 0) {
    const near = nearest(target, columns)
    throw new PinGoError('DATA_NO_COLUMN', `'${path}' has no column '${target}'.`, {
      hint: near === undefined ? `Its columns are ${columns.join(', ')}.` : `Did you mean '${near}'?`,
    })
  }
  const label = labelColumn >= 0 ? labelColumn : columns.length - 1
  if (label === fileColumn)
    throw new PinGoError('DATA_NO_LABELS', `'${path}' needs two columns, file and label.`, {
      hint: 'Check its delimiter.',
    })
  const there = new Map<string, string>()
  for (const image of await imagesIn(folder)) there.set(image.slice(folder.length + 1), image)
  const images: LabelledImage[] = []
  for await (const { rows, places } of table.read([fileColumn, label])) {
    for (const [i, row] of rows.entries()) {
      const name = cellText(row[fileColumn]!).replace(/^\.\//, '')
      const image =
        there.get(name) ?? there.get(`${name}.png`) ?? there.get(`${name}.jpg`) ?? (await below(folder, name))
      if (image === undefined)
        throw new PinGoError(
          'DATA_FILE_MISSING',
          `'${path}', line ${places[i]}: there is no image '${name.slice(0, 200)}' in '${folder}'.`,
          { hint: 'Add the file, or remove the line.' },
        )
      images.push({ path: image, label: cellText(row[label]!) })
    }
  }
  if (images.length === 0)
    throw new PinGoError('DATA_NO_IMAGES', `'${path}' lists no image.`, { hint: 'Give each image a line.' })
  return images
}

/** A listed image in a folder below; never outside of it. */
async function below(folder: string, name: string): Promise<string | undefined> {
  const parts = name.split('/')
  if (!isImageName(parts.at(-1)!) || parts.some((part) => part === '..' || part === '') || parts.length < 2)
    return undefined
  const path = join(folder, ...parts)
  return (await isFile(path)) && dirname(path) !== folder ? path : undefined
}

/** What lies in a folder, sorted by name; links count as what they point to. */
async function entries(folder: string): Promise<{ name: string; isFile: boolean; isDirectory: boolean }[]> {
  try {
    const found = await readdir(folder, { withFileTypes: true })
    const resolved = found.map(async (entry) => {
      const what = entry.isSymbolicLink() ? await stat(join(folder, entry.name)).catch(() => entry) : entry
      return { name: entry.name, isFile: what.isFile(), isDirectory: what.isDirectory() }
    })
    return (await Promise.all(resolved)).sort((a, b) => compareText(a.name, b.name))
  } catch (cause) {
    throw fileError(folder, cause)
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
