import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { type CID, cidOf, DAG_PB, parseCid } from '@pingo/wire'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { exporter, recursive } from 'ipfs-unixfs-exporter'
import { importer } from 'ipfs-unixfs-importer'
import { dagBytesOf, listFolder, resolvePath, walkFolder } from './folder.ts'
import { type FolderEntry, makeFolder } from './make-folder.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

function memory() {
  const blocks = new Map<string, Uint8Array>()
  const put = async (cid: CID, block: Uint8Array) => void blocks.set(cid.toString(), block)
  const get = async (cid: CID) => blocks.get(cid.toString()) ?? assert.fail(`no block ${cid}`)
  /** As IPFS's own tools want it. */
  const blockstore = {
    put: async (cid: CID, block: Uint8Array) => put(cid, block).then(() => cid),
    async *get(cid: CID) {
      yield await get(cid)
    },
  }
  return { blocks, put, get, blockstore: blockstore as never }
}

async function entriesOf(files: Record<string, string>, put: (cid: CID, block: Uint8Array) => Promise<void>) {
  const entries: FolderEntry[] = []
  for (const [path, text] of Object.entries(files)) {
    const content = bytesOf(text)
    const cid = cidOf(content)
    await put(cid, content)
    entries.push({ path, file: { cid, bytes: content.byteLength, dagBytes: dagBytesOf(cid, content) } })
  }
  return entries
}

/** The same folder by the importer of IPFS. */
async function imported(files: Record<string, string>, store: ReturnType<typeof memory>): Promise<string> {
  const source = Object.entries(files).map(([path, text]) => ({ path: `it/${path}`, content: bytesOf(text) }))
  let root = ''
  for await (const { path, cid } of importer(source, store.blockstore, { cidVersion: 1, rawLeaves: true }))
    if (path === 'it') root = cid.toString()
  return root
}

const FILES = { 'a.txt': 'A', 'b/c.txt': 'C', 'b/d/e.txt': 'E', 'ä ö/ü.txt': 'U', 'b/empty': '' }

test('a folder has the CID that IPFS gives it, and is read back by it', async () => {
  const store = memory()
  const { cid, dagBytes } = await makeFolder(await entriesOf(FILES, store.put), store.put)
  assert.equal(cid.toString(), await imported(FILES, memory()))
  const found: Record<string, string> = {}
  for await (const { path, cid: each } of recursive(cid, store.blockstore)) {
    const entry = await exporter(each, store.blockstore)
    if (entry.type !== 'file' && entry.type !== 'raw') continue
    found[path.split('/').slice(1).join('/')] = Buffer.concat(await Array.fromAsync(entry.content())).toString()
  }
  assert.deepEqual(found, FILES)
  assert.equal(dagBytes, dagBytesOf(cid, await store.get(cid)))
})

test('a sharded folder of 6,000 files is that of IPFS; every path is found in it', async () => {
  const store = memory()
  const files = Object.fromEntries(Array.from({ length: 6_000 }, (_, n) => [`file number ${n}.txt`, `${n}`]))
  const { cid } = await makeFolder(await entriesOf(files, store.put), store.put)
  assert.equal(cid.toString(), await imported(files, memory()))
  for (let n = 0; n < 6_000; n += 37) {
    const { cid: file } = await resolvePath(cid, `file number ${n}.txt`, store.get)
    assert.equal(Buffer.from(await store.get(file)).toString(), `${n}`)
  }
  await assert.rejects(resolvePath(cid, 'file number 6000.txt', store.get), { code: 'PATH_NOT_FOUND' })
  const listed = await Array.fromAsync(listFolder(cid, store.get))
  assert.deepEqual(listed.map(({ name }) => name).sort(), Object.keys(files).sort())
})

test('walking gives folders before what is in them, empty ones too', async () => {
  const store = memory()
  const entries = await entriesOf(FILES, store.put)
  const { cid } = await makeFolder([...entries, { path: 'void/deep', file: undefined }], store.put)
  const walked = await Array.fromAsync(walkFolder(cid, store.get))
  assert.deepEqual(
    walked.map(({ path, kind }) => (kind === 'folder' ? `${path}/` : path)),
    ['/', 'a.txt', 'b/', 'b/c.txt', 'b/d/', 'b/d/e.txt', 'b/empty', 'void/', 'void/deep/', 'ä ö/', 'ä ö/ü.txt'],
  )
  const { cid: file } = await resolvePath(cid, 'b/d/e.txt', store.get)
  assert.deepEqual(await Array.fromAsync(walkFolder(file, store.get)), [{ path: '', cid: file, kind: 'file' }])
})

test('any tree of names is found path by path', async () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
    .filter((text) => !/[/\0]|^\.{1,2}$/.test(text))
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'))
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(path, { maxLength: 30 }), async (paths) => {
      const files: Record<string, string> = {}
      for (const each of paths)
        if (!paths.some((other) => other !== each && other.startsWith(`${each}/`))) files[each] = each
      const store = memory()
      const { cid } = await makeFolder(await entriesOf(files, store.put), store.put)
      for (const each of Object.keys(files))
        assert.equal(Buffer.from(await store.get((await resolvePath(cid, each, store.get)).cid)).toString(), each)
    }),
    { numRuns: 50 },
  )
})

test('names that lead out of a folder, or stand in one place, are neither made nor read', async () => {
  const store = memory()
  const [file] = await entriesOf({ x: 'x' }, store.put)
  for (const path of ['../x', 'a/../../x', '/x', 'a//x', '', '.', 'a\0b', 'x/'.repeat(65)])
    await assert.rejects(makeFolder([{ ...file!, path }], store.put), { code: 'PATH_UNSAFE' })
  for (const second of ['a', 'a/b'])
    await assert.rejects(
      makeFolder(
        [
          { ...file!, path: 'a' },
          { ...file!, path: second },
        ],
        store.put,
      ),
      { code: 'PATH_UNSAFE' },
    )
  const folder = async (names: string[]) => {
    const Links = names.sort().map((Name) => ({ Name, Hash: file!.file!.cid, Tsize: 1 }))
    const block = dagPb.encode(dagPb.prepare({ Data: new UnixFS({ type: 'directory' }).marshal(), Links }))
    const cid = cidOf(block, DAG_PB)
    await store.put(cid, block)
    return cid
  }
  for (const names of [['..'], ['a/b'], ['.'], ['x\0'], ['twice', 'twice'], ['n'.repeat(1025)]])
    await assert.rejects(Array.fromAsync(listFolder(await folder(names), store.get)), { code: 'FOLDER_MALFORMED' })
  await assert.rejects(resolvePath(await folder(['..']), '..', store.get), { code: 'PATH_NOT_FOUND' })
})

test('a folder in a folder a hundred times, and one that links to itself over and over, end early', async () => {
  const store = memory()
  const chain = async (links: number, depth: number) => {
    let cid = parseCid('bafyaabakaieac') // the empty folder, inline: never read
    for (let level = 0; level < depth; level++) {
      const Links = level === 0 ? [] : Array.from({ length: links }, (_, n) => ({ Name: `n${n}`, Hash: cid, Tsize: 1 }))
      const block = dagPb.encode(dagPb.prepare({ Data: new UnixFS({ type: 'directory' }).marshal(), Links }))
      cid = cidOf(block, DAG_PB)
      await store.put(cid, block)
    }
    return cid
  }
  const walk = async (root: CID) => {
    let entries = 0
    for await (const _ of walkFolder(root, store.get, 10_000)) entries += 1
    return entries
  }
  await assert.rejects(walk(await chain(1, 100)), { code: 'FOLDER_MALFORMED' })
  await assert.rejects(walk(await chain(100, 20)), { code: 'FOLDER_MALFORMED' }) // 100^19 entries
})
