import { randomBytes, scrypt } from 'node:crypto'
import { PinGoError, validate } from '@pingo/wire'
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { z } from 'zod'
import { openBox, sealBox } from './box.ts'
import { Keyring, SECRET_BYTES } from './keyring.ts'

/** Words of a recovery phrase. */
export const PHRASE_WORDS = 24
export const MAX_BACKUP_BYTES = 4 << 10
/** Characters of a backup file's password, at least. */
export const MIN_PASSWORD_LENGTH = 8
/** About 0.3 s and 128 MiB: what each guess of a password costs. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 } as const
const SALT_BYTES = 16
const BACKUP_CONTEXT = 'pingo/key-backup/1'

const Base64 = z.base64().max(500)
/** A backup file, JSON: the secret in a box whose key is the password’s by scrypt (RFC 7914). */
const BackupSchema = z.strictObject({
  type: z.literal('pingo-key-backup'),
  version: z.literal(1),
  /** The PeerId of the owner: which backup it is. */
  owner: z.string().max(100),
  kdf: z.strictObject({
    name: z.literal('scrypt'),
    N: z.literal(SCRYPT.N),
    r: z.literal(SCRYPT.r),
    p: z.literal(SCRYPT.p),
    salt: Base64,
  }),
  cipher: z.literal('aes-256-gcm'),
  box: Base64,
})

/** The secret as 24 English words with a checksum (BIP-39). */
export function phraseOf(secret: Uint8Array): string {
  return entropyToMnemonic(secret, wordlist)
}

/**
 * The secret of a recovery phrase; case, numbering and spaces do not matter.
 * @throws PinGoError PHRASE_INVALID, which says which word is wrong, or that the words do not fit together
 */
export function secretOf(phrase: string): Uint8Array {
  const words = phrase
    .normalize('NFKD')
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '')
  const unknown = words.findIndex((word) => !wordlist.includes(word))
  if (unknown >= 0) {
    const word = words[unknown]!.slice(0, 20)
    throw new PinGoError('PHRASE_INVALID', `Word ${unknown + 1} of the phrase, '${word}', is not in the list.`, {
      hint: `Did you mean '${nearestWord(word)}'?`,
    })
  }
  if (words.length !== PHRASE_WORDS)
    throw new PinGoError('PHRASE_INVALID', `A recovery phrase has ${PHRASE_WORDS} words, this one has ${words.length}.`)
  try {
    return mnemonicToEntropy(words.join(' '), wordlist)
  } catch {
    throw new PinGoError('PHRASE_INVALID', 'Every word is in the list, but they do not fit together.', {
      hint: 'One is another than you noted, or two are swapped: compare them with your note, one by one.',
    })
  }
}

/** The text of a backup file of the secret. @throws PinGoError PASSWORD_WEAK */
export async function backupOf(secret: Uint8Array, password: string): Promise<string> {
  if ([...password].length < MIN_PASSWORD_LENGTH)
    throw new PinGoError('PASSWORD_WEAK', `The password of a backup has ${MIN_PASSWORD_LENGTH} characters at least.`, {
      hint: 'Several random words are easy to keep and hard to guess.',
    })
  const salt = randomBytes(SALT_BYTES)
  const { peerId } = (await Keyring.of(secret)).owner
  const box = sealBox(await passwordKey(password, salt), `${BACKUP_CONTEXT} ${peerId}`, secret)
  const backup: z.infer<typeof BackupSchema> = {
    type: 'pingo-key-backup',
    version: 1,
    owner: peerId,
    kdf: { name: 'scrypt', ...SCRYPT, salt: salt.toString('base64') },
    cipher: 'aes-256-gcm',
    box: Buffer.from(box).toString('base64'),
  }
  return `${JSON.stringify(backup, null, 2)}\n`
}

/** The secret of a backup file. @throws PinGoError BACKUP_MALFORMED, PASSWORD_WRONG */
export async function secretOfBackup(text: string, password: string): Promise<Uint8Array> {
  const { owner, kdf, box } = parseBackup(text)
  const key = await passwordKey(password, Buffer.from(kdf.salt, 'base64'))
  const secret = openBox(key, `${BACKUP_CONTEXT} ${owner}`, Buffer.from(box, 'base64'))
  if (secret?.byteLength === SECRET_BYTES) return secret
  throw new PinGoError('PASSWORD_WRONG', 'The backup does not open with this password.', {
    hint: 'Check caps lock and the keyboard’s language. A damaged file looks the same.',
  })
}

function parseBackup(text: string): z.infer<typeof BackupSchema> {
  try {
    if (text.length > MAX_BACKUP_BYTES) throw new Error('too long')
    return validate(BackupSchema, JSON.parse(text), 'key backup')
  } catch (cause) {
    throw new PinGoError('BACKUP_MALFORMED', 'This is not a PinGo key backup, or one of a newer version.', { cause })
  }
}

/** The key that a password is stretched to: scrypt, about 0.3 s and 128 MiB. */
export function passwordKey(password: string, salt: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  // one password, however a keyboard composes its letters
  scrypt(password.normalize('NFKC'), salt, 32, { ...SCRYPT, maxmem: 256 << 20 }, (error, key) =>
    error ? reject(error) : resolve(key),
  )
  return promise
}

/** The word of the list that takes the fewest changes of letters. */
function nearestWord(word: string): string {
  let nearest = { word: '', distance: Number.POSITIVE_INFINITY }
  for (const candidate of wordlist) {
    const distance = editDistance(word, candidate)
    if (distance < nearest.distance) nearest = { word: candidate, distance }
  }
  return nearest.word
}

/** Letters to insert, drop, change or swap with the next (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const above = rows[i - 1]!
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(
        Math.min(
          above[j]! + 1,
          row[j - 1]! + 1,
          above[j - 1]! + Number(a[i - 1] !== b[j - 1]),
          isSwap ? rows[i - 2]![j - 2]! + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
