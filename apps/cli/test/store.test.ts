import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { startStorageNode } from '../../../packages/storage/src/testing/start-storage-node.ts'
import { Place, type Run, until } from './support/command.ts'

const MIB = 1 << 20
type Node = Awaited<ReturnType<typeof startStorageNode>>

/** A network of three storage nodes on this machine; whoever has the token may store. */
const nodes: Node[] = []
const asked: string[] = []
/** Chunks that a node was sent and has acknowledged, as `node path`. Past so many, no node answers any more. */
const acknowledged: string[] = []
let mostAcknowledged = Number.POSITIVE_INFINITY
let place: Place
let env: NodeJS.ProcessEnv
before(async () => {
  place = await Place.create()
  let pending = 0
  const note = (node: number, { method, url }: IncomingMessage, response: ServerResponse) => {
    const path = url?.split('?')[0]
    asked.push(`${method} ${path}`)
    if (method !== 'PUT' || !path?.startsWith('/v1/storage/chunks/')) return false
    if (acknowledged.length + pending >= mostAcknowledged) return true
    pending++
    response.once('close', () => {
      pending--
      if (response.writableFinished) acknowledged.push(`${node} ${path}`)
    })
    return false
  }
  for (let n = 0; n < 3; n++)
    nodes.push(
      await startStorageNode({
        folder: place.path(`node-${n}`),
        seeds: nodes.slice(0, 1).map(({ url }) => ({ url })),
        turnMs: 50,
        before: (request, response) => note(n, request, response),
      }),
    )
  await until(() => nodes.every(({ membership }) => membership.book.list().length >= 2), 'the nodes to know each other')
  env = { PINGO_FOG: nodes[0]!.url, PINGO_TOKEN: nodes[0]!.token }
})
after(async () => {
  await Promise.all(nodes.map((node) => node.close()))
  await place[Symbol.asyncDispose]()
})

/** Chunks that were read since `from`; one that was slow may have been asked of two holders. */
const chunksRead = (from: number) =>
  new Set(asked.slice(from).flatMap((line) => /^GET \/ipfs\/([a-z0-9]+)/.exec(line)?.[1] ?? [])).size
const store = async (args: string[], o: { home?: string; code?: number } = {}): Promise<Run> => {
  const run = await place.run(['store', ...args], { env: { ...env, PINGO_HOME: place.path(o.home ?? 'home') } })
  assert.equal(run.code, o.code ?? 0, `${args.join(' ')}: ${run.stdout}${run.stderr}`)
  assert.doesNotMatch(run.stderr, /^\s+at |node:internal/m)
  return run
}

test('a file: stored, listed, told of, fetched, shared, proven, removed', async () => {
  await place.write('thesis.txt', 'what I found out')
  const put = await store(['put', 'thesis.txt'])
  assert.match(
    put.stdout,
    /^Stored as files\/thesis\.txt\nid {5}b\w+\nsize {3}16 B \(.*\)\nkept {3}3 copies on 3 nodes: any 2 may fail\n$/,
  )
  assert.match(put.stderr, /The keys to your private data are on this machine alone.*\nA lost key is lost data/)
  const again = await store(['put', 'thesis.txt', '--json'])
  assert.equal(JSON.parse(again.stdout).stored[0].unchanged, true)
  assert.doesNotMatch(again.stderr, /lost key/, 'it is told once')
  const said = await Promise.all([
    store(['ls']),
    store(['stat', 'thesis.txt']),
    store(['get', 'thesis.txt', '--range', '5-5', '--out', '-']),
    store(['prove', 'thesis.txt']),
    store(['usage']),
    store(['doctor']),
    store(['get', 'thesis.txt', '--out', 'copy.txt']),
  ])
  const [ls, stat, get, prove, usage, doctor] = said.map(({ stdout }) => stdout)
  assert.match(ls!, /SIZE.*\n16 B .* you {2}files\/thesis\.txt\n$/)
  assert.match(stat!, /kept +as 3 copies/)
  assert.equal(get, 'I')
  assert.match(prove!, /All 16 challenges were met/)
  assert.match(usage!, /entries +1, 16 B\n.*\nallowance +1\.0 TiB at each node/)
  assert.match(doctor!, /^1 of 1 file is well/)
  assert.equal(await readFile(place.path('copy.txt'), 'utf8'), 'what I found out')
  await writeFile(place.path('copy.txt'), 'mine')
  assert.match(
    (await store(['get', 'thesis.txt', '--out', 'copy.txt'], { code: 1 })).stderr,
    /is there already\..*--force/s,
  )
  const { link } = JSON.parse((await store(['share', 'thesis.txt', '--expires', '1h', '--json'])).stdout)
  assert.equal((await store(['get', link, '--out', '-'], { home: 'somebody' })).stdout, 'what I found out')
  assert.match(
    (await store(['get', `${link.slice(0, -4)}AAAA`], { code: 1 })).stderr,
    /^pingo: This link is not as its owner made it/,
  )
  assert.equal((await store(['rm', 'thesis.txt'])).stdout, 'Removed files/thesis.txt.\n')
  assert.match((await store(['ls'])).stdout, /Nothing is stored yet/)
  assert.match(
    (await store(['get', 'thesis.txt'], { code: 1 })).stderr,
    /^pingo: Nothing is stored as 'thesis\.txt'\.\nSee `pingo store ls`/,
  )
})

test('a folder, and what is not stored of it', async () => {
  await mkdir(place.path('tree/empty'), { recursive: true })
  await place.write('tree/a.txt', 'a')
  await place.write('tree/b.bin', randomBytes(100_000))
  await symlink('/etc/passwd', place.path('tree/link'))
  const put = await store(['put', 'tree'])
  assert.match(put.stdout, /^Stored 2 files \(.*\) under files\/tree\nkept/)
  assert.match(put.stderr, /Skipped .*tree\/link: it is a symbolic link\./)
  await store(['get', 'tree', '--out', 'tree-2'])
  assert.deepEqual((await readdir(place.path('tree-2'))).sort(), ['a.txt', 'b.bin', 'empty'])
  assert.ok((await readFile(place.path('tree/b.bin'))).equals(await readFile(place.path('tree-2/b.bin'))))
  assert.match(
    (await store(['rm', 'tree'], { code: 1 })).stderr,
    /'tree' has 3 entries\.\nRemove them all with --recursive/,
  )
  assert.equal((await store(['rm', 'tree', '-r'])).stdout, 'Removed 3 entries.\n')
})

test('public data have a CID, are pinned by others and travel as CAR', async () => {
  await place.write('open.txt', 'for all')
  const put = JSON.parse((await store(['put', 'open.txt', '--public', '--json'])).stdout)
  const [cid] = put.stored[0].ids
  assert.match(cid, /^baf/)
  assert.equal((await store(['get', cid, '--out', '-'], { home: 'somebody' })).stdout, 'for all')
  await store(['car', 'export', 'open.txt', '--out', 'open.car'])
  const imported = JSON.parse((await store(['car', 'import', 'open.car', '--json'], { home: 'somebody' })).stdout)
  assert.deepEqual(imported, { stored: [`pins/${cid}`], renamed: [] })
  await store(['pin', cid, '--name', 'kept.txt'], { home: 'somebody' })
  await store(['rm', 'open.txt'])
  assert.equal((await store(['get', 'pins/kept.txt', '--out', '-'], { home: 'somebody' })).stdout, 'for all')
})

test('the keys bring everything back on another machine', async () => {
  await place.write('diary.txt', 'dear diary')
  await store(['put', 'diary.txt'])
  const { phrase } = JSON.parse((await store(['keys', 'backup', '--json'])).stdout)
  assert.equal(phrase.split(' ').length, 24)
  const restore = place.start(['store', 'keys', 'restore'], { env: { ...env, PINGO_HOME: place.path('new') } })
  restore.child.stdin!.end(phrase)
  const restored = await restore.ended
  assert.match(restored.stdout, /^Your index is back: \d+ entr/, restored.stderr)
  assert.equal((await store(['get', 'diary.txt', '--out', '-'], { home: 'new' })).stdout, 'dear diary')
  await place.write('password.txt', 'tulips are red\n')
  await store(['keys', 'backup', '--out', 'keys.json', '--password-file', 'password.txt'])
  assert.equal((await stat(place.path('keys.json'))).mode & 0o777, 0o600)
  await store(['keys', 'restore', 'keys.json', '--password-file', 'password.txt'], { home: 'newer' })
  assert.equal((await store(['get', 'diary.txt', '--out', '-'], { home: 'newer' })).stdout, 'dear diary')
  // what is there is never overwritten
  const refused = await store(['keys', 'restore', 'keys.json', '--password-file', 'password.txt'], {
    home: 'somebody',
    code: 1,
  })
  assert.match(refused.stderr, /has another storage key, which was left as it is/)
  const wrong = place.start(['store', 'keys', 'restore'], { env: { ...env, PINGO_HOME: place.path('wrong') } })
  wrong.child.stdin!.end(phrase.replace(/^\w+/, 'zebbra'))
  assert.match(
    (await wrong.ended).stderr,
    /^pingo: Word 1 of the phrase, 'zebbra', is not in the list\.\nDid you mean 'zebra'\?/,
  )
})

describe('killed at any moment', () => {
  test('a put goes on where it was: nothing that was stored is sent again', async () => {
    const bytes = randomBytes(24 * MIB + 5)
    await place.write('big.bin', bytes)
    const began = acknowledged.length
    for (const after of [12, 48]) {
      mostAcknowledged = began + after
      const put = place.start(['store', 'put', 'big.bin'], { env })
      await until(() => acknowledged.length === mostAcknowledged || put.child.exitCode !== null, `${after} chunks`)
      put.child.kill('SIGKILL')
      assert.equal((await put.ended).signal, 'SIGKILL')
    }
    mostAcknowledged = Number.POSITIVE_INFINITY
    const before = new Set(acknowledged.slice(began))
    await store(['put', 'big.bin'])
    const again = acknowledged.slice(began + 48).filter((chunk) => before.has(chunk))
    const onTheirWay = 8 * 3 // copies of the stripes that were not whole yet when it was killed
    assert.ok(again.length <= onTheirWay, `${again.length} of ${before.size} chunks were sent again`)
    const all = new Set(acknowledged.slice(began)).size
    const needed = 3 * 25 // shards; the manifest and the index come on top, 15 of them
    assert.ok(all >= needed && all < needed + 24, `${all} chunks for ${needed}: it began afresh`)
    const got = JSON.parse((await store(['get', 'big.bin', '--out', 'big-2.bin', '--json'])).stdout)
    assert.equal(got.bytes, bytes.byteLength)
    assert.ok(bytes.equals(await readFile(place.path('big-2.bin'))))
  })

  test('a get goes on where it was', async () => {
    const out = place.path('big-3.bin')
    const get = place.start(['store', 'get', 'big.bin', '--out', out], { env })
    const sizeOf = async () => (await stat(`${out}.pingo-part`).catch(() => ({ size: 0 }))).size
    let size = 0
    await until(() => {
      sizeOf().then((now) => (size = now))
      return size >= 4 * MIB || get.child.exitCode !== null
    }, 'some of it')
    get.child.kill('SIGKILL')
    assert.equal((await get.ended).signal, 'SIGKILL')
    await assert.rejects(stat(out), 'it is not there before it is whole')
    const kept = Math.floor((await sizeOf()) / MIB)
    const began = asked.length
    await store(['get', 'big.bin', '--out', out])
    const read = chunksRead(began)
    assert.ok(read <= 25 - kept + 6, `${read} chunks were read, ${kept} were there`)
    assert.ok((await readFile(place.path('big.bin'))).equals(await readFile(out)))
    assert.deepEqual(
      (await readdir(place.folder)).filter((name) => name.includes('.pingo-')),
      [],
    )
    await rm(out)
  })
})

test('serve: an endpoint that S3 clients use, until it is asked to end', async () => {
  const serve = place.start(['store', 'serve', '--port', '0', '--bucket', 'backups', '--json'], { env })
  await until(() => serve.stdout().includes('\n') || serve.child.exitCode !== null, 'the endpoint')
  const { url, accessKeyId, secretAccessKey } = JSON.parse(serve.stdout())
  const { S3Client, PutObjectCommand, GetObjectCommand, ListObjectsV2Command } = await import('@aws-sdk/client-s3')
  const credentials = { accessKeyId, secretAccessKey }
  const s3 = new S3Client({ endpoint: url, region: 'us-east-1', forcePathStyle: true, credentials })
  try {
    await s3.send(new PutObjectCommand({ Bucket: 'backups', Key: 'a/b.txt', Body: 'by S3' }))
    const got = await s3.send(new GetObjectCommand({ Bucket: 'backups', Key: 'a/b.txt', Range: 'bytes=3-4' }))
    assert.equal(await got.Body!.transformToString(), 'S3')
    const { CommonPrefixes } = await s3.send(new ListObjectsV2Command({ Bucket: 'backups', Delimiter: '/' }))
    assert.deepEqual(CommonPrefixes, [{ Prefix: 'a/' }])
  } finally {
    s3.destroy()
    serve.child.kill('SIGTERM')
  }
  const { code, stderr } = await serve.ended
  assert.deepEqual([code, stderr], [0, ''])
  assert.equal((await store(['get', 'backups/a/b.txt', '--out', '-'])).stdout, 'by S3')
  assert.equal((await stat(place.path('home', 's3-key.json'))).mode & 0o777, 0o600)
})

test('each mistake is told in a sentence', async () => {
  const cases: [args: string[], code: number, message: RegExp][] = [
    [['put', 'nowhere.txt'], 1, /There is nothing at .*nowhere\.txt\./],
    [['put', '-'], 2, /What comes from a pipe needs a name\.\nAdd --name NAME/],
    [['put', 'big.bin', '--bucket', 'No'], 1, /'No' cannot be the name of a bucket\./],
    [['get', 'big.bin', '--range', '5'], 2, /It must be bytes such as 0-99, 100- or -50\./],
    [['get', 'big.bin', '--range', '999999999-', '--out', '-'], 1, /The range begins behind the end/],
    [['share', 'big.bin', '--expires', 'soon'], 2, /It must be a time such as 30m, 12h or 7d\./],
    [['ls', 'nowhere'], 1, /Nothing is stored at 'nowhere'\./],
    [['get', 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'], 1, /^pingo: /],
  ]
  await Promise.all(
    cases.map(async ([args, code, message]) => {
      const { stdout, stderr } = await store(args, { code })
      assert.equal(stdout, '', args.join(' '))
      assert.match(stderr, message)
    }),
  )
  const nobody = await place.run(['store', 'put', 'big.bin'], { env: { PINGO_FOG: 'http://127.0.0.1:1' } })
  assert.equal(nobody.code, 1)
  assert.match(nobody.stderr, /^pingo: Cannot reach http:\/\/127\.0\.0\.1:1/)
  const tokenless = await place.run(['store', 'put', 'big.bin'], {
    env: { ...env, PINGO_TOKEN: '', PINGO_HOME: place.path('tokenless') },
  })
  assert.equal(tokenless.code, 1)
  assert.match(tokenless.stderr, /allowance/)
})
