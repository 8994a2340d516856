import {
  type CID,
  decode,
  type Locations,
  type ManifestPart,
  ManifestPartSchema,
  NOWHERE,
  type ObjectManifest,
  ObjectManifestSchema,
  PinGoError,
  parseCid,
} from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { type CidLike, keyOf } from '../blocks/key.ts'
import { linksOf } from '../blocks/links.ts'
import { MAX_BLOCK_BYTES } from '../limits.ts'

const DIGEST_BYTES = 32

/** The manifest block `cid`, well-formed. @throws PinGoError BLOCK_MISSING, MANIFEST_MALFORMED */
export async function readManifest(blocks: BlockStore, cid: CidLike): Promise<ObjectManifest> {
  const bytes = await blocks.get(cid)
  return malformed(() => decode(ObjectManifestSchema, bytes, MAX_BLOCK_BYTES))
}

/** A part of a manifest, its stripes as the code wants them. @throws PinGoError BLOCK_MISSING, MANIFEST_MALFORMED */
export async function readPart(blocks: BlockStore, cid: CidLike, { code }: ObjectManifest): Promise<ManifestPart> {
  const bytes = await blocks.get(cid)
  const part = malformed(() => decode(ManifestPartSchema, bytes, MAX_BLOCK_BYTES))
  const digests = code.k === 1 ? 1 : code.k + code.m
  for (const stripe of part.stripes)
    if (stripe.shards.byteLength !== DIGEST_BYTES * digests || stripe.roots.byteLength !== DIGEST_BYTES * digests)
      throw new PinGoError('MANIFEST_MALFORMED', `A stripe of the manifest has not ${digests} digests.`)
  return part
}

/** The blocks that a caretaker keeps of an object: parts, tree nodes, and last the manifest itself. */
export async function* manifestBlocks(blocks: BlockStore, manifestCid: CID): AsyncGenerator<CID> {
  const manifest = await readManifest(blocks, manifestCid)
  for (const text of manifest.parts) {
    const part = await readPart(blocks, text, manifest)
    for (const node of part.tree ?? []) yield parseCid(node)
    yield parseCid(text)
  }
  yield manifestCid
}

/**
 * Checks that the data shards of public data are the leaves of their UnixFS root, by the tree nodes that are here: then nobody can pass
 * off other bytes as an object that somebody else is going to store.
 * @throws PinGoError BLOCK_MISSING, MANIFEST_MALFORMED
 */
export async function checkTree(blocks: BlockStore, manifest: ObjectManifest): Promise<void> {
  const here = new Set<string>()
  const tree: string[] = []
  for (const text of manifest.parts) {
    const part = await readPart(blocks, text, manifest)
    for (const { shards, bytes, shardBytes } of part.stripes) {
      const data = manifest.code.k === 1 ? 1 : Math.ceil(bytes / Math.max(1, shardBytes))
      for (let i = 0; i < Math.min(data, manifest.code.k); i++)
        here.add(Buffer.from(shards.subarray(DIGEST_BYTES * i, DIGEST_BYTES * (i + 1))).toString('hex'))
    }
    tree.push(...(part.tree ?? []))
  }
  for (const text of tree) here.add(keyOf(text))
  const check = (cid: CidLike) => {
    if (!here.has(keyOf(cid)))
      throw new PinGoError('MANIFEST_MALFORMED', `The manifest lacks block ${cid} of the file.`)
  }
  check(manifest.root!)
  for (const text of tree) for (const link of linksOf(parseCid(text), await blocks.get(text))) check(link)
}

/** @throws PinGoError LOCATIONS_MALFORMED unless they name a place, or none, for each shard of `stripes` stripes */
export function checkLocations({ nodes, at }: Locations, stripes: number, { code }: ObjectManifest): void {
  const shards = stripes * (code.k + code.m)
  const wrong = (why: string) => new PinGoError('LOCATIONS_MALFORMED', `The locations of the shards are wrong: ${why}.`)
  if (at.byteLength !== 2 * shards) throw wrong(`${at.byteLength / 2} of ${shards} shards are told`)
  const view = new DataView(at.buffer, at.byteOffset, at.byteLength)
  for (let shard = 0; shard < shards; shard++) {
    const node = view.getUint16(2 * shard, true)
    if (node !== NOWHERE && node >= nodes.length) throw wrong(`shard ${shard} is at an unknown node`)
  }
}

function malformed<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new PinGoError('MANIFEST_MALFORMED', 'The manifest is damaged.', { cause })
  }
}
