import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  cidOf,
  createIdentity,
  DAG_CBOR,
  encode,
  FORGET_TYPE,
  type Identity,
  OBJECT_RECORD_TYPE,
  type ObjectManifest,
  seal,
} from '@pingo/wire'
import { merkleRoot } from '../durability/merkle.ts'
import { AccessTokens } from '../nodes/access.ts'
import { hello } from '../nodes/hello.ts'
import { HttpStorageNode } from '../nodes/http-node.ts'
import { stops } from './http-node.ts'
import { type StorageNodeOptions, startStorageNode } from './start-storage-node.ts'

/** A storage node in a folder of its own, ended after the last test of the file. */
export async function storageNode(o: Partial<StorageNodeOptions> = {}) {
  const folder = o.folder ?? (await mkdtemp(join(tmpdir(), 'pingo-node-')))
  const node = await startStorageNode({ turnMs: 50, ...o, folder })
  let isOpen = true
  const close = async () => {
    if (isOpen) await node.close()
    isOpen = false
  }
  stops.push(async () => {
    await close()
    await rm(folder, { recursive: true, force: true })
  })
  return { ...node, folder, close }
}
export type TestNode = Awaited<ReturnType<typeof storageNode>>

/** An owner with an allowance of a node. */
export async function ownerOf(
  node: { service: TestNode['service'] },
  bytes = 2 ** 30,
  o: { identity?: Identity; clock?: () => number; allowedMs?: number } = {},
) {
  const identity = o.identity ?? (await createIdentity())
  const clock = o.clock ?? Date.now
  const allowance = await node.service.allowance(identity.peerId, bytes, clock() + (o.allowedMs ?? 300 * 86_400_000))
  return { identity, access: new AccessTokens(identity, () => allowance, clock) }
}

/** A node as somebody sees it over HTTP. */
export async function remote(node: { url: string }, access?: AccessTokens): Promise<HttpStorageNode> {
  return new HttpStorageNode((await hello({ url: node.url })).record, { access })
}

/** A small object kept as copies, private unless it is to be public: what an owner commits of it, and its blocks. */
export async function smallObject(
  owner: Identity,
  data: Uint8Array,
  holders: string[],
  { at = Date.now(), isPublic = false } = {},
) {
  const chunk = cidOf(data)
  const part = encode({
    type: 'pingo/object-part',
    stripes: [
      {
        bytes: data.byteLength,
        shardBytes: data.byteLength,
        shards: chunk.multihash.digest,
        roots: merkleRoot(data),
        ...(isPublic ? {} : { tags: new Uint8Array(16) }),
      },
    ],
  })
  const manifest = encode({
    type: 'pingo/object',
    version: 1,
    code: { k: 1, m: holders.length - 1 },
    bytes: data.byteLength,
    stripeBytes: Math.max(1, data.byteLength),
    ...(isPublic ? { cipher: 'none', root: chunk.toString() } : { cipher: 'aes-256-gcm' }),
    stripes: 1,
    parts: [cidOf(part, DAG_CBOR).toString()],
  } satisfies ObjectManifest)
  const manifestCid = cidOf(manifest, DAG_CBOR).toString()
  const id = isPublic ? chunk.toString() : manifestCid
  const record = await seal(owner, OBJECT_RECORD_TYPE, { id, manifest: manifestCid, class: 'hot', storedBytes: 1, at })
  return {
    id,
    chunk,
    blocks: [part, manifest].map((bytes) => ({ cid: cidOf(bytes, DAG_CBOR), bytes })),
    commit: {
      record,
      locations: [{ nodes: holders, at: new Uint8Array(new Uint16Array(holders.map((_, i) => i)).buffer) }],
    },
    word: (said: number) => seal(owner, FORGET_TYPE, { id, at: said }),
  }
}
