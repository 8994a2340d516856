import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { PinGoError } from '@pingo/wire'

/**
 * Ed25519 (RFC 8032) by OpenSSL: 75 times as fast as the JavaScript that TON's libraries bring. Keys and signatures are raw bytes, as
 * the TVM takes them.
 */
export const SEED_BYTES = 32
export const PUBLIC_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64

/** A private key that signs. The key itself cannot be read from it, so whoever prints one prints no key. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Buffer
  /** The signature of these bytes, 64 bytes. What is signed on TON is mostly a cell's hash. */
  sign(bytes: Uint8Array): Buffer
}

/** DER of a private key (RFC 8410) and of a public one, up to their 32 bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

/** The signer of a seed of 32 bytes (RFC 8032's private key; the first half of what TON's libraries call a secret key). */
export function signerOf(seed: Uint8Array): Signer {
  if (seed.byteLength !== SEED_BYTES) throw new PinGoError('KEY_INVALID', `a seed has ${SEED_BYTES} bytes`)
  const der = Buffer.concat([PKCS8, seed])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI.length)
  return { publicKey: Buffer.from(publicKey), sign: (bytes) => sign(null, bytes, key) }
}

/** Whether a signature is that of a key over these bytes. False for anything malformed and for keys that anybody can sign for. */
export function verifyEd25519(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  return isSafeKey(publicKey) && verifierOf(publicKey)(bytes, signature)
}

/** Says whether a signature is that of its key over these bytes; false for anything malformed. */
export type Verifier = (bytes: Uint8Array, signature: Uint8Array) => boolean

/** The verifier of one key, for many signatures: the key is read once. @throws PinGoError KEY_INVALID for keys that anybody can sign for */
export function verifierOf(publicKey: Uint8Array): Verifier {
  if (!isSafeKey(publicKey))
    throw new PinGoError('KEY_INVALID', 'with this public key anybody could sign, or it is none')
  const der = Buffer.concat([SPKI, publicKey])
  let key: KeyObject | undefined
  return (bytes, signature) => {
    if (signature.byteLength !== SIGNATURE_BYTES) return false
    try {
      // not every 32 bytes are a point; such a key has no signatures
      key ??= createPublicKey({ key: der, format: 'der', type: 'spki' })
      return verify(null, bytes, key, signature)
    } catch {
      return false
    }
  }
}

const P = 2n ** 255n - 19n
/** A point's y is its 255 low bits, little-endian; the top bit is the sign of x. */
const Y_BITS = 2n ** 255n - 1n
/** y of a point of order 8; the others of order 8 have -y. */
const Y8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
/** The y of all eight points of small order: 1 the identity, -1 order 2, 0 order 4, and order 8. */
const SMALL_ORDER: ReadonlySet<bigint> = new Set([0n, 1n, P - 1n, Y8, P - Y8])

/**
 * Whether a public key is one that only its holder can sign for: 32 bytes, canonical, and no point of small order. For those (the
 * identity, zero bytes, …) signatures exist that verify without any private key; the TVM refuses the worst of them from version 14 on.
 */
export function isSafeKey(publicKey: Uint8Array): boolean {
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES) return false
  const y = BigInt(`0x${Buffer.from(publicKey).reverse().toString('hex')}`) & Y_BITS
  return y < P && !SMALL_ORDER.has(y)
}
