import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { CarReader } from '@ipld/car'
import { Names, nameOf } from '@pingo/storage'
import { createIdentity, isPinGoError } from '@pingo/wire'
import { exporter, recursive } from 'ipfs-unixfs-exporter'
import { importer } from 'ipfs-unixfs-importer'
import { MemoryNetwork } from '../../../storage/src/testing/memory-network.ts'
import { storeOn } from './testing/store.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pingo-folders-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const MIB = 1 << 20
const code = (expected: string) => (error: unknown) => {
  assert.ok(isPinGoError(error, expected), `${expected} was expected: ${error}`)
  return true
}
const FILES: Record<string, Uint8Array> = {
  'a.txt': Buffer.from('A'),
  'deep/er/b.bin': new Uint8Array(3 * MIB + 7).fill(5).map((_, n) => n % 251),
  'deep/same': Buffer.from('same'),
  'deep/same too': Buffer.from('same'),
  'ü/empty': new Uint8Array(0),
}

async function makeFiles(name: string, files = FILES): Promise<string> {
  const root = join(folder, name)
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), bytes)
  }
  await mkdir(join(root, 'nothing in it'))
  return root
}

async function filesBelow(root: string): Promise<Record<string, Uint8Array>> {
  const found: Record<string, Uint8Array> = {}
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) found[path.slice(root.length + 1)] = new Uint8Array(await readFile(path))
  }
  return found
}

/** By the importer of IPFS, without the empty folder, which it cannot make. */
async function ipfsRoot(files: Record<string, Uint8Array>): Promise<{ root: string; car: Uint8Array }> {
  const { CarWriter } = await import('@ipld/car')
  const blocks: { cid: never; bytes: Uint8Array }[] = []
  const sink = { put: async (cid: never, bytes: Uint8Array) => blocks.push({ cid, bytes }) && cid }
  const source = Object.entries(files).map(([path, content]) => ({ path: `it/${path}`, content }))
  let root: unknown
  for await (const { path, cid } of importer(source, sink as never, { cidVersion: 1, rawLeaves: true }))
    if (path === 'it') root = cid
  const { writer, out } = CarWriter.create([root as never])
  const bytes = Array.fromAsync(out)
  for (const block of blocks) await writer.put(block)
  await writer.close()
  return { root: String(root), car: Buffer.concat(await bytes) }
}

async function readCar(bytes: Uint8Array) {
  const reader = await CarReader.fromBytes(bytes)
  const store = {
    get: async function* (cid: never) {
      yield (await reader.get(cid))!.bytes
    },
  } as never
  return { roots: await reader.getRoots(), store }
}

test('a public folder has one CID, by which others get all of it, a part of it, a file in it; as CAR it is read by IPFS', async () => {
  const network = await MemoryNetwork.create(17)
  await using one = await storeOn(network.map())
  await using other = await storeOn(network.map(), { secret: new Uint8Array(32).fill(9) })
  const path = await makeFiles('photos')
  const report = await one.store.put(path, { isPublic: true })
  assert.deepEqual(report.failed, [])
  const root = report.root!
  const out = join(folder, 'out')
  const got = await other.store.get(root, { out })
  assert.deepEqual([got.files, got.failed], [5, []])
  assert.deepEqual(await filesBelow(out), await filesBelow(path))
  assert.ok((await readdir(out)).includes('nothing in it'))
  assert.equal((await other.store.get(root, { out })).unchanged, 5)

  const part = join(folder, 'part')
  await other.store.get(`/ipfs/${root}/deep`, { out: part })
  assert.deepEqual(Object.keys(await filesBelow(part)).sort(), ['er/b.bin', 'same', 'same too'])
  const file = Buffer.concat(
    await Array.fromAsync(other.store.read(`${root}/deep/er/b.bin`, { start: MIB - 2, end: MIB + 2 })),
  )
  assert.deepEqual(new Uint8Array(file), FILES['deep/er/b.bin']!.slice(MIB - 2, MIB + 2))
  for (const missing of ['none', 'deep/none', 'a.txt/x', '..', 'deep/../a.txt'])
    await assert.rejects(Array.fromAsync(other.store.read(`${root}/${missing}`)), code('PATH_NOT_FOUND'), missing)
  const publisher = await createIdentity()
  const names = new Names({ nodes: network.map() })
  await names.publish(publisher, root)
  assert.equal(Buffer.concat(await Array.fromAsync(other.store.read(`${nameOf(publisher)}/a.txt`))).toString(), 'A')

  const car = Buffer.concat(await Array.fromAsync(other.store.exportCar(root)))
  assert.ok(car.equals(Buffer.concat(await Array.fromAsync(one.store.exportCar('photos')))))
  const { roots, store } = await readCar(car)
  assert.deepEqual(roots.map(String), [root])
  const read: Record<string, Uint8Array> = {}
  for await (const { path, cid } of recursive(roots[0] as never, store)) {
    const entry = await exporter(cid, store)
    if (entry.type !== 'file' && entry.type !== 'raw') continue
    read[path.split('/').slice(1).join('/')] = new Uint8Array(Buffer.concat(await Array.fromAsync(entry.content())))
  }
  assert.deepEqual(read, await filesBelow(path))
  await assert.rejects(Array.fromAsync(other.store.exportCar('none')), code('ENTRY_UNKNOWN'))

  // kept by others on their own account, whatever its first owner does
  const pinned = await other.store.pin(root, { name: 'theirs' })
  assert.deepEqual(pinned.renamed, [])
  await one.store.remove('photos', { isRecursive: true })
  await one.store.settle()
  const again = join(folder, 'again')
  await other.store.get(root, { out: again })
  assert.deepEqual(await filesBelow(again), await filesBelow(path))
  await other.store.remove('pins/theirs', { isRecursive: true })
  await other.store.settle()
  assert.ok(network.nodes.every(({ objects }) => ![...objects.keys()].includes(root)))
})

test('a public folder that has not changed is not sent again; one in which a file did has another CID', async () => {
  const network = await MemoryNetwork.create(5)
  await using one = await storeOn(network.map())
  const path = await makeFiles('again-and-again')
  const { root } = await one.store.put(path, { isPublic: true })
  const again = await one.store.put(path, { isPublic: true })
  assert.equal(again.root, root)
  assert.ok(again.stored.every(({ result }) => result === undefined))
  await writeFile(join(path, 'a.txt'), 'B')
  await symlink('a.txt', join(path, 'a link'))
  const changed = await one.store.put(path, { isPublic: true })
  assert.notEqual(changed.root, root)
  assert.equal(changed.skipped.length, 1)
  assert.equal(changed.stored.filter(({ result }) => result).length, 2, 'the file and the root')
  await one.store.settle()
  assert.ok(network.nodes.every(({ objects }) => !objects.has(root!)))
  assert.equal(
    (await one.store.doctor()).findings.every(({ health }) => health === 'well'),
    true,
  )
})

test('a CAR of IPFS with a folder in it is stored under the same CIDs', async () => {
  const network = await MemoryNetwork.create(3)
  await using one = await storeOn(network.map())
  const { root, car } = await ipfsRoot(FILES)
  const v2 = Buffer.alloc(51 + 100 + 20)
  v2.set(Buffer.from('0aa16776657273696f6e02', 'hex'))
  v2.writeBigUInt64LE(151n, 11 + 16)
  v2.writeBigUInt64LE(BigInt(car.byteLength), 11 + 24)
  v2.writeBigUInt64LE(BigInt(151 + car.byteLength), 11 + 32)
  for (const bytes of [car, Buffer.concat([v2.subarray(0, 151), car, Buffer.from('an index that nobody needs')])]) {
    const pieces = async function* () {
      for (let at = 0; at < bytes.byteLength; at += 100_003) yield bytes.subarray(at, at + 100_003)
    }
    const { renamed } = await one.store.importCar(pieces(), { name: 'theirs' })
    assert.deepEqual(renamed, [])
    const out = join(folder, `car-${bytes.byteLength}`)
    await one.store.get(root, { out })
    assert.deepEqual(await filesBelow(out), {
      ...FILES,
      'a.txt': new Uint8Array([65]),
      'deep/same': new Uint8Array(Buffer.from('same')),
      'deep/same too': new Uint8Array(Buffer.from('same')),
    })
    await one.store.remove('pins/theirs', { isRecursive: true })
    await one.store.settle()
  }
})

test('a name has versions that are got by their number; another machine of the owner goes on with it; the doctor renews it', async () => {
  const network = await MemoryNetwork.create(7)
  let now = Date.now()
  const clock = () => now
  await using one = await storeOn(network.map(), { clock })
  await using other = await storeOn(network.map(), { clock })
  await using stranger = await storeOn(network.map(), { clock, secret: new Uint8Array(32).fill(9) })
  const path = join(folder, 'model.onnx')
  const read = async (store: typeof one.store, what: string) =>
    Buffer.concat(await Array.fromAsync(store.read(what))).toString()
  for (const text of ['one', 'two']) {
    await writeFile(path, text)
    await one.store.put(path, { bucket: 'models', name: `${text}.onnx`, isPublic: true })
    await one.store.publish('my-model', `models/${text}.onnx`)
  }
  const [{ name, label, version }] = one.store.names() as [ReturnType<typeof one.store.names>[number]]
  assert.deepEqual([label, version.sequence], ['my-model', 1])
  assert.equal(await read(stranger.store, name), 'two')
  assert.equal(await read(stranger.store, `ipns://${name}@0`), 'one')
  await assert.rejects(read(stranger.store, `${name}@7`), code('NAME_UNKNOWN'))
  assert.deepEqual(
    one.store.list().map(({ bucket }) => bucket),
    ['models'],
  )

  await one.store.settle()
  await other.store.sync()
  assert.deepEqual(other.store.names(), one.store.names())
  await writeFile(path, 'three, and private')
  await other.store.put(path, { bucket: 'models', name: 'three.onnx' })
  const third = await other.store.publish('my-model', 'models/three.onnx')
  assert.deepEqual([third.name, third.version.sequence], [name, 2])
  assert.equal(await read(other.store, name), 'three, and private')
  await assert.rejects(read(stranger.store, name), code('KEY_MISSING'))
  assert.equal((await one.store.versions('my-model')).versions.length, 3)

  now += 100 * 86_400_000
  const { names } = await other.store.doctor({ mends: true })
  assert.deepEqual(
    names?.map(({ label, note }) => [label, note]),
    [['my-model', undefined]],
  )
  assert.ok(names![0]!.validUntil > third.version.validUntil)
  assert.equal((await one.store.versions(name)).versions[0]!.sequence, 2)
  for (const label of ['', '.x', 'A b', name, 'x'.repeat(64)])
    await assert.rejects(one.store.publish(label, 'models/one.onnx'), code('LABEL_INVALID'))
  await assert.rejects(one.store.versions('never'), code('NAME_UNKNOWN'))
})
