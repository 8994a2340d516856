import { PinGoError } from '@pingo/wire'

/** Longest key of an entry, bytes of UTF-8 (as in S3). */
export const MAX_KEY_BYTES = 1_024
/** Longest name of a file or folder on the usual file systems, bytes. */
const MAX_NAME_BYTES = 255
/** Where things go that are put without naming a bucket. */
export const DEFAULT_BUCKET = 'files'
const BUCKET = /^(?!xn--)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const WINDOWS_DEVICES = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?$/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what Windows refuses
const WINDOWS_REFUSED = /[<>:"|?*\\\x00-\x1f]|[. ]$/

/** An entry's place: the bucket is the first level of its path. */
export interface Place {
  bucket: string
  key: string
}

/** @throws PinGoError BUCKET_NAME_INVALID */
export function checkBucket(name: string): string {
  if (BUCKET.test(name) && !name.includes('..')) return name
  throw new PinGoError('BUCKET_NAME_INVALID', `'${shown(name)}' cannot be the name of a bucket.`, {
    hint: 'Use 3 to 63 small letters, digits, dots and hyphens, beginning and ending with a letter or digit.',
  })
}

/** @throws PinGoError KEY_INVALID */
export function checkKey(key: string): string {
  const bytes = Buffer.byteLength(key)
  if (bytes === 0) throw new PinGoError('KEY_INVALID', 'The name of an entry is empty.')
  if (bytes > MAX_KEY_BYTES)
    throw new PinGoError('KEY_INVALID', `The name of an entry has ${bytes} bytes; ${MAX_KEY_BYTES} are allowed.`, {
      hint: 'Give it a shorter name with --name.',
    })
  // the last code point sorts behind every key of a prefix: listings count on that nobody uses it
  if (!key.isWellFormed() || key.includes('\0') || key.includes('\u{10ffff}'))
    throw new PinGoError('KEY_INVALID', `The name '${shown(key)}' has characters that no name may have.`)
  return key
}

/** `bucket/key` in its parts; a key alone when no bucket is named. */
export function parsePlace(path: string): Place {
  const at = path.indexOf('/')
  if (at < 0) return { bucket: DEFAULT_BUCKET, key: path }
  return { bucket: path.slice(0, at), key: path.slice(at + 1) }
}

export const pathOf = ({ bucket, key }: Place): string => `${bucket}/${key}`

/**
 * The parts of a key as names below a folder of this machine. A key comes from another machine or from a stranger: whatever would lead
 * out of the folder, or to a device, is refused.
 * @throws PinGoError NAME_UNSAFE
 */
export function safeParts(key: string, platform: NodeJS.Platform = process.platform): string[] {
  const parts = key.split('/')
  if (parts.at(-1) === '') parts.pop() // a folder
  const unsafe = (why: string) =>
    new PinGoError('NAME_UNSAFE', `'${shown(key)}' is not written to disk: ${why}.`, {
      hint: 'Get it alone under another name: --out FILE.',
    })
  if (key.startsWith('/') || /^[a-z]:/i.test(key)) throw unsafe('it is an absolute path')
  if (parts.length === 0 || parts.includes('')) throw unsafe('a part of its path is empty')
  for (const part of parts) {
    if (part === '.' || part === '..') throw unsafe(`'${part}' would lead to another folder`)
    if (part.includes('\0')) throw unsafe('it has a NUL')
    if (Buffer.byteLength(part) > MAX_NAME_BYTES) throw unsafe(`a part of it has more than ${MAX_NAME_BYTES} bytes`)
    if (platform !== 'win32') continue
    if (WINDOWS_DEVICES.test(part)) throw unsafe(`Windows keeps the name '${part}' for a device`)
    if (WINDOWS_REFUSED.test(part)) throw unsafe(`Windows allows no name such as '${shown(part)}'`)
  }
  return parts
}

/**
 * A last part that is fit for any system, for a name that a stranger chose (a link).
 * @throws PinGoError NAME_UNSAFE
 */
export function safeName(name: string): string {
  const parts = safeParts(name, 'win32')
  if (parts.length === 1) return parts[0]!
  throw new PinGoError('NAME_UNSAFE', `'${shown(name)}' is not the name of a file.`, {
    hint: 'Name the file yourself: --out FILE.',
  })
}

/** Names that differ by case or by Unicode's form alone are one file on Windows and macOS. */
export const foldedName = (path: string): string => path.normalize('NFC').toLowerCase()

export const isCaseBlind = (platform: NodeJS.Platform = process.platform): boolean =>
  platform === 'win32' || platform === 'darwin'

/** A name in a message: short, on one line, nothing that a terminal obeys. */
export function shown(text: string): string {
  const plain = text.replace(/\p{C}/gu, '\u{fffd}')
  return plain.length > 100 ? `${plain.slice(0, 99)}…` : plain
}
