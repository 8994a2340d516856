import { hkdfSync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { type Identity, identityFromSeed, loadSecretFile, PinGoError, readSecretFile, sha256 } from '@pingo/wire'
import { openBox, sealBox } from './box.ts'
import { type Receiver, receiverOf, unwrap } from './wrap.ts'

/** Bytes of the secret that all keys of an owner are derived from. */
export const SECRET_BYTES = 32
/** The secret's file in PINGO_HOME. */
export const KEYRING_FILE = 'storage.key'
/** A file's secret is followed by so much of its hash, so that a damaged one is noticed and not taken for another owner's. */
const CHECK_BYTES = 8
const CHECK_DOMAIN = 'pingo/storage-key/1'

/**
 * An owner's keys, all derived from one secret of 32 bytes (HKDF-SHA256, RFC 5869): whoever has the secret, or its recovery phrase, is the
 * owner. Who loses it has lost the private data: nobody else can open them. It shows no key when it is printed.
 */
export class Keyring {
  readonly #secret: Uint8Array
  readonly #indexKey: Uint8Array
  readonly #owner: Identity
  readonly #indexName: Identity
  readonly #receiver: Receiver
  #isClosed = false

  private constructor(secret: Uint8Array, owner: Identity, indexName: Identity, receiver: Receiver) {
    this.#secret = secret
    this.#indexKey = derive(secret, 'index key')
    this.#owner = owner
    this.#indexName = indexName
    this.#receiver = receiver
  }

  /** @param secret 32 bytes; copied */
  static async of(secret: Uint8Array): Promise<Keyring> {
    if (secret.byteLength !== SECRET_BYTES) throw new RangeError(`a secret has ${SECRET_BYTES} bytes`)
    const [owner, indexName, receiver] = await Promise.all([
      identityFromSeed(derive(secret, 'owner')),
      identityFromSeed(derive(secret, 'index name')),
      receiverOf(derive(secret, 'receiver')),
    ])
    return new Keyring(Uint8Array.from(secret), owner, indexName, receiver)
  }

  /** Owns the objects: signs their records and what asks for storage. */
  get owner(): Identity {
    return this.#owner
  }

  /** Signs the name under which the owner's index is found. */
  get indexName(): Identity {
    return this.#indexName
  }

  /** The X25519 public key that others wrap keys to, 32 bytes. */
  get publicKey(): Uint8Array {
    return this.#receiver.publicKey
  }

  /** Seals what only the owner shall read: an object's key, an index. `context` must be told again to open it. */
  seal(context: string, bytes: Uint8Array): Uint8Array {
    return sealBox(this.#opened(this.#indexKey), context, bytes)
  }

  /** @throws PinGoError KEYRING_WRONG when it was sealed by another owner, for another context, or was changed */
  open(context: string, sealed: Uint8Array): Uint8Array {
    const bytes = openBox(this.#opened(this.#indexKey), context, sealed)
    if (bytes) return bytes
    throw new PinGoError('KEYRING_WRONG', 'A sealed key or index does not open with this machine’s storage key.', {
      hint: 'If it is of another machine, restore that machine’s key: pingo store keys restore.',
    })
  }

  /** Opens what others wrapped to {@link publicKey}. @throws PinGoError WRAP_INVALID */
  unwrap(context: string, wrapped: Uint8Array): Promise<Uint8Array> {
    return unwrap(this.#receiver, context, wrapped)
  }

  /** Signs the name that the owner calls `label`: whoever has the secret may change what it points to. */
  nameIdentity(label: string): Promise<Identity> {
    return identityFromSeed(derive(this.#opened(this.#secret), 'name', label))
  }

  /** The key of the private dataset with this salt: nothing but the secret is needed to have it again. */
  datasetKey(salt: Uint8Array): Uint8Array {
    return derive(this.#opened(this.#secret), 'dataset key', salt)
  }

  /** A copy of the secret, for a backup. */
  revealSecret(): Uint8Array {
    return Uint8Array.from(this.#opened(this.#secret))
  }

  /** Overwrites the secret and the key of {@link seal} with zeros. The owner can still sign while the process lasts. */
  [Symbol.dispose](): void {
    this.#secret.fill(0)
    this.#indexKey.fill(0)
    this.#isClosed = true
  }

  #opened(key: Uint8Array): Uint8Array {
    if (this.#isClosed) throw new Error('this keyring was closed')
    return key
  }

  toJSON(): { owner: string } {
    return { owner: this.#owner.peerId }
  }

  [inspect.custom](): string {
    return `Keyring of ${this.#owner.peerId}`
  }
}

/**
 * The keyring whose secret is in `file`; a new one where there is none, written (mode 0600, synced) before this resolves.
 * @throws PinGoError KEYRING_UNREADABLE
 */
export async function loadKeyring(file: string): Promise<Keyring> {
  const bytes = await loadSecretFile(file, async () => withCheck(randomBytes(SECRET_BYTES)))
  return Keyring.of(checked(file, bytes))
}

/**
 * Puts back a secret from a backup.
 * @throws PinGoError KEYRING_EXISTS when the file has another one, which is never overwritten, KEYRING_UNREADABLE
 */
export async function restoreKeyring(file: string, secret: Uint8Array): Promise<Keyring> {
  const keyring = await Keyring.of(secret)
  const there = checked(file, await loadSecretFile(file, async () => withCheck(secret)))
  if (Buffer.compare(there, secret) === 0) return keyring
  throw new PinGoError('KEYRING_EXISTS', `${file} has another storage key, which was left as it is.`, {
    hint: 'If no data hang on it, or you have a backup of it too, move the file away and try again.',
  })
}

/** Whether there is a keyring; none is made. */
export async function hasKeyring(file: string): Promise<boolean> {
  return (await readSecretFile(file)) !== undefined
}

function derive(secret: Uint8Array, purpose: string, salt: Uint8Array | string = ''): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, `pingo/storage/1/${purpose}`, SECRET_BYTES))
}

const checkOf = (secret: Uint8Array): Uint8Array =>
  sha256(Buffer.concat([Buffer.from(CHECK_DOMAIN), secret])).subarray(0, CHECK_BYTES)
const withCheck = (secret: Uint8Array): Uint8Array => Buffer.concat([secret, checkOf(secret)])

function checked(file: string, bytes: Uint8Array): Uint8Array {
  const secret = bytes.subarray(0, SECRET_BYTES)
  if (Buffer.compare(bytes, withCheck(secret)) === 0) return secret
  throw new PinGoError('KEYRING_UNREADABLE', `The storage key ${file} is damaged.`, {
    hint: 'Move it away and restore it from your recovery phrase or backup file: pingo store keys restore.',
  })
}
