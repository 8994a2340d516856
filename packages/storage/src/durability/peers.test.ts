import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  type ChunkProof,
  cidOf,
  createIdentity,
  LEAF_BYTES,
  PinGoError,
  proofBytes,
  type Stripe,
  sha256,
} from '@pingo/wire'
import type { StorageNode } from '../nodes/port.ts'
import { bytesOf } from '../testing/bytes.ts'
import { MemoryNetwork } from '../testing/memory-network.ts'
import { merkleProof, merkleRoot } from './merkle.ts'
import { Peers } from './peers.ts'
import { ReputationBook } from './reputation.ts'

const code = { k: 1, m: 0 }
const bytes = 3 * LEAF_BYTES + 5
const data = bytesOf(bytes)

function stripeOf(chunk: Uint8Array): Stripe {
  return {
    bytes: chunk.byteLength,
    shardBytes: chunk.byteLength,
    shards: sha256(chunk),
    roots: merkleRoot(chunk),
    tags: new Uint8Array(16),
  }
}

async function challenged(
  alter: (proof: ChunkProof, asked: { leaf: number; nonce: Uint8Array }) => Promise<ChunkProof>,
  network?: MemoryNetwork,
) {
  network ??= await MemoryNetwork.create(2)
  const [self, holder] = network.nodes as [(typeof network.nodes)[0], (typeof network.nodes)[0]]
  await holder.putChunk(cidOf(data), data, { upload: 'test' })
  const node = new Proxy(holder, {
    get: (of, name) =>
      name === 'challenge'
        ? async (...[cid, leaf, nonce]: Parameters<StorageNode['challenge']>) =>
            await alter(await of.challenge(cid, leaf, nonce), { leaf, nonce })
        : Reflect.get(of, name),
  })
  const reputation = new ReputationBook()
  const peers = new Peers({ self, nodes: network.map(), reputation, clock: () => 1_000_000, random: randomBytes })
  const outcome = await peers.challenge(node, { stripe: stripeOf(data), shard: 0, code })
  return { outcome, standing: reputation.standing(holder.record.peerId), holder }
}

const honest = async (proof: ChunkProof) => proof
const other = await createIdentity()

describe('a challenge', () => {
  it('is passed by the leaf that was asked for, its path, and a signature of this very question', async () => {
    const { outcome, standing } = await challenged(honest)
    assert.equal(outcome, 'passed')
    assert.equal(standing.audits, 1)
    assert.equal(standing.clean, 1)
  })

  const wrong: Record<string, Parameters<typeof challenged>[0]> = {
    'another leaf of the same chunk, with its own right path': async (proof, { leaf }) => ({
      ...proof,
      ...merkleProof(data, (leaf + 1) % 4),
    }),
    'a leaf with one bit changed': async (proof) => {
      const leaf = Uint8Array.from(proof.leaf)
      leaf[leaf.length - 1]! ^= 1
      return { ...proof, leaf }
    },
    'a leaf that is cut short': async (proof) => ({ ...proof, leaf: proof.leaf.subarray(1) }),
    'a path with a hash changed': async (proof) => ({ ...proof, path: proof.path.map((hash) => sha256(hash)) }),
    'a path that is too long': async (proof) => ({ ...proof, path: [...proof.path, sha256(data)] }),
    'a path that is too short': async (proof) => ({ ...proof, path: proof.path.slice(1) }),
    'a proof of other data of the same length': async (proof, { leaf }) => ({
      ...proof,
      ...merkleProof(bytesOf(bytes, 2), leaf),
    }),
    'another length of the chunk': async (proof) => ({ ...proof, bytes: proof.bytes + 1 }),
    "somebody else's signature": async (proof, { leaf, nonce }) => ({
      ...proof,
      signature: await other.sign(proofBytes(nonce, cidOf(data).toString(), leaf)),
    }),
    'no signature': async (proof) => ({ ...proof, signature: new Uint8Array(64) }),
  }
  for (const [what, alter] of Object.entries(wrong))
    it(`is failed by ${what}`, async () => {
      const { outcome, standing } = await challenged(alter)
      assert.equal(outcome, 'failed')
      assert.equal(standing.failedInRow, 1)
    })

  it('is failed by an answer to an earlier question', async () => {
    const before: ChunkProof[] = []
    const replay = async (proof: ChunkProof, { leaf }: { leaf: number }) => {
      before[leaf] ??= proof
      return before[leaf]
    }
    const network = await MemoryNetwork.create(2)
    let failed = 0
    for (let n = 0; n < 12; n++) {
      const { outcome } = await challenged(replay, network)
      failed += Number(outcome === 'failed')
    }
    assert.ok(failed >= 8, `${failed} of 12 failed: of four leaves four first answers are right at most`)
  })

  it('is failed by who says that the chunk is gone; who is not reached is only away', async () => {
    const refuse = (code: string) => async () => {
      throw new PinGoError(code, 'No.')
    }
    assert.equal((await challenged(refuse('BLOCK_MISSING'))).outcome, 'failed')
    const away = await challenged(refuse('SOURCE_UNREACHABLE'))
    assert.equal(away.outcome, 'offline')
    assert.equal(away.standing.audits, 0)
    const silent = await challenged(refuse('TRANSFER_TIMEOUT'))
    assert.equal(silent.outcome, 'no-answer')
    assert.equal(silent.standing.state, 'contained')
  })
})
