import type { ReadableDataset, ReadPart } from '@pingo/data/reading'
import { SealedParts } from '@pingo/storage/fetching'

/**
 * How parts of a dataset's shards are read in plaintext: from the stored files as they are, or, of private data, by opening what is asked for, so
 * that no more than that is ever in memory, and nothing of it on a disk.
 * @param readPart gives parts of stored files
 * @param key of private data, asked for anew at each reading: it may be taken back
 */
export function partsOf(
  { sealed, stored }: Pick<ReadableDataset, 'sealed' | 'stored'>,
  readPart: (...o: Required<Parameters<ReadPart>>) => Promise<void>,
  key: () => Uint8Array,
): ReadPart {
  const never = new AbortController().signal
  if (!sealed) return (file, start, into, signal = never) => readPart(file, start, into, signal)
  const files = new Map<string, SealedParts>()
  return async (file, start, into, signal = never) => {
    const from = stored(file)
    let parts = files.get(file.cid)
    if (!parts) {
      parts = new SealedParts(from.bytes, (at, part) => readPart(from, at, part, signal))
      files.set(file.cid, parts)
    }
    await parts.read(key, start, into)
  }
}
