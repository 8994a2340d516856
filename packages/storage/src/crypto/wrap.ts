import { createPrivateKey, createPublicKey } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256, type KeyPair } from 'hpke'

const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM)
const infoOf = (context: string) => Buffer.from(`pingo/wrap/1 ${context}`)
/** Bytes of an X25519 public key, and of what HPKE puts in front of a ciphertext. */
export const PUBLIC_KEY_BYTES = 32

/** An X25519 key pair that receives keys. The private key stays in the platform's cryptography: it cannot be read out. */
export interface Receiver {
  readonly publicKey: Uint8Array
  readonly keys: KeyPair<CryptoKey>
}

/** DER of a PKCS #8 private key of X25519 (RFC 8410), up to its 32 bytes. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** The key pair of which 32 secret bytes are the private key (RFC 7748): the same for the same bytes. */
export async function receiverOf(secret: Uint8Array): Promise<Receiver> {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, secret]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const publicKey = Uint8Array.from(spki.subarray(-PUBLIC_KEY_BYTES))
  const [privateHalf, publicHalf] = await Promise.all([
    suite.DeserializePrivateKey(secret),
    suite.DeserializePublicKey(publicKey),
  ])
  return { publicKey, keys: { privateKey: privateHalf, publicKey: publicHalf } }
}

/**
 * Wraps a key, or any few bytes, to whoever has the private half of `publicKey`: HPKE, base mode (it does not say who wrapped it).
 * @param context what it is for; must be told again to unwrap it
 * @see RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
 * @throws PinGoError PUBLIC_KEY_INVALID
 */
export async function wrap(publicKey: Uint8Array, context: string, bytes: Uint8Array): Promise<Uint8Array> {
  try {
    const to = await suite.DeserializePublicKey(publicKey)
    const { encapsulatedSecret, ciphertext } = await suite.Seal(to, bytes, { info: infoOf(context) })
    return Buffer.concat([encapsulatedSecret, ciphertext])
  } catch {
    throw new PinGoError('PUBLIC_KEY_INVALID', 'The key to wrap for is no X25519 public key.')
  }
}

/** @throws PinGoError WRAP_INVALID when it was wrapped to another key, for another context, or was changed */
export async function unwrap(receiver: Receiver, context: string, wrapped: Uint8Array): Promise<Uint8Array> {
  try {
    return await suite.Open(receiver.keys, wrapped.subarray(0, PUBLIC_KEY_BYTES), wrapped.subarray(PUBLIC_KEY_BYTES), {
      info: infoOf(context),
    })
  } catch {
    throw new PinGoError(
      'WRAP_INVALID',
      'A wrapped key does not open: it is not meant for this receiver, or was changed.',
    )
  }
}
