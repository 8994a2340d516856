import { DAG_CBOR, matchesCid, type ObjectManifest, PinGoError, parseCid } from '@pingo/wire'
import { keyCheck } from '../crypto/segment.ts'
import type { ByteRange } from '../files/file-store.ts'
import type { NodeMap } from '../nodes/port.ts'
import { type ChunkSource, checked, NodeSource } from './chunk-source.ts'
import { Caretakers, type Located, objectMissing } from './locate.ts'
import { decodeManifest } from './object.ts'
import { ObjectReader } from './reader.ts'

export type { ChunkHint, ChunkSource } from './chunk-source.ts'

export interface OpenOptions {
  /** Public: the UnixFS root. Private: the manifest's CID. */
  id: string
  /** Of a private object. */
  key?: Uint8Array
  /** True length of a private object; with padding when it is not told. */
  bytes?: number
  /** The network's nodes, or one source of chunks. */
  from: NodeMap | ChunkSource
  /** The manifest's CID of a public object, where `from` is a source of chunks and cannot tell. */
  manifestCid?: string
  /** ms since epoch. */
  clock?: () => number
  signal?: AbortSignal
}

/** An object that is open for reading. */
export interface StoredObject {
  readonly id: string
  readonly manifest: ObjectManifest
  /** Bytes that can be read. */
  readonly bytes: number
  /**
   * Its bytes in order, or those of a range, piece by piece, each checked. Several may run at once. What a private object begins with is shown as
   * soon as its first leaf of 64 KiB is there, where its holder is far.
   * @throws PinGoError OBJECT_UNREADABLE (names the stripe, and how many of its shards are lacking), DATA_TAMPERED, or the signal's reason
   */
  read(range?: ByteRange, o?: { signal?: AbortSignal }): AsyncGenerator<Uint8Array>
}

/**
 * Opens an object: finds its caretakers, its manifest and where its shards are.
 * @throws PinGoError OBJECT_MISSING, MANIFEST_MALFORMED, KEY_MISSING (a private object without its key), KEY_MISMATCH (with another's), or the signal's reason
 */
export async function openObject(o: OpenOptions): Promise<StoredObject> {
  const { source, located } = 'live' in o.from ? await fromNodes(o, o.from) : await fromChunks(o, o.from)
  if (located.manifest.cipher !== 'none' && o.key === undefined)
    throw new PinGoError('KEY_MISSING', `Object ${o.id} is encrypted, and its key is not here.`, {
      hint: "Ask its owner for a link, or restore the owner's keys from their backup.",
    })
  checkKey(o.id, located.manifest, o.key)
  return await ObjectReader.open(located, source, o)
}

/** Objects that were stored before manifests told it find out with their first record. */
function checkKey(id: string, { keyCheck: told }: ObjectManifest, key: Uint8Array | undefined): void {
  if (told === undefined || key === undefined || Buffer.compare(told, keyCheck(key)) === 0) return
  throw new PinGoError('KEY_MISMATCH', `The key is not that of object ${id}.`, {
    hint: 'Take the key and the id from the same link, or from the same entry of the owner’s keys.',
  })
}

interface Opened {
  source: ChunkSource
  located: Located
}

async function fromNodes({ id, signal, clock = Date.now }: OpenOptions, nodes: NodeMap): Promise<Opened> {
  const caretakers = new Caretakers(id, nodes)
  const located = await caretakers.locate(signal)
  const source = new NodeSource(nodes, caretakers, located.manifest, clock)
  source.prepare()
  return { located, source }
}

async function fromChunks({ id, manifestCid, signal }: OpenOptions, chunks: ChunkSource): Promise<Opened> {
  const source = checked(chunks)
  const cid = parseCid(manifestCid ?? id)
  if (cid.code !== DAG_CBOR) throw objectMissing(id)
  const bytes = await source.get(cid, { signal })
  if (!matchesCid(cid, bytes)) throw objectMissing(id)
  return { source, located: { id, manifest: decodeManifest(bytes), manifestCid: cid } }
}
