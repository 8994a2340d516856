import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Names, nameOf } from '@pingo/storage'
import { createIdentity, isPinGoError } from '@pingo/wire'
import { MemoryNetwork, type MemoryNetwork as Network } from '../../../storage/src/testing/memory-network.ts'
import { storeOn } from './testing/store.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pingo-files-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const code = (expected: string) => (error: unknown) => {
  assert.ok(isPinGoError(error, expected), `${expected} was expected: ${error}`)
  return true
}
const bytesOf = (length: number, seed = 1) => {
  const words = new Uint32Array(Math.ceil(length / 4))
  for (let n = 0, state = seed; n < words.length; n++) words[n] = state = Math.imul(state, 1664525) + 1013904223
  return new Uint8Array(words.buffer, 0, length)
}
const MIB = 1 << 20
let made = 0
const place = async () => {
  const path = join(folder, String(made++))
  await mkdir(path)
  return path
}
const chunkPuts = ({ nodes }: Network) => nodes.reduce((sum, { calls }) => sum + (calls.putChunk ?? 0), 0)

describe('a file', () => {
  it('comes back as it was: by path, by id, in parts, to a stream; private data show nothing of themselves', async () => {
    const network = await MemoryNetwork.create(17)
    await using one = await storeOn(network.map())
    const here = await place()
    for (const size of [0, 5, 70_000, 12 * MIB + 17]) {
      const path = join(here, `file-${size}.bin`)
      const bytes = bytesOf(size, size + 1)
      await writeFile(path, bytes)
      const { stored } = await one.store.put(path)
      assert.equal(stored[0]!.entry.bytes, size)
      const out = join(here, `out-${size}`)
      await one.store.get(`files/file-${size}.bin`, { out })
      assert.ok(Buffer.from(bytes).equals(await readFile(out)))
      const again = join(here, `again-${size}`)
      await one.store.get(stored[0]!.entry.extents[0]!.id, { out: again })
      assert.ok(Buffer.from(bytes).equals(await readFile(again)))
      const part = Buffer.concat(await Array.fromAsync(one.store.read(`file-${size}.bin`, { start: -4 })))
      assert.ok(part.equals(bytes.subarray(Math.max(0, size - 4))))
    }
    const text = Buffer.from('this is a secret that no node may read'.repeat(100))
    await writeFile(join(here, 'secret.txt'), text)
    await one.store.put(join(here, 'secret.txt'))
    await one.store.settle()
    for (const { chunks } of network.nodes)
      for (const bytes of chunks.values())
        for (const word of ['this is a secret', 'secret.txt', 'file-5.bin'])
          assert.ok(!Buffer.from(bytes).includes(word), word)
  })

  it('that is public has the CID that IPFS gives it, travels as CAR, and is kept by others by its CID', async () => {
    const network = await MemoryNetwork.create(3)
    await using one = await storeOn(network.map())
    await using other = await storeOn(network.map(), { secret: new Uint8Array(32).fill(9) })
    const path = join(await place(), 'open.bin')
    const bytes = bytesOf(3 * MIB + 5)
    await writeFile(path, bytes)
    const { stored } = await one.store.put(path, { isPublic: true })
    const cid = stored[0]!.entry.extents[0]!.id
    const publisher = await createIdentity()
    await new Names({ nodes: network.map() }).publish(publisher, cid)
    const [first] = await Array.fromAsync(other.store.read(nameOf(publisher), { end: 4 }))
    assert.deepEqual(Buffer.from(first!), Buffer.from(bytes.subarray(0, 4)))
    const car = Buffer.concat(await Array.fromAsync(one.store.exportCar('open.bin')))
    const pinned = await other.store.pin(cid, { name: 'theirs' })
    assert.equal(pinned.stored[0]!.entry.extents[0]!.id, cid)
    assert.ok(Buffer.from(bytes).equals(Buffer.concat(await Array.fromAsync(other.store.read('pins/theirs')))))
    const imported = await other.store.importCar(
      (async function* () {
        yield car
      })(),
      { name: 'car' },
    )
    assert.deepEqual([imported.stored[0]!.entry.extents[0]!.id, imported.renamed], [cid, []])
    await assert.rejects(Array.fromAsync(other.store.exportCar('files/nothing')), code('ENTRY_UNKNOWN'))
  })

  it('that has not changed is not sent again; one that has is', async () => {
    const network = await MemoryNetwork.create(7)
    await using one = await storeOn(network.map())
    const path = join(await place(), 'a.txt')
    await writeFile(path, 'one')
    const first = await one.store.put(path)
    const sent = chunkPuts(network)
    assert.equal((await one.store.put(path)).stored[0]!.result, undefined)
    assert.equal(chunkPuts(network), sent)
    await writeFile(path, 'two, which is longer')
    const second = await one.store.put(path)
    assert.ok(second.stored[0]!.result)
    assert.equal(second.stored[0]!.entry.version, 2)
    assert.deepEqual(one.index.garbage(), [first.stored[0]!.entry.extents[0]!.id])
    await one.store.settle()
    assert.deepEqual(one.index.garbage(), [])
    assert.ok(network.nodes.every(({ objects }) => !objects.has(first.stored[0]!.entry.extents[0]!.id)))
  })
})

describe('a folder', () => {
  it('comes back with all that is in it; links are not followed, one bad name does not end the rest', async () => {
    const network = await MemoryNetwork.create(3)
    await using one = await storeOn(network.map())
    const here = await place()
    await mkdir(join(here, 'tree/deep/empty'), { recursive: true })
    for (const [name, text] of [
      ['b.txt', 'b'],
      ['a.txt', ''],
      ['deep/ünï côdé.txt', 'x'],
    ] as const)
      await writeFile(join(here, 'tree', name), text)
    await symlink('/etc', join(here, 'tree/etc'))
    await symlink('/etc/passwd', join(here, 'tree/deep/passwd'))
    const report = await one.store.put(join(here, 'tree'))
    assert.deepEqual(
      report.stored.map(({ entry }) => entry.key),
      ['tree/a.txt', 'tree/b.txt', 'tree/deep/empty/', 'tree/deep/ünï côdé.txt'],
    )
    assert.deepEqual(report.skipped.map(({ path }) => path.slice(here.length)).sort(), [
      '/tree/deep/passwd',
      '/tree/etc',
    ])
    assert.deepEqual(report.failed, [])
    const got = await one.store.get('tree', { out: join(here, 'out') })
    assert.deepEqual([got.files, got.failed], [3, []])
    assert.deepEqual((await readdir(join(here, 'out'), { recursive: true })).sort(), [
      'a.txt',
      'b.txt',
      'deep',
      'deep/empty',
      'deep/ünï côdé.txt',
    ])
    const again = await one.store.get('files/tree/', { out: join(here, 'out') })
    assert.equal(again.unchanged, 3)
    assert.deepEqual(
      one.store.list('tree').map(({ listing }) => [listing.entries.map(({ key }) => key), listing.prefixes]),
      [[['tree/a.txt', 'tree/b.txt'], ['tree/deep/']]],
    )
  })

  it('never leads out of the folder that it is written to', async () => {
    const network = await MemoryNetwork.create(3)
    await using one = await storeOn(network.map())
    const here = await place()
    await writeFile(join(here, 'x'), 'x')
    const backend = one.store.backend()
    await backend.createBucket('bad')
    const description = { headers: { 'content-type': 'text/plain' }, metadata: {} }
    const keys = [
      '../up',
      'a/../../up',
      '/etc/up',
      'a//b',
      'nul\nok',
      'link/in',
      'C:/up',
      'good',
      './dot',
      'folder',
      'folder/in',
    ]
    for (const key of keys) {
      const stream = (async function* () {
        yield Buffer.from(key)
      })()
      await backend.put('bad', key, { bytes: Buffer.byteLength(key), stream, etag: () => 'x' }, description)
    }
    const out = join(here, 'out')
    await mkdir(out)
    await symlink(here, join(out, 'link'))
    const report = await one.store.get('bad/', { out })
    assert.deepEqual((await readdir(here)).sort(), ['out', 'x'])
    assert.deepEqual((await readdir(out)).filter((name) => name !== 'link').sort(), ['folder', 'good', 'nul\nok'])
    assert.deepEqual(
      report.failed.map(({ path, code }) => [path, code]).sort(),
      [
        ['bad/../up', 'NAME_UNSAFE'],
        ['bad/./dot', 'NAME_UNSAFE'],
        ['bad//etc/up', 'NAME_UNSAFE'],
        ['bad/C:/up', 'NAME_UNSAFE'],
        ['bad/a/../../up', 'NAME_UNSAFE'],
        ['bad/a//b', 'NAME_UNSAFE'],
        ['bad/folder/in', 'FOLDER_NOT_WRITABLE'],
        ['bad/link/in', 'NAME_UNSAFE'],
      ].sort(),
    )
    await writeFile(join(out, 'good'), 'mine')
    await assert.rejects(one.store.get('bad/good', { out: join(out, 'good') }), code('FILE_EXISTS'))
    await one.store.get('bad/good', { out: join(out, 'good'), isForced: true })
  })
})

describe('what was broken off', () => {
  it('a put goes on where it was, and sends nothing twice', async () => {
    const network = await MemoryNetwork.create(16)
    await using one = await storeOn(network.map())
    const path = join(await place(), 'large.bin')
    const bytes = bytesOf(45 * MIB)
    await writeFile(path, bytes)
    const end = new AbortController()
    const onProgress = ({ bytes }: { bytes: number }) => {
      if (bytes >= 20 * MIB) end.abort()
    }
    await assert.rejects(one.store.put(path, { signal: end.signal, onProgress }))
    const { stored } = await one.store.put(path)
    assert.ok(stored[0]!.result)
    assert.ok(chunkPuts(network) < 16 * 5 + 16 * 2 + 30, `${chunkPuts(network)} chunks were sent`)
    const got = Buffer.concat(await Array.fromAsync(one.store.read('large.bin')))
    assert.ok(Buffer.from(bytes).equals(got))
    assert.equal(one.index.db.prepare('SELECT count(*) AS n FROM puts').get()!.n, 0)
  })

  it('a get goes on where it was, after what is there was compared', async () => {
    const network = await MemoryNetwork.create(16)
    await using one = await storeOn(network.map())
    const here = await place()
    const bytes = bytesOf(12 * MIB + 9)
    await writeFile(join(here, 'large.bin'), bytes)
    await one.store.put(join(here, 'large.bin'))
    const out = join(here, 'out.bin')
    const end = new AbortController()
    const stop = ({ bytes }: { bytes: number }) => {
      if (bytes >= 6 * MIB) end.abort()
    }
    await assert.rejects(one.store.get('large.bin', { out, signal: end.signal, onProgress: stop }))
    assert.deepEqual((await readdir(here)).sort(), ['large.bin', 'out.bin.pingo-part', 'out.bin.pingo-resume'])
    await truncate(`${out}.pingo-part`, 5 * MIB + 100) // as after a crash: less is on disk than was told
    const starts: number[] = []
    await one.store.get('large.bin', { out, onProgress: ({ bytes }) => starts.push(bytes) })
    assert.equal(starts[0], 5 * MIB)
    assert.ok(Buffer.from(bytes).equals(await readFile(out)))
    assert.deepEqual((await readdir(here)).sort(), ['large.bin', 'out.bin'])
    // what is wrong on disk is fetched again
    await writeFile(`${out}2.pingo-part`, Buffer.alloc(3 * MIB))
    await one.store.get('large.bin', { out: `${out}2` })
    assert.ok(Buffer.from(bytes).equals(await readFile(`${out}2`)))
  })
})

describe('an index', () => {
  it('is found again from the secret alone, and two machines of one owner see what the other did', async () => {
    const network = await MemoryNetwork.create(9)
    await using one = await storeOn(network.map())
    await using two = await storeOn(network.map())
    const here = await place()
    const putText = async (store: typeof one.store, name: string) => {
      await writeFile(join(here, name), `text of ${name}`)
      await store.put(join(here, name))
    }
    await putText(one.store, 'a.txt')
    assert.equal(await one.store.settle(), undefined)
    await putText(two.store, 'b.txt')
    assert.equal(await two.store.settle(), undefined)
    assert.deepEqual(
      [...two.index.below('files')].map(({ key }) => key),
      ['a.txt', 'b.txt'],
    )
    // one does not know of b yet: it looks
    assert.equal(Buffer.concat(await Array.fromAsync(one.store.read('b.txt'))).toString(), 'text of b.txt')
    await one.store.remove('a.txt')
    assert.equal(await one.store.settle(), undefined)
    await two.store.sync()
    assert.deepEqual(
      [...two.index.below('files')].map(({ key }) => key),
      ['b.txt'],
    )
    await using found = await storeOn(network.map())
    assert.deepEqual(await found.store.sync(), { merged: 2 }) // b, and that a is gone
    assert.equal(Buffer.concat(await Array.fromAsync(found.store.read('b.txt'))).toString(), 'text of b.txt')
    await using stranger = await storeOn(network.map(), { secret: new Uint8Array(32).fill(8) })
    assert.deepEqual(await stranger.store.sync(), { merged: 0 })
    await assert.rejects(stranger.store.get('b.txt'), code('ENTRY_UNKNOWN'))
    // snapshots do not pile up
    const snapshots = network.nodes.flatMap(({ objects }) => [...objects.keys()])
    assert.ok(new Set(snapshots).size <= 1 + 2 * 2 + 1, `${new Set(snapshots).size} objects`)
  })

  it('is published again when another machine was faster', async () => {
    const network = await MemoryNetwork.create(5)
    await using one = await storeOn(network.map())
    await using two = await storeOn(network.map())
    const here = await place()
    for (let n = 0; n < 4; n++) {
      await writeFile(join(here, `one-${n}`), String(n))
      await writeFile(join(here, `two-${n}`), String(n))
      await Promise.all([one.store.put(join(here, `one-${n}`)), two.store.put(join(here, `two-${n}`))])
      await Promise.all([one.store.settle(), two.store.settle()])
    }
    await one.store.sync()
    await two.store.sync()
    await one.store.sync()
    for (const { index } of [one, two]) assert.equal([...index.below('files')].length, 8)
  })

  it('keeps its copy in the network when the process dies after the name leads to it and before that is noted', async () => {
    const network = await MemoryNetwork.create(7)
    let now = Date.now()
    await using one = await storeOn(network.map(), { clock: () => now })
    const path = join(await place(), 'a.txt')
    await writeFile(path, 'a')
    await one.store.put(path)
    const { setMeta } = one.index
    one.index.setMeta = () => {
      throw new Error('the process ends here')
    }
    await assert.rejects(one.store.settle(), /ends here/)
    one.index.setMeta = setMeta
    await one.store.sync()
    assert.equal(one.store.backupState().isFresh, true)
    now += 25 * 3_600_000
    assert.equal(await one.store.settle(), undefined)
    const objects = new Set(network.nodes.flatMap(({ objects }) => [...objects.keys()]))
    assert.equal(objects.size, 2, 'the file and the copy of the index')
    await using found = await storeOn(network.map(), { clock: () => now })
    assert.deepEqual(await found.store.sync(), { merged: 1 })
    now += 5 * 365 * 86_400_000
    await using late = await storeOn(network.map(), { clock: () => now })
    assert.deepEqual(await late.store.sync(), { merged: 1 }, 'also years later')
  })

  it('says what is not backed up, and goes on', async () => {
    const network = await MemoryNetwork.create(3)
    await using one = await storeOn(network.map())
    const path = join(await place(), 'a.txt')
    await writeFile(path, 'a')
    await one.store.put(path)
    network.kill(network.nodes)
    assert.match((await one.store.settle()) ?? '', /^The index is not backed up yet: .*\.$/)
    assert.equal(one.store.backupState().isFresh, false)
    network.heal()
    assert.equal(await one.store.settle(), undefined)
    assert.equal(one.store.backupState().isFresh, true)
  })
})

describe('a link', () => {
  it('lets somebody else read one file until its end, and refuses what was altered', async () => {
    const network = await MemoryNetwork.create(7)
    let now = Date.now()
    await using one = await storeOn(network.map())
    await using other = await storeOn(network.map(), { secret: new Uint8Array(32).fill(9), clock: () => now })
    const here = await place()
    await writeFile(join(here, 'report.txt'), 'for you')
    await one.store.put(join(here, 'report.txt'))
    const { link, until } = await one.store.share('report.txt')
    const got = await other.store.get(link, { out: `${join(here, 'got')}/` })
    assert.equal(await readFile(got.path, 'utf8'), 'for you')
    assert.equal(got.path, join(here, 'got', 'report.txt'))
    await assert.rejects(other.store.get(`${link.slice(0, -3)}AAA`), code('LINK_INVALID'))
    const guarded = await one.store.share('report.txt', { password: 'tulips are red' })
    await assert.rejects(other.store.get(guarded.link), code('LINK_PASSWORD_MISSING'))
    await assert.rejects(other.store.get(guarded.link, { password: 'roses' }), code('PASSWORD_WRONG'))
    now = until
    await assert.rejects(other.store.get(link), code('LINK_EXPIRED'))
  })
})

describe('the doctor', () => {
  it('finds what is well, what is at risk and what is lost, and gives objects to caretakers that lack them', async () => {
    const network = await MemoryNetwork.create(18)
    await using one = await storeOn(network.map())
    const here = await place()
    await writeFile(join(here, 'a.bin'), bytesOf(2 * MIB))
    const { stored } = await one.store.put(join(here, 'a.bin'))
    const id = stored[0]!.entry.extents[0]!.id
    const well = await one.store.doctor()
    assert.deepEqual([well.findings[0]!.health, well.findings[0]!.kept], ['well', '10+6'])
    const caretakers = network.nodes.filter(({ objects }) => objects.has(id))
    for (const node of caretakers.slice(0, 3)) node.objects.delete(id)
    assert.equal((await one.store.doctor()).findings[0]!.health, 'at risk')
    const mended = await one.store.doctor({ mends: true })
    assert.deepEqual([mended.findings[0]!.health, mended.findings[0]!.caretakers], ['mended', { there: 7, of: 7 }])
    assert.equal((await one.store.doctor()).findings[0]!.health, 'well')
    for (const node of network.nodes) node.objects.delete(id)
    assert.equal((await one.store.doctor()).findings[0]!.health, 'lost')
    assert.equal((await one.store.doctor()).backup.isFresh, true)
  })

  it('proves that the nodes have what they should', async () => {
    const network = await MemoryNetwork.create(16)
    await using one = await storeOn(network.map())
    const path = join(await place(), 'a.bin')
    await writeFile(path, bytesOf(2 * MIB))
    await one.store.put(path)
    const { holds, fails } = await one.store.prove('a.bin', { challenges: 20 })
    assert.deepEqual([holds, fails], [20, 0])
    network.kill(network.nodes.slice(0, 8))
    assert.ok((await one.store.prove('a.bin', { challenges: 20 })).fails > 0)
  })
})

describe('mistakes', () => {
  it('are told', async () => {
    const network = await MemoryNetwork.create(3)
    await using one = await storeOn(network.map())
    const here = await place()
    await mkdir(join(here, 'folder'))
    await writeFile(join(here, 'folder/a'), 'a')
    await assert.rejects(one.store.put(join(here, 'none')), code('FILE_NOT_FOUND'))
    await assert.rejects(one.store.put(join(here, 'folder'), { bucket: 'No' }), code('BUCKET_NAME_INVALID'))
    await assert.rejects(one.store.put(join(here, 'folder'), { name: 'x'.repeat(1025) }), code('KEY_INVALID'))
    const stream = async function* () {
      yield Buffer.from('x')
    }
    await assert.rejects(one.store.put(stream()), code('USAGE_NAME_NEEDED'))
    await one.store.put(join(here, 'folder'))
    await assert.rejects(one.store.remove('folder'), code('FOLDER_NOT_EMPTY'))
    await assert.rejects(one.store.remove('nothing'), code('ENTRY_UNKNOWN'))
    await assert.rejects(one.store.share('folder'), code('SHARE_FOLDER'))
    await assert.rejects(Array.fromAsync(one.store.read('folder')), code('FILE_UNREADABLE'))
    await assert.rejects(one.store.get('folder/a', { range: { start: 5 } }), code('RANGE_INVALID'))
    assert.equal((await one.store.remove('folder', { isRecursive: true })).length, 1)
    assert.equal((await stat(one.home)).mode & 0o777, 0o700)
    assert.equal((await stat(join(one.home, 'store.sqlite'))).mode & 0o777, 0o600)
  })
})

describe('a network of which some nodes do not answer', () => {
  it('is waited for, unless its owner takes what there is', async () => {
    const network = await MemoryNetwork.create(16)
    const map = { ...network.map(), known: () => network.nodes.length }
    await using one = await storeOn(map)
    const path = join(await place(), 'a.bin')
    await writeFile(path, bytesOf(MIB))
    network.kill(network.nodes.slice(0, 3))
    const end = new AbortController()
    let waits = ''
    const onProgress = ({ waitingFor }: { waitingFor?: string }) => {
      if (!waitingFor) return
      waits = waitingFor
      end.abort()
    }
    await assert.rejects(one.store.put(path, { signal: end.signal, onProgress }))
    assert.match(waits, /\d+ .*nodes/)
    assert.deepEqual([...one.index.below('files')], [])
    const { stored } = await one.store.put(path, { acceptsFewer: true, isForced: true })
    assert.equal(stored[0]!.entry.bytes, MIB)
    assert.equal(await one.store.settle(), undefined, 'the index is backed up wherever it can be')
  })
})

describe('an object whose put died between the network and the index', () => {
  it('is forgotten when nobody goes on with it, and kept when somebody does', async () => {
    const network = await MemoryNetwork.create(7)
    let now = Date.now()
    await using one = await storeOn(network.map(), { clock: () => now })
    const here = await place()
    await writeFile(join(here, 'a.txt'), 'a')
    await writeFile(join(here, 'b.txt'), 'b')
    const { put } = one.index
    one.index.put = () => {
      throw new Error('the process ends here')
    }
    for (const name of ['a.txt', 'b.txt']) await assert.rejects(one.store.put(join(here, name)), /ends here/)
    one.index.put = put
    const objects = () => new Set(network.nodes.flatMap(({ objects }) => [...objects.keys()]))
    const orphans = objects()
    assert.equal(orphans.size, 2)
    const { stored } = await one.store.put(join(here, 'a.txt'))
    const id = stored[0]!.entry.extents[0]!.id
    assert.ok(orphans.has(id), 'the same put gives the same object')
    now += 25 * 3_600_000
    await one.store.settle()
    assert.deepEqual(
      [...orphans].filter((orphan) => objects().has(orphan)),
      [id],
    )
    assert.equal(Buffer.concat(await Array.fromAsync(one.store.read('a.txt'))).toString(), 'a')
  })
})
