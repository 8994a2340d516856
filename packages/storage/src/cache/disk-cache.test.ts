import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { cidOf } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { openStore, stops } from '../testing/http-node.ts'
import { DiskCache } from './disk-cache.ts'

const KIB = 1 << 10
const block = () => {
  const bytes = randomBytes(KIB)
  return { cid: cidOf(bytes), bytes }
}

async function cacheOf(maxBytes: number, quotaBytes = Number.POSITIVE_INFINITY) {
  const opened = await openStore({ quotaBytes })
  const cache = DiskCache.open(opened.path, opened.store, { maxBytes })
  stops.push(() => cache.close())
  const keep = async (each = block()) => {
    await cache.admit(each.cid, each.bytes)
    assert.ok(await cache.admit(each.cid, each.bytes))
    return each
  }
  return { ...opened, cache, keep }
}

describe('a disk cache', () => {
  it('writes a block when it is offered again, and garbage collection spares it', async () => {
    const { store, cache } = await cacheOf(100 * KIB)
    const { cid, bytes } = block()
    assert.equal(await cache.admit(cid, bytes), false)
    assert.ok(!store.has(cid))
    assert.equal(await cache.admit(cid, bytes), true)
    assert.deepEqual(Buffer.from(await store.get(cid)), bytes)
    assert.ok(cache.has(cid))
    await store.gc()
    assert.ok(store.has(cid))
    await store.delete(cid)
    assert.ok(!cache.has(cid), 'what the store dropped is claimed no longer')
  })

  it('stays within its budget and keeps what is read', async () => {
    const { store, cache, keep } = await cacheOf(64 * KIB)
    const hot = await keep()
    for (let n = 0; n < 200; n++) {
      await keep()
      cache.touch(keyOf(hot.cid))
      assert.ok(store.stats().bytes <= 64 * KIB, `${store.stats().bytes} bytes`)
    }
    assert.ok(store.has(hot.cid))
    assert.ok(store.stats().bytes >= 32 * KIB)
  })

  it('never takes what is pinned or leased, though it was the cache that brought it', async () => {
    const { store, cache, keep } = await cacheOf(32 * KIB)
    const pinned = await keep()
    const leased = await keep()
    store.pin(pinned.cid, 'dataset')
    const end = store.keepAlso((key) => key === keyOf(leased.cid))
    const own = block()
    await store.put(own.cid, own.bytes)
    store.pin(own.cid, 'own')
    for (let n = 0; n < 100; n++) await keep()
    await cache.free(1e9)
    for (const { cid } of [pinned, leased, own]) assert.ok(store.has(cid))
    assert.equal(cache.stats().bytes, 0)
    assert.equal(store.stats().blocks, 3)
    end()
    await store.gc()
    assert.ok(!store.has(leased.cid))
  })

  it('gives way when the store is full, and frees what others need', async () => {
    const { store, cache, keep } = await cacheOf(64 * KIB, 10 * KIB)
    for (let n = 0; n < 10; n++) await keep()
    const { cid, bytes } = block()
    await cache.admit(cid, bytes)
    assert.equal(await cache.admit(cid, bytes), false)
    assert.ok(!cache.has(cid))
    assert.ok((await cache.free(3 * KIB)) >= 3 * KIB)
    await store.put(cid, bytes)
  })

  it('knows after a restart what it has; without its index the store collects it', async () => {
    const { path, store, cache, keep } = await cacheOf(64 * KIB)
    const kept = await Promise.all(Array.from({ length: 5 }, () => keep()))
    await cache.close()
    await store.delete(kept[0]!.cid)
    const again = DiskCache.open(path, store, { maxBytes: 64 * KIB })
    assert.equal(again.stats().blocks, 4)
    await store.gc()
    assert.equal(store.stats().blocks, 4)
    await again.close()
    await writeFile(join(path, 'cache.sqlite'), 'nonsense '.repeat(1000))
    const empty = DiskCache.open(path, store, { maxBytes: 64 * KIB })
    assert.equal(empty.stats().blocks, 0)
    await store.gc()
    assert.equal(store.stats().blocks, 0)
    await empty.close()
  })

  it('holds its budget when many offers come at once', async () => {
    const { store, cache } = await cacheOf(32 * KIB)
    const blocks = Array.from({ length: 100 }, block)
    for (const times of [1, 2])
      await Promise.all(blocks.map(({ cid, bytes }) => cache.admit(cid, bytes).then(() => times)))
    await cache.free(0)
    assert.ok(store.stats().bytes <= 32 * KIB, `${store.stats().bytes}`)
    for (const { cid } of blocks) assert.equal(store.has(cid), cache.has(cid))
  })
})
