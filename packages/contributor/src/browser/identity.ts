import { ed25519 } from '@noble/curves/ed25519.js'
import type { Signer } from '@pingo/wire'
import { base58btc } from 'multiformats/bases/base58'

const DATABASE = 'pingo-contributor'
const STORE = 'keys'
const KEY = 'identity'
/** A PeerId of an Ed25519 key (libp2p peer-id spec): the identity multihash of its protobuf, which the key itself follows. */
const PEER_ID_HEAD = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

/** What is kept: a key that scripts can use and not read, or its seed where the browser has no Ed25519. */
type Kept = { publicKey: Uint8Array } & ({ key: CryptoKey } | { seed: Uint8Array })

/** How well the key is kept, for people to know. */
export interface BrowserIdentity extends Signer {
  /** False: gone with the page, since this browser keeps nothing (a private window). */
  isKept: boolean
}

/**
 * This browser's identity on this site: read from IndexedDB, made on the first visit. Its private key cannot be read by any script where
 * the browser has Ed25519 of its own.
 */
export async function openBrowserIdentity(): Promise<BrowserIdentity> {
  try {
    const database = await openDatabase()
    try {
      const kept = ((await read(database)) as Kept | undefined) ?? (await keep(database, await make()))
      return identityOf(kept, true)
    } finally {
      database.close()
    }
  } catch {
    return identityOf(await make(), false)
  }
}

/** The PeerId of an Ed25519 public key, 32 bytes. */
export function peerIdOf(publicKey: Uint8Array): string {
  const bytes = new Uint8Array(PEER_ID_HEAD.byteLength + publicKey.byteLength)
  bytes.set(PEER_ID_HEAD)
  bytes.set(publicKey, PEER_ID_HEAD.byteLength)
  return base58btc.encode(bytes).slice(1) // without the prefix of its base
}

async function make(): Promise<Kept> {
  try {
    const pair = (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as CryptoKeyPair
    return {
      key: pair.privateKey,
      publicKey: new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)),
    }
  } catch {
    const seed = crypto.getRandomValues(new Uint8Array(32))
    return { seed, publicKey: ed25519.getPublicKey(seed) }
  }
}

function identityOf(kept: Kept, isKept: boolean): BrowserIdentity {
  const sign =
    'key' in kept
      ? async (bytes: Uint8Array) =>
          new Uint8Array(await crypto.subtle.sign('Ed25519', kept.key, Uint8Array.from(bytes)))
      : async (bytes: Uint8Array) => ed25519.sign(bytes, kept.seed)
  return { peerId: peerIdOf(kept.publicKey), sign, isKept }
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1)
  request.onupgradeneeded = () => request.result.createObjectStore(STORE)
  return done(request)
}

const read = (database: IDBDatabase): Promise<unknown> => done(database.transaction(STORE).objectStore(STORE).get(KEY))

/** Of two tabs that begin at once both get the key of the first. */
async function keep(database: IDBDatabase, made: Kept): Promise<Kept> {
  const store = database.transaction(STORE, 'readwrite').objectStore(STORE)
  const there = (await done(store.get(KEY))) as Kept | undefined
  if (there) return there
  await done(store.put(made, KEY))
  return made
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
