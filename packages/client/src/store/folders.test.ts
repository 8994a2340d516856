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
