import {
  type DatasetManifest,
  DatasetManifestSchema,
  decode,
  type FileRef,
  MAX_MANIFEST_BYTES,
  PinGoError,
  type SealedDataset,
  StoredDatasetSchema,
} from '@pingo/wire'
import type { ReadFile } from './shard-cache.ts'

/** Opens a sealed file of a private dataset. Asked for each file anew: it may refuse when the key was taken back. */
export type Unseal = (sealed: Uint8Array, dataset: SealedDataset) => Uint8Array | Promise<Uint8Array>

/** A dataset's description, and how its shards are read in plaintext. */
export interface ReadableDataset {
  manifest: DatasetManifest
  read: ReadFile
  /** The file that is stored for one of the manifest's: of private data a sealed one, which is longer. */
  stored: (file: FileRef) => FileRef
  /** Of private data: what is stored. */
  sealed?: SealedDataset
}

/** What stands under a dataset's CID: the manifest of a public one, or what is seen of a private one. @throws PinGoError MESSAGE_… */
export function decodeDataset(bytes: Uint8Array): DatasetManifest | SealedDataset {
  return decode(StoredDatasetSchema, bytes, MAX_MANIFEST_BYTES)
}

/**
 * Reads a dataset's description, public or private.
 * @param read gives stored files
 * @param unseal has the key of private data
 * @throws PinGoError DATASET_PRIVATE (its key is not here), DATA_TAMPERED, DATASET_INVALID, MESSAGE_…, and what `read` and `unseal` throw
 */
export async function readDatasetManifest(
  ref: FileRef,
  read: ReadFile,
  unseal?: Unseal,
  signal?: AbortSignal,
): Promise<ReadableDataset> {
  const stored = decodeDataset(await read(ref, signal))
  if (stored.type === 'pingo/dataset') return { manifest: stored, read, stored: (file) => file }
  if (!unseal)
    throw new PinGoError('DATASET_PRIVATE', `The dataset ${ref.cid} is private, and its key was not given.`, {
      hint: 'Its owner trains on it: on the machine that imported it, or on one with the same storage key.',
    })
  const manifest = decode(
    DatasetManifestSchema,
    await unseal(await read(stored.manifest, signal), stored),
    MAX_MANIFEST_BYTES,
  )
  const files = new Map(stored.files.map((file) => [file.cid, file]))
  if (!manifest.shards.every(({ file }) => files.has(file.cid)))
    throw new PinGoError('DATASET_INVALID', `The private dataset ${ref.cid} does not list all of its shards.`)
  const storedFor = (file: FileRef): FileRef => files.get(file.cid) ?? file
  return {
    manifest,
    sealed: stored,
    stored: storedFor,
    read: async (file, cancel) => unseal(await read(storedFor(file), cancel), stored),
  }
}
