import { access } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { PinGoError } from '@pingo/wire'

/** What a part of a file's name becomes in the name of its label file. */
const SIBLINGS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/images/, ['labels']],
  [/Images/, ['Labels']],
  [/(^|[._-])X(?=[._-]|$)/, ['$1y', '$1Y']],
  [/(^|[._-])x(?=[._-]|$)/, ['$1y']],
  [/inputs/, ['targets', 'labels']],
  [/input/, ['target', 'label']],
  [/features/, ['labels', 'targets']],
  [/data/, ['labels', 'targets']],
]

/** The label file beside an idx or npy file, by the usual names. @throws PinGoError DATA_NO_LABELS */
export async function labelPath(path: string): Promise<string> {
  const name = basename(path)
  const names = SIBLINGS.flatMap(([part, others]) =>
    part.test(name) ? others.map((other) => name.replace(part, other)) : [],
  )
  const plain = names.flatMap((n) => [n.replace(/idx[2-8]/, 'idx1'), n])
  const tried = [...new Set(plain.flatMap((n) => [n, n.replace(/\.gz$/, '')]))].filter((n) => n !== name)
  for (const candidate of tried) {
    const sibling = join(dirname(path), candidate)
    if (await exists(sibling)) return sibling
  }
  throw new PinGoError(
    'DATA_NO_LABELS',
    `There is no label file beside '${path}'${tried.length > 0 ? ` (looked for ${tried.map((n) => `'${n}'`).join(', ')})` : ''}.`,
    { hint: 'Name it by labels.' },
  )
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}
