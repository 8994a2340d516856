import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { loadSecretFile, PinGoError, readSecretFile } from '@pingo/wire'
import { z } from 'zod'
import { type Signer, signerOf } from '../keys/ed25519.ts'
import { MAX_MNEMONIC_CHARACTERS, parseMnemonic, seedOfMnemonic } from './mnemonic.ts'

/** Bytes of a wallet's file; it has some 700. */
export const MAX_WALLET_FILE_BYTES = 4096
/** Characters of a passphrase, at least. */
export const MIN_PASSPHRASE_LENGTH = 8
export const MAX_PASSPHRASE_LENGTH = 1024

/** What each guess of a passphrase costs: scrypt (RFC 7914), about 0.3 s and 128 MiB. */
export interface ScryptCost {
  N: number
  r: number
  p: number
}
export const SCRYPT: ScryptCost = { N: 2 ** 17, r: 8, p: 1 }
/** Memory that a file may ask for: a file from elsewhere must not be able to ask for more. */
export const MAX_SCRYPT_BYTES = 256 << 20
const MIN_N = 2 ** 14
const MAX_N = 2 ** 20

const [SALT_BYTES, IV_BYTES, TAG_BYTES] = [16, 12, 16]
const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`))

/** A wallet's file, JSON: its public key, and its words in a box whose key is the passphrase's. */
export const WalletFileSchema = z.strictObject({
  type: z.literal('pingo-wallet'),
  version: z.literal(1),
  /** Open, so that the address can be told without the passphrase. */
  publicKey: hex(32),
  kdf: z
    .strictObject({
      name: z.literal('scrypt'),
      N: z.number().int().min(MIN_N).max(MAX_N),
      r: z.number().int().min(1).max(32),
      p: z.number().int().min(1).max(4),
      salt: hex(SALT_BYTES),
    })
    .refine(({ N }) => Number.isInteger(Math.log2(N)), 'N is a power of two')
    .refine(({ N, r }) => 128 * N * r <= MAX_SCRYPT_BYTES, 'it asks for too much memory'),
  cipher: z.literal('aes-256-gcm'),
  iv: hex(IV_BYTES),
  /** Ciphertext and tag, hex. The rest of the file is authenticated with it. */
  box: z
    .string()
    .regex(/^[0-9a-f]+$/)
    .min(2 * TAG_BYTES)
    .max(2 * (MAX_MNEMONIC_CHARACTERS + TAG_BYTES)),
})
export type WalletFile = z.infer<typeof WalletFileSchema>

/** A wallet whose key is at hand until it is locked. */
export interface UnlockedWallet {
  readonly signer: Signer
  /** The words: whoever has them has the wallet. @throws PinGoError WALLET_LOCKED */
  words(): string[]
  /** Forgets key and words: from then on nothing can be signed. */
  lock(): void
}

/** Words in a file that only the passphrase opens. @throws PinGoError MNEMONIC_INVALID, PASSPHRASE_WEAK */
export async function sealWallet(
  words: readonly string[],
  passphrase: string,
  o: { cost?: ScryptCost; random?: (bytes: number) => Buffer } = {},
): Promise<WalletFile> {
  const { cost = SCRYPT, random = randomBytes } = o
  if ([...passphrase].length < MIN_PASSPHRASE_LENGTH || passphrase.length > MAX_PASSPHRASE_LENGTH)
    throw new PinGoError('PASSPHRASE_WEAK', `A passphrase has ${MIN_PASSPHRASE_LENGTH} characters at least.`, {
      hint: 'Several random words are easy to keep and hard to guess.',
    })
  const known = await parseMnemonic(words.join(' '))
  const seed = await seedOfMnemonic(known)
  const publicKey = signerOf(seed).publicKey.toString('hex')
  seed.fill(0)
  const kdf = { name: 'scrypt' as const, ...cost, salt: random(SALT_BYTES).toString('hex') }
  const head = { type: 'pingo-wallet' as const, version: 1 as const, publicKey, kdf, cipher: 'aes-256-gcm' as const }
  const key = await stretch(passphrase, kdf)
  const iv = random(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(authenticated(head))
  const box = Buffer.concat([cipher.update(known.join(' '), 'utf8'), cipher.final(), cipher.getAuthTag()])
  key.fill(0)
  return { ...head, iv: iv.toString('hex'), box: box.toString('hex') }
}

/** Opens a wallet's file. @throws PinGoError PASSPHRASE_WRONG */
export async function unlockWallet(file: WalletFile, passphrase: string): Promise<UnlockedWallet> {
  const { iv, box, ...head } = file
  const key = await stretch(passphrase.slice(0, MAX_PASSPHRASE_LENGTH), file.kdf)
  let words: string[] | undefined
  let signer: Signer | undefined
  try {
    const bytes = Buffer.from(box, 'hex')
    const cipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'hex'), { authTagLength: TAG_BYTES })
      .setAAD(authenticated(head))
      .setAuthTag(bytes.subarray(-TAG_BYTES))
    const text = Buffer.concat([cipher.update(bytes.subarray(0, -TAG_BYTES)), cipher.final()])
    words = text.toString('utf8').split(' ')
    text.fill(0)
    const seed = await seedOfMnemonic(words)
    signer = signerOf(seed)
    seed.fill(0)
    if (signer.publicKey.toString('hex') !== file.publicKey) throw new Error('another key')
  } catch {
    throw new PinGoError('PASSPHRASE_WRONG', 'The wallet does not open with this passphrase.', {
      hint: 'Check caps lock and the keyboard’s language. A damaged file looks the same.',
    })
  } finally {
    key.fill(0)
  }
  const { publicKey } = signer
  const held = <T>(what: T | undefined): T => {
    if (what === undefined) throw new PinGoError('WALLET_LOCKED', 'The wallet is locked.', { hint: 'Unlock it again.' })
    return what
  }
  return {
    signer: { publicKey, sign: (bytes) => held(signer).sign(bytes) },
    words: () => [...held(words)],
    lock() {
      signer = undefined
      words = undefined
    },
  }
}

/** Reads what a wallet's file says, from its text. @throws PinGoError WALLET_FILE_INVALID */
export function parseWalletFile(text: string): WalletFile {
  try {
    if (text.length > MAX_WALLET_FILE_BYTES) throw new Error('too long')
    return WalletFileSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw invalidFile(cause)
  }
}

/** Reads a wallet's file; undefined when there is none. Its mode is put right. @throws PinGoError WALLET_FILE_INVALID */
export async function readWalletFile(path: string): Promise<WalletFile | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  if (!found) return undefined
  if (!found.isFile() || found.size > MAX_WALLET_FILE_BYTES) throw invalidFile()
  const bytes = await readSecretFile(path)
  return bytes && parseWalletFile(Buffer.from(bytes).toString('utf8'))
}

const invalidFile = (cause?: unknown) =>
  new PinGoError('WALLET_FILE_INVALID', 'This is not a PinGo wallet, or one of a newer version.', { cause })

/** Writes a new wallet's file, mode 0600, whole and synced or not at all. @throws PinGoError WALLET_EXISTS: no wallet is ever overwritten */
export async function writeWalletFile(path: string, file: WalletFile): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(WalletFileSchema.parse(file), null, 2)}\n`)
  const there = await loadSecretFile(path, async () => bytes)
  if (!bytes.equals(there))
    throw new PinGoError('WALLET_EXISTS', `There is a wallet in ${path} already.`, {
      hint: 'Give the new one another name.',
    })
}

/** What the tag vouches for beside the words: everything before them. */
const authenticated = ({ type, version, publicKey, kdf, cipher }: Omit<WalletFile, 'iv' | 'box'>): Buffer =>
  Buffer.from(JSON.stringify([type, version, publicKey, kdf.name, kdf.N, kdf.r, kdf.p, kdf.salt, cipher]))

function stretch(passphrase: string, { N, r, p, salt }: WalletFile['kdf']): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  // one passphrase, however a keyboard composes its letters
  const options = { N, r, p, maxmem: MAX_SCRYPT_BYTES + (1 << 20) }
  scrypt(passphrase.normalize('NFKC'), Buffer.from(salt, 'hex'), 32, options, (error, key) =>
    error ? reject(error) : resolve(key),
  )
  return promise
}
