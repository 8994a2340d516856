import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CHUNK_LEASE_MS, type CID, createIdentity, UPLOAD_LEASE_MS } from '@pingo/wire'
import { smallObject, storageNode } from '../testing/storage-nodes.ts'
import { AccessTokens } from './access.ts'
import { askAllowance } from './ask-allowance.ts'
import { hello } from './hello.ts'
import { HttpStorageNode } from './http-node.ts'

const PROGRAM = fileURLToPath(new URL('../testing/storage-node.ts', import.meta.url))
/** Moments of death; more of them by PINGO_KILLS, for a long run. */
const KILLS = Number(process.env.PINGO_KILLS ?? 12)
const LANES = 4
const DAY_MS = 86_400_000

describe('a storage node whose process is killed', () => {
  const folders: string[] = []
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

  it(`loses nothing that it acknowledged and leaks nothing, at ${KILLS} moments`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pingo-node-crash-'))
    const compiled = await mkdtemp(join(tmpdir(), 'pingo-compiled-'))
    folders.push(folder, compiled)
    const env = { ...process.env, NODE_COMPILE_CACHE: compiled } // the same program starts over and over
    const owner = await createIdentity()
    /** What was acknowledged: chunks put, chunks kept for an object, objects committed, objects forgotten. */
    const put = new Map<string, { cid: CID; bytes: number }>()
    const kept = new Map<string, CID>()
    const committed = new Set<string>()
    const forgotten = new Set<string>()
    let sent = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, [PROGRAM, folder], { stdio: ['ignore', 'pipe', 'inherit'], env })
      const ended = new Promise((resolve) => child.on('exit', resolve))
      const { url, token } = await ready(child)
      const allowance = await askAllowance(
        { url, token },
        { owner: owner.peerId, bytes: 2 ** 40, until: Date.now() + 300 * DAY_MS },
      )
      const node = new HttpStorageNode((await hello({ url })).record, {
        access: new AccessTokens(owner, () => allowance),
      })
      let left = Math.floor(Math.random() ** 2 * 80)
      const acknowledged = () => left-- === 0 && child.kill('SIGKILL')
      const lane = async () => {
        for (;;) {
          const data = randomBytes(sent++ % 3 === 0 ? 200_000 : 300)
          const object = await smallObject(owner, data, [node.record.peerId])
          for (const { cid, bytes } of [{ cid: object.chunk, bytes: data }, ...object.blocks]) {
            await node.putChunk(cid, bytes, { upload: object.id.slice(-20) })
            put.set(cid.toString(), { cid, bytes: bytes.byteLength })
            acknowledged()
          }
          if (sent % 4 === 0) continue // never committed
          await node.commit(object.commit)
          committed.add(object.id)
          acknowledged()
          await node.keep(object.id, [object.chunk], Date.now() + CHUNK_LEASE_MS)
          kept.set(object.id, object.chunk)
          acknowledged()
          if (sent % 5 !== 0) continue
          const word = await object.word(Date.now() + 1)
          committed.delete(object.id) // between now and the answer it may be either
          await node.forget(object.id, word)
          forgotten.add(object.id)
          acknowledged()
        }
      }
      await Promise.allSettled(Array.from({ length: LANES }, lane))
      child.kill('SIGKILL')
      await ended
    }
    let now = Date.now()
    const node = await storageNode({ folder, clock: () => now })
    assert.ok(put.size > KILLS, `${put.size} chunks were acknowledged`)
    await node.service.collect({ orphansMs: 0 })
    for (const { cid } of put.values()) await node.blocks.get(cid)
    for (const id of committed)
      assert.ok(node.service.object(id) && !node.service.object(id)!.forgotten, `${id} is lost`)
    for (const id of forgotten) assert.ok(node.service.object(id)!.forgotten, `${id} came back`)
    now += UPLOAD_LEASE_MS + DAY_MS
    await node.service.collect({ orphansMs: 0 })
    for (const [id, cid] of kept) assert.ok(node.blocks.has(cid), `the chunk of ${id} was collected`)
    for (const id of committed)
      for await (const { cid } of node.service.care.blocks(id)) assert.ok(node.blocks.has(cid))
    now += CHUNK_LEASE_MS
    await node.service.collect()
    // what is left is what the node cares for, and that is counted
    let bytes = 0
    let blocks = 0
    const cared = await node.service.care.due(now, 100_000)
    for (const id of cared)
      for await (const block of node.service.care.blocks(id)) {
        bytes += block.bytes.byteLength
        blocks += 1
      }
    assert.deepEqual(node.blocks.stats(), { blocks, bytes })
    assert.equal(node.service.usage({ peerId: owner.peerId }).bytes, bytes)
    for (const id of cared) await node.service.care.remove(id)
    await node.service.collect()
    assert.deepEqual(node.blocks.stats(), { blocks: 0, bytes: 0 })
    assert.equal(node.service.usage({ peerId: owner.peerId }).bytes, 0)
  })
})

async function ready(child: ChildProcess): Promise<{ url: string; token: string }> {
  for await (const line of createInterface({ input: child.stdout! })) return JSON.parse(line)
  throw new Error('the node did not start')
}
