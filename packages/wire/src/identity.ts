import {
  generateKeyPair,
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyToProtobuf,
} from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { PinGoError } from './errors.ts'
import { loadSecretFile } from './secret-file.ts'

/** An Ed25519 key pair and the PeerId that names it on the network (libp2p peer-id spec, inline public key). */
export interface Identity {
  readonly peerId: string
  readonly privateKey: Ed25519PrivateKey
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/** A fresh identity that lives in memory only. */
export async function createIdentity(): Promise<Identity> {
  return identityOf(await generateKeyPair('Ed25519'))
}

/** The identity of a 32-byte seed (RFC 8032's private key): the same for the same seed. */
export async function identityFromSeed(seed: Uint8Array): Promise<Identity> {
  return identityOf(await generateKeyPairFromSeed('Ed25519', seed))
}

/**
 * Reads the identity in `file`, or makes one and writes it (mode 0600, synced) when there is none.
 * Two processes that start at once agree on one key. The key itself never appears in an error or a log.
 * @throws PinGoError IDENTITY_UNREADABLE
 */
export async function loadIdentity(file: string): Promise<Identity> {
  const bytes = await loadSecretFile(file, async () => privateKeyToProtobuf((await createIdentity()).privateKey))
  try {
    const key = privateKeyFromProtobuf(bytes)
    if (key.type !== 'Ed25519') throw new Error(`key type ${key.type}`)
    return identityOf(key)
  } catch {
    throw new PinGoError('IDENTITY_UNREADABLE', `The identity file ${file} is damaged.`, {
      hint: 'Restore it from a backup, or delete it to start with a new identity.',
    })
  }
}

function identityOf(privateKey: Ed25519PrivateKey): Identity {
  const shown = {
    peerId: peerIdFromPrivateKey(privateKey).toString(),
    sign: async (bytes: Uint8Array) => privateKey.sign(bytes),
  }
  // not enumerable: whoever prints an identity, or an object that has one, prints no key
  return Object.defineProperty(shown, 'privateKey', { value: privateKey }) as Identity
}

/** Verifies a signature by the Ed25519 key that a PeerId carries. False for anything malformed. */
export async function verifySignature(peerId: string, bytes: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    const key = peerIdFromString(peerId).publicKey
    return key?.type === 'Ed25519' && (await key.verify(bytes, signature))
  } catch {
    return false
  }
}
