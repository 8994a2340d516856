import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { cidOf } from '@pingo/wire'
import { BlockStore } from '../index.ts'
import { pageMemory, writePastCache } from './past-cache.ts'

const KIB = 1 << 10
const folders: string[] = []
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'pingo-past-cache-'))
  folders.push(path)
  return path
}
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true, force: true }))))

/** Whether files can be written so in the folder of temporary files of this machine. */
const isAble = await writePastCache(join(await folder(), 'probe'), new Uint8Array(64 * KIB))

describe('a file written past the cache', () => {
  it('is as long as what was written, and has its bytes', { skip: !isAble }, async () => {
    const path = await folder()
    // the longer ones first, so that the shorter ones get memory that holds something else
    for (const bytes of [2048 * KIB, 1024 * KIB + 1, 1024 * KIB, 100 * KIB - 1, 64 * KIB]) {
      const data = randomBytes(bytes)
      // wherever they lie in memory
      const odd = Buffer.concat([Buffer.alloc(3), data]).subarray(3)
      const pages = pageMemory(4096 * KIB).subarray(4 * KIB, 4 * KIB + bytes)
      pages.set(data)
      for (const [where, from] of Object.entries({ odd, pages, 'an odd page': pages.subarray(1) })) {
        const file = join(path, `${bytes} ${where}`)
        assert.equal(await writePastCache(file, from), from.byteLength >= 64 * KIB)
        if (from.byteLength >= 64 * KIB) assert.ok(from.equals(await readFile(file)), `${bytes} bytes from ${where}`)
      }
      assert.ok(odd.equals(data) && pages.equals(data), 'what was written stays as it was')
    }
  })

  it('is many at once, none with the bytes of another', { skip: !isAble }, async () => {
    const path = await folder()
    const all = Array.from({ length: 24 }, (_, n) => randomBytes(64 * KIB + n * 5_000))
    await Promise.all(all.map((data, n) => writePastCache(join(path, String(n)), data)))
    for (const [n, data] of all.entries()) assert.ok(data.equals(await readFile(join(path, String(n)))), `file ${n}`)
  })

  it('is none where the system cannot, and leaves nothing behind', async () => {
    const path = await folder()
    const data = randomBytes(64 * KIB)
    assert.equal(await writePastCache(join(path, 'small'), data.subarray(1)), false, 'not worth it')
    // what Node knows of other systems, and what a file system of Linux answers that cannot
    const unable = process.platform === 'linux' ? [0, constants.O_DIRECTORY] : [0]
    for (const flag of unable) assert.equal(await writePastCache(join(path, 'file'), data, flag), false)
    assert.deepEqual(await readdir(path), [])
  })

  it('never replaces another', { skip: !isAble }, async () => {
    const file = join(await folder(), 'file')
    await writeFile(file, 'mine')
    await assert.rejects(writePastCache(file, randomBytes(64 * KIB)), { code: 'EEXIST' })
    assert.equal(await readFile(file, 'utf8'), 'mine')
  })
})

describe('a cold block', () => {
  it('takes no memory of the system before it is read', { skip: !isAble || !hasFincore() }, async () => {
    const path = await folder()
    const store = await BlockStore.open(path)
    const cached = async (isCold: boolean) => {
      const data = randomBytes(1024 * KIB + 10)
      const cid = cidOf(data)
      await store.put(cid, data, { isCold })
      const key = Buffer.from(cid.multihash.digest).toString('hex')
      const file = join(path, 'blocks', key.slice(0, 2), key)
      const before = Number(execFileSync('fincore', ['-nbo', 'RES', file], { encoding: 'utf8' }))
      assert.ok(data.equals(await store.get(cid)))
      return before
    }
    try {
      assert.ok((await cached(true)) <= 4 * KIB, 'the page in which it ends, at most')
      assert.ok((await cached(false)) >= 512 * KIB, 'what is put to be read is kept in memory')
      assert.deepEqual(await readdir(join(path, 'tmp')), [])
    } finally {
      await store.close()
    }
  })
})

function hasFincore(): boolean {
  try {
    execFileSync('fincore', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
