import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3'
import { createIdentity, PinGoError } from '@pingo/wire'
import { nameOf } from '../names/record.ts'
import { putDirectory } from '../testing/directory.ts'
import { openStore } from '../testing/http-node.ts'
import { PublicBackend } from './public-backend.ts'
import { serveS3, type TestEndpoint } from './testing/serve.ts'

const BIG = randomBytes(2_500_000)
const FILES: Record<string, Uint8Array> = {
  'a.txt': Buffer.from('A'),
  'a/1': Buffer.from('one'),
  'a/b/2': Buffer.from('two'),
  'a/b/big': BIG,
  'a-c': Buffer.from('c'),
  ü: Buffer.from('u'),
  z: Buffer.from('z'),
  ...Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`many/file ${n}`, Buffer.from(`${n}`)])),
}
const KEYS = Object.keys(FILES).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

describe('a public folder as bucket', () => {
  let endpoint: TestEndpoint
  let s3: S3Client
  let name: string
  const buckets: string[] = []
  before(async () => {
    const { store } = await openStore()
    for (const shardSplitThresholdBytes of [262_144, 200])
      buckets.push((await putDirectory(store, FILES, { shardSplitThresholdBytes })).toString())
    name = nameOf(await createIdentity())
    const backend = new PublicBackend({
      source: {
        get: (cid) =>
          store.has(cid) ? store.get(cid) : Promise.reject(new PinGoError('BLOCK_MISSING', `${cid} is not here.`)),
      },
      names: { resolve: async (asked) => (asked === name ? { cid: buckets[0]! } : undefined) },
    })
    endpoint = await serveS3(backend, { anonymous: true, isReadOnly: true })
    s3 = new S3Client({
      endpoint: endpoint.url,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: '', secretAccessKey: '' },
      signer: { sign: async (request) => request },
    })
    buckets.push(name)
  })
  after(async () => {
    s3.destroy()
    await endpoint[Symbol.asyncDispose]()
    assert.deepEqual(endpoint.faults, [])
  })

  it('is listed in order, page by page, by prefix and delimiter', async () => {
    for (const Bucket of buckets)
      for (const pageSize of [1000, 7]) {
        const list = async (o: { Prefix?: string; Delimiter?: string }) => {
          const found: string[] = []
          for await (const page of paginateListObjectsV2({ client: s3, pageSize }, { Bucket, ...o })) {
            const keys = (page.Contents ?? []).map(({ Key }) => Key!)
            const prefixes = (page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix!)
            found.push(...[...keys, ...prefixes].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
          }
          return found
        }
        assert.deepEqual(await list({}), KEYS)
        assert.deepEqual(await list({ Delimiter: '/' }), ['a-c', 'a.txt', 'a/', 'many/', 'z', 'ü'])
        assert.deepEqual(await list({ Prefix: 'a/', Delimiter: '/' }), ['a/1', 'a/b/'])
        assert.deepEqual(await list({ Prefix: 'a/b' }), ['a/b/2', 'a/b/big'])
        assert.deepEqual(await list({ Prefix: 'a', Delimiter: 'b' }), ['a-c', 'a.txt', 'a/1', 'a/b'])
        assert.deepEqual(
          await list({ Prefix: 'many/file 29' }),
          KEYS.filter((key) => key.startsWith('many/file 29')),
        )
        assert.deepEqual(await list({ Prefix: 'none' }), [])
      }
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: buckets[0], Prefix: 'a/b/' }))
    assert.deepEqual(
      Contents!.map(({ Size }) => Size),
      [3, BIG.byteLength],
    )
  })

  it('gives its files whole and in part, and nothing else; nobody writes', async () => {
    for (const Bucket of buckets) {
      const all = await s3.send(new GetObjectCommand({ Bucket, Key: 'a/b/big' }))
      assert.ok(BIG.equals(await all.Body!.transformToByteArray()))
      const part = await s3.send(new GetObjectCommand({ Bucket, Key: 'a/b/big', Range: 'bytes=1048570-1048580' }))
      assert.ok(BIG.subarray(1048570, 1048581).equals(await part.Body!.transformToByteArray()))
      assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key: 'many/file 7' }))).ContentLength, 1)
      for (const Key of ['a', 'a/', 'a/b/', 'none', 'a/../z', 'a//1', 'a.txt/x'])
        await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key })), { name: 'NoSuchKey' }, Key)
      await s3.send(new HeadBucketCommand({ Bucket }))
      await assert.rejects(s3.send(new PutObjectCommand({ Bucket, Key: 'x', Body: 'x' })), { name: 'AccessDenied' })
    }
    for (const Bucket of [
      'files',
      nameOf(await createIdentity()),
      'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
    ])
      await assert.rejects(s3.send(new ListObjectsV2Command({ Bucket })), { name: 'NoSuchBucket' })
  })
})
