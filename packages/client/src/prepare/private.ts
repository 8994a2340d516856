import { randomBytes } from 'node:crypto'
import type { FileSink, Unseal } from '@pingo/data'
import { type FileStore, loadKeyring, openSealedFile, sealedBytes, sealFile } from '@pingo/storage'
import { encode, type FileRef, type JobGrant, MAX_GRANT_MS, PinGoError, type SealedDataset } from '@pingo/wire'
import type { Endpoint } from '../connection.ts'
import { keysFile } from '../store/keys.ts'
import type { ImportedDataset } from './data.ts'

const SALT_BYTES = 32

/** Stores files sealed: what it tells of them is where the ciphertext is, and the length of the plaintext. */
export class SealingSink implements FileSink {
  readonly #files: FileStore
  readonly #salt: Uint8Array
  readonly #stored = new Map<string, FileRef>()
  /** Of the dataset. */
  readonly key: Uint8Array

  private constructor(files: FileStore, salt: Uint8Array, key: Uint8Array) {
    this.#files = files
    this.#salt = salt
    this.key = key
  }

  /** A sink for a new private dataset of the owner whose storage key is in `home`. */
  static async open(files: FileStore, home: string): Promise<SealingSink> {
    const salt = randomBytes(SALT_BYTES)
    return new SealingSink(files, salt, (await loadKeyring(keysFile(home))).datasetKey(salt))
  }

  async put(content: Uint8Array | AsyncIterable<Uint8Array>): Promise<FileRef> {
    let bytes = 0
    const counted = async function* () {
      for await (const part of content instanceof Uint8Array ? [content] : content) {
        bytes += part.byteLength
        yield part
      }
    }
    const stored = await this.#files.put(sealFile(this.key, counted()))
    this.#stored.set(stored.cid, stored)
    return { cid: stored.cid, bytes }
  }

  /** Stores what the network sees of a dataset whose files went through here. @returns all its files, its own last */
  async finish(manifest: FileRef, shards: readonly FileRef[]): Promise<FileRef[]> {
    const files = shards.map(({ cid }) => this.#stored.get(cid)!)
    const stored = { cid: manifest.cid, bytes: sealedBytes(manifest.bytes) }
    const dataset: SealedDataset = {
      type: 'pingo/sealed-dataset',
      version: 1,
      salt: this.#salt,
      manifest: stored,
      files,
    }
    return [...files, stored, await this.#files.put(encode(dataset))]
  }
}

/** Opens the private datasets of the owner whose storage key is in `home`. */
export async function ownersUnseal(
  home: string,
): Promise<{ unseal: Unseal; keyOf: (dataset: SealedDataset) => Uint8Array }> {
  const keyring = await loadKeyring(keysFile(home))
  const keyOf = ({ salt }: SealedDataset) => keyring.datasetKey(salt)
  return { keyOf, unseal: (sealed, dataset) => openSealedFile(keyOf(dataset), sealed) }
}

/** The keys that a job needs, for its fog node. @param now ms since epoch */
export function grantsFor(datasets: readonly (ImportedDataset | undefined)[], now: number): JobGrant[] | undefined {
  const grants = new Map<string, JobGrant>()
  for (const dataset of datasets) {
    if (!dataset?.key) continue
    const { ref, key } = dataset
    grants.set(ref.cid, { object: ref.cid, key: Buffer.from(key).toString('base64url'), until: now + MAX_GRANT_MS })
  }
  return grants.size > 0 ? [...grants.values()] : undefined
}

/** A key travels encrypted, or does not leave the machine. @throws PinGoError CONNECTION_OPEN */
export function mustBeEncrypted({ url }: Endpoint): void {
  const { protocol, hostname } = new URL(url)
  if (protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')) return
  throw new PinGoError(
    'CONNECTION_OPEN',
    `The connection to ${url} is not encrypted: no key of private data is sent over it.`,
    {
      hint: "Name the fog node by the https address that it prints, or train without 'private'.",
    },
  )
}
