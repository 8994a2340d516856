import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, it } from 'node:test'
import { cidOf, DAG_CBOR, encode, isPinGoError, matchesCid } from '@pingo/wire'
import { CID } from 'multiformats/cid'
import { BlockStore, type BlockStoreOptions, type Disk, FileStore, nodeDisk } from '../index.ts'

const folders: string[] = []
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'pingo-blocks-'))
  folders.push(path)
  return path
}
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true, force: true }))))
const open = async (o: BlockStoreOptions = {}) => {
  const path = await folder()
  return { path, store: await BlockStore.open(path, o) }
}
const code = (expected: string) => (error: unknown) => {
  assert.ok(isPinGoError(error), `not a PinGoError: ${error}`)
  assert.equal(error.code, expected, error.message)
  return true
}
const block = (bytes: number) => {
  const data = randomBytes(bytes)
  return { data, cid: cidOf(data) }
}
const fileOf = (path: string, cid: CID) => {
  const hex = Buffer.from(cid.multihash.digest).toString('hex')
  return join(path, 'blocks', hex.slice(0, 2), hex)
}

describe('a block store', () => {
  it('gives back what it was given, by CID or text, of any codec, also after it was opened again', async () => {
    const { path, store } = await open()
    const { data, cid } = block(1000)
    assert.equal(store.has(cid), false)
    await store.put(cid, data)
    await store.put(cid.toString(), data)
    const empty = block(0)
    await store.put(empty.cid, empty.data)
    assert.deepEqual(store.stats(), { blocks: 2, bytes: 1000 })
    assert.deepEqual(Buffer.from(await store.get(cid.toString())), data)
    assert.equal(store.size(cidOf(data, DAG_CBOR)), 1000, 'the same bytes are one block')
    assert.equal((await stat(fileOf(path, cid))).size, 1000)
    await store.close()
    const again = await BlockStore.open(path)
    assert.deepEqual(Buffer.from(await again.get(cid)), data)
    assert.equal((await again.get(empty.cid)).byteLength, 0)
    await again.delete(cid)
    assert.equal(again.has(cid), false)
    await assert.rejects(again.get(cid), code('BLOCK_MISSING'))
    await again.close()
    await again.close()
    assert.throws(() => again.has(cid), code('STORE_CLOSED'))
  })

  it('refuses wrong bytes, blocks too large, other hashes, what is no CID', async () => {
    const { store } = await open()
    const { data, cid } = block(100)
    await assert.rejects(store.put(cid, data.subarray(1)), code('BLOCK_MISMATCH'))
    const large = block((2 << 20) + 1)
    await assert.rejects(store.put(large.cid, large.data), code('BLOCK_TOO_LARGE'))
    const largest = block(2 << 20)
    await store.put(largest.cid, largest.data)
    for (const wrong of ['../../etc/passwd', '', 'bafy', 'x'.repeat(10_000)])
      await assert.rejects(store.get(wrong), code('CID_MALFORMED'))
    const identity = CID.parse('bafkqaaa')
    await assert.rejects(store.put(identity, new Uint8Array(0)), code('CID_UNSUPPORTED'))
    assert.throws(() => store.has(identity), code('CID_UNSUPPORTED'))
    assert.equal(store.stats().blocks, 1)
    await store.close()
  })

  it('lends memory that nobody else gets before it is given back', async () => {
    const { store } = await open()
    const blocks = [block(1 << 20), block(1000), block(1_500_000)]
    for (const { cid, data } of blocks) await store.put(cid, data)
    const loans = await Promise.all(blocks.map(({ cid }) => store.lend(cid)))
    for (const [n, { bytes }] of loans.entries()) assert.ok(Buffer.from(bytes).equals(blocks[n]!.data))
    loans[1]!.giveBack()
    loans[1]!.giveBack()
    const [again, another] = await Promise.all([store.lend(blocks[0]!.cid), store.lend(blocks[1]!.cid)])
    assert.equal(again.bytes.buffer, loans[1]!.bytes.buffer)
    assert.notEqual(another.bytes.buffer, again.bytes.buffer)
    assert.ok(Buffer.from(again.bytes).equals(blocks[0]!.data) && Buffer.from(loans[0]!.bytes).equals(blocks[0]!.data))
    await assert.rejects(store.lend(block(5).cid), code('BLOCK_MISSING'))
    await store.close()
  })

  it('keeps to its quota, also when many put at once', async () => {
    const { store } = await open({ quotaBytes: 10_500 })
    const blocks = Array.from({ length: 40 }, () => block(1000))
    const results = await Promise.allSettled(blocks.map(({ cid, data }) => store.put(cid, data)))
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 10)
    for (const result of results) if (result.status === 'rejected') code('QUOTA_EXCEEDED')(result.reason)
    assert.deepEqual(store.stats(), { blocks: 10, bytes: 10_000 })
    const kept = blocks.find(({ cid }) => store.has(cid))!
    await store.put(kept.cid, kept.data) // what is here costs nothing
    await store.delete(kept.cid)
    const next = block(1000)
    await store.put(next.cid, next.data)
    await store.close()
  })

  it('is for one process at a time', async () => {
    const { path, store } = await open()
    await assert.rejects(BlockStore.open(path), code('STORE_IN_USE'))
    await store.close()
    await (await BlockStore.open(path)).close()
  })

  it('notices a block that the disk damaged, drops it and takes it again', async () => {
    const { path, store } = await open()
    for (const damage of [
      async (file: string) => writeFile(file, randomBytes(1000)),
      async (file: string) => truncate(file, 999),
      async (file: string) => writeFile(file, Buffer.concat([await readFile(file), Buffer.of(0)])),
    ]) {
      const { cid, data } = block(1000)
      await store.put(cid, data)
      await damage(fileOf(path, cid))
      await assert.rejects(store.get(cid), code('BLOCK_CORRUPT'))
      assert.equal(store.has(cid), false)
      await store.put(cid, data)
      await damage(fileOf(path, cid))
      await store.put(cid, data) // nobody noticed, and it is acknowledged again
      assert.deepEqual(Buffer.from(await store.get(cid)), data)
      await unlink(fileOf(path, cid))
      await assert.rejects(store.get(cid), code('BLOCK_MISSING'))
      assert.equal(store.has(cid), false)
    }
    assert.deepEqual(store.stats(), { blocks: 0, bytes: 0 })
    await store.close()
  })

  it('drops a block that the disk cannot read, and takes it again', async () => {
    let isBad = true
    const read: Disk['read'] = async (...o) => {
      if (isBad) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
      return await nodeDisk.read(...o)
    }
    const { store } = await open({ disk: { ...nodeDisk, read } })
    const { cid, data } = block(1000)
    await store.put(cid, data)
    await assert.rejects(store.get(cid), code('BLOCK_CORRUPT'))
    assert.equal(store.has(cid), false)
    await store.put(cid, data)
    isBad = false
    assert.deepEqual(Buffer.from(await store.get(cid)), data)
    await store.close()
  })

  it('reads parts of a block, which it verifies the first time and each time that it came anew', async () => {
    let whole = 0
    const read: Disk['read'] = (...o) => {
      whole += 1
      return nodeDisk.read(...o)
    }
    const { path, store } = await open({ disk: { ...nodeDisk, read } })
    const { cid, data } = block(5000)
    await store.put(cid, data)
    const part = async (start: number, bytes: number) => {
      const into = Buffer.alloc(bytes)
      await store.readPart(cid, start, into)
      return into
    }
    const parts = await Promise.all([part(0, 10), part(4000, 1000), part(77, 0), part(1, 4999)])
    assert.deepEqual(parts, [data.subarray(0, 10), data.subarray(4000), data.subarray(0, 0), data.subarray(1)])
    assert.equal(whole, 1)
    await assert.rejects(part(4000, 1001), RangeError)
    await store.delete(cid)
    await assert.rejects(part(0, 10), code('BLOCK_MISSING'))
    await store.put(cid, data)
    await writeFile(fileOf(path, cid), randomBytes(5000))
    await assert.rejects(part(0, 10), code('BLOCK_CORRUPT'))
    assert.equal(store.has(cid), false)
    await store.put(cid, data)
    assert.deepEqual(await part(0, 10), data.subarray(0, 10))
    await unlink(fileOf(path, cid))
    await assert.rejects(part(0, 10), code('BLOCK_MISSING'))
    assert.equal(store.has(cid), false)
    await store.close()
    await assert.rejects(part(0, 10), code('STORE_CLOSED'))
  })

  it('rebuilds an index that is damaged or gone, keeps the pins, sweeps what was half-written', async () => {
    const { path, store } = await open()
    const blocks = Array.from({ length: 50 }, (_, n) => block(100 + n))
    for (const { cid, data } of blocks) await store.put(cid, data)
    store.pin(blocks[0]!.cid, 'kept')
    await store.close()
    for (const damage of [
      () => writeFile(join(path, 'index.sqlite'), randomBytes(20_000)),
      () => rm(join(path, 'index.sqlite')),
      async () => {
        const bytes = await readFile(join(path, 'index.sqlite'))
        await writeFile(
          join(path, 'index.sqlite'),
          Buffer.concat([bytes.subarray(0, 4096), randomBytes(bytes.length - 4096)]),
        )
      },
    ]) {
      await damage()
      await writeFile(join(path, 'tmp', 'half'), 'half a block')
      await writeFile(join(path, 'blocks', 'readme'), 'not ours')
      const again = await BlockStore.open(path)
      assert.deepEqual(await readdir(join(path, 'tmp')), [])
      assert.equal(again.stats().blocks, 50)
      for (const { cid, data } of blocks) assert.ok(matchesCid(cid, await again.get(cid)) && data)
      assert.deepEqual(again.pins(), [{ root: blocks[0]!.cid.toString(), kind: 'kept' }])
      await again.close()
    }
    assert.equal(await readFile(join(path, 'blocks', 'readme'), 'utf8'), 'not ours')
  })

  it('moves up the blocks of a store from when they lay a folder deeper', async () => {
    const { path, store } = await open()
    const { data, cid } = block(1000)
    await store.put(cid, data)
    await store.close()
    const file = fileOf(path, cid)
    const deeper = join(dirname(file), basename(file).slice(2, 4))
    await mkdir(deeper)
    await rename(file, join(deeper, basename(file)))
    const index = new DatabaseSync(join(path, 'index.sqlite'))
    index.exec('PRAGMA user_version = 1')
    index.close()
    const again = await BlockStore.open(path)
    assert.deepEqual(Buffer.from(await again.get(cid)), data)
    assert.deepEqual(await readdir(dirname(file)), [basename(file)])
    await again.close()
  })
})

describe('a full disk', () => {
  /** A disk that holds so many bytes. */
  const small = (capacity: number): Disk & { used: number } => ({
    ...nodeDisk,
    used: 0,
    async write(path, bytes, temporary) {
      if (this.used + bytes.byteLength > capacity) {
        await writeFile(join(temporary, 'half'), bytes.subarray(0, 10))
        await rm(join(temporary, 'half'))
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
      }
      this.used += bytes.byteLength
      await nodeDisk.write(path, bytes, temporary)
    },
    free: async () => capacity,
  })

  it('is told in one sentence, and nothing half-written stays', async () => {
    const { path, store } = await open({ disk: small(5_000) })
    const blocks = Array.from({ length: 8 }, () => block(1000))
    const results = await Promise.allSettled(blocks.map(({ cid, data }) => store.put(cid, data)))
    const refused = results.filter((result) => result.status === 'rejected')
    assert.ok(refused.length >= 3)
    for (const { reason } of refused) {
      code('DISK_FULL')(reason)
      assert.ok(reason.message.includes(path))
      assert.ok(reason.hint)
    }
    const kept = results.length - refused.length
    assert.deepEqual(store.stats(), { blocks: kept, bytes: kept * 1000 })
    assert.deepEqual(await readdir(join(path, 'tmp')), [])
    await store.close()
  })

  it('is not filled beyond what is to stay free', async () => {
    const { store } = await open({ disk: small(100_000), minFreeBytes: 99_500 })
    const { cid, data } = block(1000)
    await assert.rejects(store.put(cid, data), code('DISK_FULL'))
    await store.close()
  })
})

describe('garbage collection', () => {
  it('removes what no pin reaches, through files and dag-cbor links, and nothing else', async () => {
    const { store } = await open()
    const files = new FileStore(store)
    const large = await files.put(randomBytes(3_500_000))
    const dropped = await files.put(randomBytes(2_500_000))
    const linked = await files.put(randomBytes(500))
    const node = encode({ file: CID.parse(linked.cid), list: [{ deep: CID.parse(large.cid) }] })
    const root = cidOf(node, DAG_CBOR)
    await store.put(root, node)
    store.pin(root, 'manifest')
    store.pin(root, 'job/1')
    store.pin(dropped.cid, 'job/1')
    assert.deepEqual(await store.gc(), { blocks: 0, bytes: 0 })
    store.unpinAll('job/1')
    const freed = await store.gc()
    assert.equal(freed.blocks, 4)
    assert.ok(freed.bytes > 2_500_000)
    assert.equal((await files.readAll(large)).byteLength, 3_500_000)
    assert.equal((await files.readAll(linked)).byteLength, 500)
    await assert.rejects(files.readAll(dropped), code('BLOCK_MISSING'))
    store.unpin(root)
    await store.gc()
    assert.deepEqual(store.stats(), { blocks: 0, bytes: 0 })
    await store.close()
  })

  it('spares what is young enough, and what is being written', async () => {
    let now = 1_000_000
    const { store } = await open({ clock: () => now })
    const [old, young, held, again] = [block(10), block(11), block(12), block(13)]
    await store.put(old.cid, old.data)
    await store.put(again.cid, again.data)
    now += 10_000
    await store.put(young.cid, young.data)
    await store.gc({ olderThanMs: 5_000 })
    assert.deepEqual([store.has(old.cid), store.has(young.cid), store.has(again.cid)], [false, true, false])
    await store.put(again.cid, again.data)
    const hold = store.hold()
    await store.put(held.cid, held.data)
    await store.put(again.cid, again.data) // here already, but wanted by the file that is being written
    await store.gc()
    assert.deepEqual([store.has(young.cid), store.has(held.cid), store.has(again.cid)], [false, true, true])
    hold.release()
    hold.release()
    await store.gc()
    assert.equal(store.stats().blocks, 0)
    await store.close()
  })

  it('may run while files are stored: each is whole afterwards', async () => {
    const { store } = await open()
    const files = new FileStore(store)
    const shared = randomBytes(1 << 20) // the first chunk of every file
    let isDone = false
    const collecting = (async () => {
      let runs = 0
      for (; !isDone; runs++) {
        await store.gc()
        await new Promise((resolve) => setImmediate(resolve))
      }
      return runs
    })()
    const contents = Array.from({ length: 12 }, (_, n) => Buffer.concat([shared, randomBytes(100_000 + n)]))
    const refs = await Promise.all(contents.map((content, n) => files.put(content, { pin: `file ${n}` })))
    isDone = true
    assert.ok((await collecting) > 0)
    await store.gc()
    for (const [n, ref] of refs.entries()) assert.ok(Buffer.from(await files.readAll(ref)).equals(contents[n]!))
    await store.close()
  })
})

describe('pins', () => {
  it('survive a restart and a torn last line; the same root may be pinned by many', async () => {
    const { path, store } = await open()
    const [a, b] = [block(1).cid.toString(), block(2).cid.toString()]
    store.pin(a, 'dataset/x y:z')
    store.pin(a, 'dataset/x y:z')
    store.pin(a, '.')
    store.pin(b, 'job')
    store.unpin(b, 'nothing')
    store.unpin(b, 'job')
    assert.throws(() => store.pin(a, ''), code('PIN_INVALID'))
    assert.throws(() => store.pin('nonsense', 'x'), code('CID_MALFORMED'))
    await store.close()
    const journal = await readFile(join(path, 'pins.log'), 'utf8')
    await writeFile(join(path, 'pins.log'), `${journal}+ job ${b.slice(0, 20)}`)
    const again = await BlockStore.open(path)
    assert.deepEqual(again.pins(), [
      { root: a, kind: 'dataset/x y:z' },
      { root: a, kind: '.' },
    ])
    again.unpin(a)
    assert.deepEqual(again.pins(), [])
    // a pin for each of many rounds, each let go by the next: the journal does not grow for ever
    for (let round = 0; round < 30; round++) {
      const kinds = Array.from({ length: 20 }, (_, n) => `round/${round}/${n}`)
      for (const kind of kinds) again.pin(b, kind)
      for (const kind of kinds) again.unpinAll(kind)
    }
    again.pin(a, 'last')
    await again.close()
    const once = await BlockStore.open(path)
    assert.deepEqual(once.pins(), [{ root: a, kind: 'last' }])
    await once.close()
    assert.equal(await readFile(join(path, 'pins.log'), 'utf8'), `+ last ${a}\n`)
  })

  it('never collects what a keeper names or a pin reaches, also one of the same moment', async () => {
    const { store } = await open()
    const blocks = Array.from({ length: 300 }, () => block(40))
    for (const { cid, data } of blocks) await store.put(cid, data)
    const leased = new Set<string>()
    store.keepAlso((key) => leased.has(key))
    const keyOf = (cid: CID) => Buffer.from(cid.multihash.digest).toString('hex')
    for (const { cid } of blocks.slice(0, 50)) leased.add(keyOf(cid))
    const collected = store.gc()
    const kept = blocks.slice(0, 50)
    for (const each of blocks.slice(50)) {
      await new Promise((resolve) => setImmediate(resolve))
      if (!store.has(each.cid)) continue
      if (kept.length % 2) store.pin(each.cid, 'kept')
      else leased.add(keyOf(each.cid))
      kept.push(each)
    }
    await collected
    for (const { cid, data } of kept) assert.deepEqual(Buffer.from(await store.get(cid)), data)
    leased.clear()
    store.unpinAll('kept')
    await store.gc({ among: [kept[0]!.cid] })
    assert.equal(store.has(kept[0]!.cid), false)
    assert.equal(store.has(kept[1]!.cid), true)
    await store.gc()
    assert.equal(store.stats().blocks, 0)
    await store.close()
  })

  it('counts what each block takes beside its bytes, and what is being removed, until it is gone', async () => {
    const gate = { open: Promise.resolve() as Promise<unknown> }
    const disk: Disk = { ...nodeDisk, remove: (path) => gate.open.then(() => nodeDisk.remove(path)) }
    const { store } = await open({ quotaBytes: 10_000, overheadBytes: 1_000, disk })
    const [a, b] = [block(4_000), block(4_000)]
    await store.put(a.cid, a.data)
    assert.equal(store.usedBytes, 5_000)
    await store.put(b.cid, b.data)
    const c = block(1)
    await assert.rejects(store.put(c.cid, c.data), code('QUOTA_EXCEEDED'))
    const { promise, resolve } = Promise.withResolvers<void>()
    gate.open = promise
    const removing = store.delete(a.cid)
    await new Promise(setImmediate)
    assert.equal(store.has(a.cid), false)
    await assert.rejects(store.put(c.cid, c.data), code('QUOTA_EXCEEDED'), 'its file is still there')
    resolve()
    await removing
    await store.put(c.cid, c.data)
    assert.equal(store.usedBytes, 6_001)
    await store.close()
  })

  it('asks for room before it refuses, also for many puts at once', async () => {
    const { store } = await open({ quotaBytes: 10_000 })
    const old: CID[] = []
    store.onFull(async (bytes) => {
      let freed = 0
      for (; freed < bytes && old.length > 0; freed += 1_000) await store.delete(old.shift()!)
      return freed
    })
    for (let n = 0; n < 10; n++) {
      const { cid, data } = block(1_000)
      await store.put(cid, data)
      old.push(cid)
    }
    const fresh = Array.from({ length: 10 }, () => block(1_000))
    await Promise.all(fresh.map(({ cid, data }) => store.put(cid, data)))
    assert.deepEqual(store.stats(), { blocks: 10, bytes: 10_000 })
    assert.ok(fresh.every(({ cid }) => store.has(cid)))
    await assert.rejects(store.put(block(1).cid, block(1).data), code('BLOCK_MISMATCH'))
    const one = block(1)
    await assert.rejects(store.put(one.cid, one.data), code('QUOTA_EXCEEDED'))
    await store.close()
  })
})
