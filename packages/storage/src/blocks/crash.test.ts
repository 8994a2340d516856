import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { BlockStore } from '../index.ts'

const WRITER = fileURLToPath(new URL('./testing/crash-writer.ts', import.meta.url))
const KILLS = 22
const SEED = 20_260_101

/** A small generator of numbers (mulberry32), so that the moments of death can be had again. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('a store whose process is killed', () => {
  const folders: string[] = []
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

  it(`loses nothing that it acknowledged, at ${KILLS} moments`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pingo-crash-'))
    const compiled = await mkdtemp(join(tmpdir(), 'pingo-compiled-'))
    folders.push(folder, compiled)
    const env = { ...process.env, NODE_COMPILE_CACHE: compiled } // the same program starts over and over
    const random = randomOf(SEED)
    const puts = new Set<string>()
    const pins = new Set<string>()
    for (let kill = 0; kill < KILLS; kill++) {
      const lines = Math.floor(random() ** 2 * 60)
      const child = spawn(process.execPath, [WRITER, folder], { stdio: ['ignore', 'pipe', 'inherit'], env })
      const ended = new Promise((resolve) => child.on('exit', resolve))
      let seen = 0
      for await (const line of createInterface({ input: child.stdout })) {
        const [what, cid] = line.split(' ')
        if (what === 'put') puts.add(cid!)
        if (what === 'pin') pins.add(cid!)
        if (seen++ === lines) child.kill('SIGKILL') // what it said before it died is still read
      }
      await ended
      const told = `seed ${SEED}, kill ${kill} after ${lines} lines`
      const store = await BlockStore.open(folder)
      assert.deepEqual(await readdir(join(folder, 'tmp')), [], told)
      for (const cid of puts) assert.ok(store.has(cid), `${cid} is lost: ${told}`)
      const pinned = new Set(store.pins().map(({ root }) => root))
      for (const cid of pins) assert.ok(pinned.has(cid), `the pin of ${cid} is lost: ${told}`)
      await store.close()
    }
    const store = await BlockStore.open(folder)
    assert.ok(puts.size > KILLS, `${puts.size} blocks were acknowledged`)
    for (const cid of puts) await store.get(cid) // every one is whole
    const { blocks } = store.stats()
    await store.gc()
    assert.equal(store.stats().blocks, store.pins().length)
    assert.ok(blocks >= puts.size)
    await store.close()
  })
})
