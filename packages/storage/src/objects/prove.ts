import { randomBytes } from 'node:crypto'
import { type ManifestPart, type ObjectManifest, PinGoError, parseCid, proofBytes, verifySignature } from '@pingo/wire'
import { leafCount, verifyProof } from '../durability/merkle.ts'
import type { NodeMap } from '../nodes/port.ts'
import { within } from './abort.ts'
import { inLanes } from './commit.ts'
import { Caretakers } from './locate.ts'
import { decodePart, shardCid, shardRoot, storedBytesOf, stripesPerPart, width } from './object.ts'

const DEFAULT_CHALLENGES = 16
const MAX_CHALLENGES = 10_000
const AT_ONCE = 8
const DEADLINE_MS = 15_000
const NONCE_BYTES = 16

/** One challenge to one holder. */
export interface ShardProof {
  stripe: number
  shard: number
  cid: string
  /** Undefined when nobody is known to have it. */
  peerId: string | undefined
  leaf: number
  /** From question to checked answer, ms. */
  ms: number
  holds: boolean
  /** Why not, as a sentence. */
  reason?: string
}

interface Drawn {
  stripe: number
  shard: number
  leaf: number
}

/**
 * Draws `challenges` random leaves of random shards and lets their holders prove them against the manifest's Merkle roots. A holder that
 * lost a fraction f of its leaves passes n challenges with odds (1 − f)ⁿ.
 * @throws PinGoError OBJECT_MISSING, MANIFEST_MALFORMED, or the signal's reason
 */
export async function proveObject(o: {
  id: string
  nodes: NodeMap
  /** 16 by default. */
  challenges?: number
  clock?: () => number
  random?: (bytes: number) => Uint8Array
  signal?: AbortSignal
}): Promise<{ proofs: ShardProof[]; holds: number; fails: number }> {
  const { id, nodes, challenges = DEFAULT_CHALLENGES, clock = Date.now, random = randomBytes, signal } = o
  const caretakers = new Caretakers(id, nodes)
  const { manifest } = await caretakers.locate(signal)
  const perPart = stripesPerPart(manifest.code)
  const stripes = Array.from({ length: manifest.stripes === 0 ? 0 : Math.min(challenges, MAX_CHALLENGES) }, () =>
    below(manifest.stripes, random),
  ).sort((a, b) => a - b) // part by part
  const proofs: ShardProof[] = []
  let at: { index: number; part: ManifestPart; holders: (string | undefined)[][] | undefined } | undefined
  const queue: (() => Promise<void>)[] = []
  for (const stripe of stripes) {
    const index = Math.floor(stripe / perPart)
    if (at?.index !== index) {
      const bytes = await caretakers.block(parseCid(manifest.parts[index]!), signal)
      const holders = await caretakers.holders(manifest, index, signal)
      at = { index, part: decodePart(bytes, manifest, index), holders }
    }
    const { part, holders } = at
    const drawn = draw(manifest, part, stripe, stripe % perPart, random)
    const peerId = holders?.[stripe % perPart]?.[drawn.shard]
    const described = part.stripes[stripe % perPart]!
    queue.push(async () => {
      const cid = shardCid(described, manifest.code, drawn.shard)
      const since = clock()
      const reason = await challenge(nodes, peerId, {
        cid,
        leaf: drawn.leaf,
        bytes: storedBytesOf(described, manifest.code, drawn.shard),
        root: shardRoot(described, manifest.code, drawn.shard),
        nonce: random(NONCE_BYTES),
        signal,
      })
      proofs.push({ ...drawn, cid: cid.toString(), peerId, ms: clock() - since, holds: reason === undefined, reason })
    })
  }
  await inLanes(queue, AT_ONCE, (ask) => ask())
  const holds = proofs.filter((proof) => proof.holds).length
  return { proofs, holds, fails: proofs.length - holds }
}

/** A random leaf of a random shard of a stripe, among those that are stored. */
function draw(
  { code }: ObjectManifest,
  part: ManifestPart,
  stripe: number,
  inPart: number,
  random: (bytes: number) => Uint8Array,
): Drawn {
  const described = part.stripes[inPart]!
  const stored = Array.from({ length: width(code) }, (_, shard) => shard).filter(
    (shard) => storedBytesOf(described, code, shard) > 0,
  )
  const shard = stored[below(stored.length, random)]!
  return { stripe, shard, leaf: below(leafCount(storedBytesOf(described, code, shard)), random) }
}

/** @returns why the proof fails; undefined when it holds */
async function challenge(
  nodes: NodeMap,
  peerId: string | undefined,
  o: {
    cid: ReturnType<typeof shardCid>
    leaf: number
    bytes: number
    root: Uint8Array
    nonce: Uint8Array
    signal?: AbortSignal
  },
): Promise<string | undefined> {
  const node = peerId === undefined ? undefined : nodes.get(peerId)
  if (!node) return 'No node is known to hold it.'
  try {
    const proof = await node.challenge(o.cid, o.leaf, o.nonce, { signal: within(DEADLINE_MS, o.signal) })
    if (proof.bytes !== o.bytes) return 'The holder has another length of it.'
    if (!verifyProof({ root: o.root, bytes: o.bytes, leafIndex: o.leaf, leaf: proof.leaf, path: proof.path }))
      return 'The leaf that came is not the one that was stored.'
    if (!(await verifySignature(node.record.peerId, proofBytes(o.nonce, o.cid.toString(), o.leaf), proof.signature)))
      return 'The holder did not sign its answer.'
    return undefined
  } catch (error) {
    o.signal?.throwIfAborted()
    return error instanceof PinGoError ? error.message : 'The holder did not answer in time.'
  }
}

/** Uniform in 0 … n − 1, by 48 random bits: the bias is below n / 2⁴⁸. */
function below(n: number, random: (bytes: number) => Uint8Array): number {
  return Math.floor((Buffer.from(random(6)).readUIntBE(0, 6) / 2 ** 48) * n)
}
