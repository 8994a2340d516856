import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import {
  AbortMultipartUploadCommand,
  type ChecksumAlgorithm,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketAclCommand,
  GetBucketLocationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { pattern } from './testing/backend-contract.ts'
import { MemoryBackend, uploadOf } from './testing/memory-backend.ts'
import { ACCESS_KEY, SECRET, serveS3, type TestEndpoint } from './testing/serve.ts'

const Bucket = 'bucket'
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')
const named = (name: string, status: number) => (error: { name: string; $metadata: { httpStatusCode?: number } }) => {
  assert.deepEqual([error.name, error.$metadata.httpStatusCode], [name, status])
  return true
}

/** The SDK of AWS as it comes, with nothing changed but the address. */
describe('the SDK of AWS', () => {
  const backend = new MemoryBackend()
  let endpoint: TestEndpoint
  let s3: S3Client
  const client = (o: S3ClientConfig = {}) =>
    new S3Client({
      endpoint: endpoint.url,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET },
      ...o,
    })
  const put = (Key: string, Body: string | Uint8Array) => s3.send(new PutObjectCommand({ Bucket, Key, Body }))
  const bytesOf = async (Key: string, Range?: string): Promise<Uint8Array> =>
    (await s3.send(new GetObjectCommand({ Bucket, Key, Range }))).Body!.transformToByteArray()
  const keys = async (o: {
    Prefix?: string
    Delimiter?: string
    MaxKeys?: number
    StartAfter?: string
    EncodingType?: 'url'
  }) => {
    const found: string[] = []
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, ...o })) {
      for (const { Key } of page.Contents ?? []) found.push(Key!)
      for (const { Prefix } of page.CommonPrefixes ?? []) found.push(`${Prefix}…`)
    }
    return found
  }

  before(async () => {
    endpoint = await serveS3(backend)
    s3 = client()
    await s3.send(new CreateBucketCommand({ Bucket }))
  })
  after(async () => {
    s3.destroy()
    await endpoint[Symbol.asyncDispose]()
    assert.deepEqual(endpoint.faults, [])
  })

  it('makes, finds, lists and removes buckets', async () => {
    const other = { Bucket: 'another.bucket' }
    await s3.send(new CreateBucketCommand({ ...other, CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }))
    await assert.rejects(s3.send(new CreateBucketCommand(other)), named('BucketAlreadyOwnedByYou', 409))
    const { Buckets } = await s3.send(new ListBucketsCommand({}))
    assert.deepEqual(
      Buckets?.map(({ Name }) => Name),
      ['another.bucket', 'bucket'],
    )
    assert.equal((await s3.send(new HeadBucketCommand(other))).$metadata.httpStatusCode, 200)
    assert.equal((await s3.send(new GetBucketLocationCommand(other))).LocationConstraint, undefined)
    assert.equal((await s3.send(new GetBucketVersioningCommand(other))).Status, undefined)
    assert.equal((await s3.send(new GetBucketAclCommand(other))).Grants?.[0]?.Permission, 'FULL_CONTROL')
    await s3.send(new PutObjectCommand({ ...other, Key: 'x', Body: 'x' }))
    await assert.rejects(s3.send(new DeleteBucketCommand(other)), named('BucketNotEmpty', 409))
    await s3.send(new DeleteObjectCommand({ ...other, Key: 'x' }))
    await s3.send(new DeleteBucketCommand(other))
    await assert.rejects(s3.send(new HeadBucketCommand(other)), named('NotFound', 404))
    await assert.rejects(s3.send(new CreateBucketCommand({ Bucket: 'Bad_Name' })), named('InvalidBucketName', 400))
  })

  it('puts, heads, gets and deletes an object with what is said of it', async () => {
    const content = pattern(300_000)
    const said = {
      ContentType: 'text/plain; charset=utf-8',
      CacheControl: 'max-age=60',
      ContentDisposition: 'attachment; filename="a b.txt"',
      ContentEncoding: 'identity',
      ContentLanguage: 'de',
      Metadata: { one: '1', 'with-hyphen': 'a  b', empty: '' },
    }
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: 'said', Body: content, ...said }))
    assert.equal(ETag, `"${md5(content)}"`)
    for (const command of [
      new HeadObjectCommand({ Bucket, Key: 'said' }),
      new GetObjectCommand({ Bucket, Key: 'said' }),
    ]) {
      const found = await s3.send(command as HeadObjectCommand)
      assert.deepEqual(said, pick(found, Object.keys(said)))
      assert.deepEqual([found.ContentLength, found.ETag, found.AcceptRanges], [300_000, ETag, 'bytes'])
      assert.ok(Math.abs(found.LastModified!.getTime() - Date.now()) < 600_000)
    }
    assert.deepEqual(await bytesOf('said'), content)
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'said' }))
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'said' }))
    await assert.rejects(bytesOf('said'), named('NoSuchKey', 404))
    await assert.rejects(s3.send(new HeadObjectCommand({ Bucket, Key: 'said' })), named('NotFound', 404))
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket: 'none', Key: 'x' })), named('NoSuchBucket', 404))
  })

  it('sends every kind of checksum, before the body and after it', async () => {
    const content = pattern(200_000)
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] satisfies ChecksumAlgorithm[]) {
      const o = { Bucket, Key: ChecksumAlgorithm, ChecksumAlgorithm }
      const whole = await s3.send(new PutObjectCommand({ ...o, Body: content }))
      const streamed = await s3.send(
        new PutObjectCommand({ ...o, Body: Readable.from([content]), ContentLength: content.byteLength }),
      )
      assert.equal(streamed[`Checksum${ChecksumAlgorithm}`], whole[`Checksum${ChecksumAlgorithm}`])
      assert.equal(whole.ETag, `"${md5(content)}"`)
      assert.deepEqual(await bytesOf(ChecksumAlgorithm), content)
    }
    const wrong = { Bucket, Key: 'wrong', Body: 'hello', ChecksumCRC32: 'AAAAAA==' }
    await assert.rejects(s3.send(new PutObjectCommand(wrong)), named('BadDigest', 400))
    await assert.rejects(bytesOf('wrong'), named('NoSuchKey', 404))
  })

  it('reads ranges', async () => {
    const content = pattern(2_100_000)
    await put('range', content)
    const cases: [string, number, number][] = [
      ['bytes=0-0', 0, 1],
      ['bytes=1048575-1048576', 1_048_575, 1_048_577],
      ['bytes=2099990-', 2_099_990, 2_100_000],
      ['bytes=-5', 2_099_995, 2_100_000],
      ['bytes=100-9999999', 100, 2_100_000],
    ]
    for (const [Range, start, end] of cases) {
      const found = await s3.send(new GetObjectCommand({ Bucket, Key: 'range', Range }))
      assert.equal(found.ContentRange, `bytes ${start}-${end - 1}/2100000`)
      assert.equal(found.$metadata.httpStatusCode, 206)
      assert.deepEqual(await found.Body!.transformToByteArray(), content.slice(start, end))
    }
    await assert.rejects(bytesOf('range', 'bytes=2100000-'), named('InvalidRange', 416))
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'range', Range: 'bytes=0-9' }))
    assert.deepEqual([head.ContentLength, head.$metadata.httpStatusCode], [10, 206])
    await put('empty', '')
    assert.equal((await bytesOf('empty')).byteLength, 0)
    await assert.rejects(bytesOf('empty', 'bytes=0-0'), named('InvalidRange', 416))
  })

  it('holds conditions of reads and writes', async () => {
    const { ETag } = await put('if', 'one')
    const get = (o: object) => s3.send(new GetObjectCommand({ Bucket, Key: 'if', ...o }))
    const unmodified = (error: { $metadata: { httpStatusCode?: number } }) => error.$metadata.httpStatusCode === 304
    await get({ IfMatch: ETag })
    await assert.rejects(get({ IfMatch: '"other"' }), named('PreconditionFailed', 412))
    await assert.rejects(get({ IfNoneMatch: ETag }), unmodified)
    await assert.rejects(get({ IfModifiedSince: new Date(Date.now() + 1000) }), unmodified)
    await assert.rejects(get({ IfUnmodifiedSince: new Date(0) }), named('PreconditionFailed', 412))
    await get({ IfModifiedSince: new Date(0), IfUnmodifiedSince: new Date(Date.now() + 10_000) })
    const write = (o: object) => s3.send(new PutObjectCommand({ Bucket, Key: 'if', Body: 'two', ...o }))
    await assert.rejects(write({ IfNoneMatch: '*' }), named('PreconditionFailed', 412))
    await assert.rejects(write({ IfMatch: '"other"' }), named('PreconditionFailed', 412))
    await write({ IfMatch: ETag })
    await s3.send(new PutObjectCommand({ Bucket, Key: 'if new', Body: 'x', IfNoneMatch: '*' }))
  })

  it('takes keys of any characters, and lists them', async () => {
    const all = [
      'ü/é ö',
      'a b',
      'a+b',
      'a%20b',
      'a%2Fb',
      'a&b<c>"\'',
      'a?b=c',
      'a#b',
      '日本/🙂',
      './../x',
      '//',
      'x//y',
      "!'()*",
      'tab\tnew\nline\r',
      'a;b:c@d$e,f=g~',
      'x'.repeat(1024),
    ]
    const under = all.map((key) => (key.length > 1000 ? key.slice(6) : key)).map((key) => `chars/${key}`)
    for (const key of under) await put(key, key)
    for (const key of under) assert.equal(Buffer.from(await bytesOf(key)).toString(), key)
    const raw = await keys({ Prefix: 'chars/' })
    assert.deepEqual([...raw].sort(), [...under].sort())
    const encoded = (await keys({ Prefix: 'chars/', EncodingType: 'url', MaxKeys: 3 })).map(decodeURIComponent)
    assert.deepEqual(encoded, raw)
    const { Deleted, Errors } = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: under.map((Key) => ({ Key })) } }),
    )
    assert.deepEqual([Deleted?.map(({ Key }) => Key).sort(), Errors], [[...under].sort(), undefined])
    assert.deepEqual(await keys({ Prefix: 'chars/' }), [])
    await assert.rejects(put('x'.repeat(1025), 'x'), named('KeyTooLongError', 400))
  })

  it('lists ten thousand objects by pages, and by folders', async () => {
    const name = (n: number) => `many/${String(n % 100).padStart(2, '0')}/${String(n).padStart(5, '0')}`
    for (let n = 0; n < 10_000; n++)
      await backend.put(Bucket, name(n), uploadOf(Buffer.from('x')), {
        headers: { 'content-type': 'a/b' },
        metadata: {},
      })
    const all = Array.from({ length: 10_000 }, (_, n) => name(n)).sort()
    assert.deepEqual(await keys({ Prefix: 'many/' }), all)
    assert.deepEqual(await keys({ Prefix: 'many/', StartAfter: all[8999] }), all.slice(9000))
    const folders = await keys({ Prefix: 'many/', Delimiter: '/', MaxKeys: 7 })
    assert.deepEqual(
      folders,
      Array.from({ length: 100 }, (_, n) => `many/${String(n).padStart(2, '0')}/…`),
    )
    const first = await s3.send(new ListObjectsCommand({ Bucket, Prefix: 'many/' }))
    assert.deepEqual([first.IsTruncated, first.Contents?.length, first.NextMarker], [true, 1000, all[999]])
    const next = await s3.send(new ListObjectsCommand({ Bucket, Prefix: 'many/', Marker: all[999], MaxKeys: 1 }))
    assert.equal(next.Contents?.[0]?.Key, all[1000])
    assert.equal((await s3.send(new ListObjectsCommand({ Bucket, MaxKeys: 0 }))).Contents, undefined)
  })

  it('copies, with the description or another', async () => {
    const content = pattern(150_000)
    await s3.send(
      new PutObjectCommand({ Bucket, Key: 'from ü+', Body: content, ContentType: 'a/b', Metadata: { a: '1' } }),
    )
    const CopySource = `${Bucket}/${encodeURIComponent('from ü+')}`
    const { CopyObjectResult } = await s3.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource }))
    assert.equal(CopyObjectResult?.ETag, `"${md5(content)}"`)
    const copy = await s3.send(new HeadObjectCommand({ Bucket, Key: 'to' }))
    assert.deepEqual([copy.ContentType, copy.Metadata], ['a/b', { a: '1' }])
    await s3.send(
      new CopyObjectCommand({
        Bucket,
        Key: 'to',
        CopySource: `/${Bucket}/to`,
        MetadataDirective: 'REPLACE',
        ContentType: 'c/d',
        Metadata: { b: '2' },
      }),
    )
    const changed = await s3.send(new HeadObjectCommand({ Bucket, Key: 'to' }))
    assert.deepEqual([changed.ContentType, changed.Metadata], ['c/d', { b: '2' }])
    assert.deepEqual(await bytesOf('to'), content)
    const again = (o: object) => s3.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource: `${Bucket}/to`, ...o }))
    await assert.rejects(again({}), named('InvalidRequest', 400))
    await assert.rejects(again({ Key: 'x', CopySourceIfMatch: '"other"' }), named('PreconditionFailed', 412))
    await assert.rejects(again({ Key: 'x', CopySourceIfNoneMatch: copy.ETag }), named('PreconditionFailed', 412))
    await assert.rejects(again({ CopySource: `${Bucket}/none` }), named('NoSuchKey', 404))
    await assert.rejects(again({ CopySource: 'none/none' }), named('NoSuchBucket', 404))
    await assert.rejects(again({ CopySource: 'nothing' }), named('InvalidArgument', 400))
  })

  it('uploads a stream in parts', async () => {
    const content = pattern(11_000_001)
    const Body = Readable.from([content.subarray(0, 6_000_000), content.subarray(6_000_000)])
    const upload = new Upload({
      client: s3,
      params: { Bucket, Key: 'streamed', Body, Metadata: { a: 'b' } },
      partSize: 5 << 20,
    })
    const { ETag } = await upload.done()
    assert.match(ETag!, /^"[0-9a-f]{32}-3"$/)
    assert.deepEqual(await bytesOf('streamed'), content)
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'streamed' }))
    assert.deepEqual([head.ContentLength, head.Metadata], [11_000_001, { a: 'b' }])
  })

  it('uploads parts one by one, also copied ones, lists them, completes and aborts', async () => {
    const parts = [pattern(5 << 20, 1), pattern(5 << 20, 2), pattern(10, 3)]
    const Key = 'parts/é'
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ContentType: 'x/y' }))
    const part = (PartNumber: number, Body: Uint8Array) =>
      s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }))
    await put('source', parts[1]!)
    const third = await part(10_000, parts[2]!)
    const copied = await s3.send(
      new UploadPartCopyCommand({
        Bucket,
        Key,
        UploadId,
        PartNumber: 2,
        CopySource: `${Bucket}/source`,
        CopySourceRange: `bytes=0-${(5 << 20) - 1}`,
      }),
    )
    const first = await part(1, parts[0]!)
    const listed = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 2 }))
    assert.deepEqual(
      [
        listed.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
        listed.IsTruncated,
        listed.NextPartNumberMarker,
      ],
      [
        [
          [1, 5 << 20],
          [2, 5 << 20],
        ],
        true,
        '2',
      ],
    )
    const { Parts } = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId, PartNumberMarker: '2' }))
    assert.deepEqual(
      Parts?.map(({ PartNumber, ETag }) => [PartNumber, ETag]),
      [[10_000, third.ETag]],
    )
    const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: 'parts/' }))
    assert.deepEqual(
      Uploads?.map((upload) => [upload.Key, upload.UploadId]),
      [[Key, UploadId]],
    )

    const complete = (Parts: { PartNumber: number; ETag: string | undefined }[]) =>
      s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }))
    const [a, b, c] = [
      { PartNumber: 1, ETag: first.ETag },
      { PartNumber: 2, ETag: copied.CopyPartResult?.ETag },
      { PartNumber: 10_000, ETag: third.ETag },
    ]
    await assert.rejects(complete([b, a, c]), named('InvalidPartOrder', 400))
    await assert.rejects(complete([a, { ...b, ETag: first.ETag }]), named('InvalidPart', 400))
    await assert.rejects(complete([a, { PartNumber: 3, ETag: first.ETag }]), named('InvalidPart', 400))
    await assert.rejects(part(0, parts[2]!), named('InvalidArgument', 400))
    await assert.rejects(part(10_001, parts[2]!), named('InvalidArgument', 400))
    const done = await complete([a, b, c])
    const whole = Buffer.concat(parts)
    const etag = md5(Buffer.concat(parts.map((bytes) => Buffer.from(md5(bytes), 'hex'))))
    assert.equal(done.ETag, `"${etag}-3"`)
    assert.equal(md5(await bytesOf(Key)), md5(whole))
    await assert.rejects(complete([a, b, c]), named('NoSuchUpload', 404))

    const other = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    const of = { Bucket, Key, UploadId: other.UploadId }
    const small = await s3.send(new UploadPartCommand({ ...of, PartNumber: 1, Body: 'x' }))
    await s3.send(new UploadPartCommand({ ...of, PartNumber: 2, Body: 'y' }))
    const pair = [
      { PartNumber: 1, ETag: small.ETag },
      { PartNumber: 2, ETag: `"${md5(Buffer.from('y'))}"` },
    ]
    await assert.rejects(
      s3.send(new CompleteMultipartUploadCommand({ ...of, MultipartUpload: { Parts: pair } })),
      named('EntityTooSmall', 400),
    )
    await s3.send(new AbortMultipartUploadCommand(of))
    await assert.rejects(s3.send(new AbortMultipartUploadCommand(of)), named('NoSuchUpload', 404))
  })

  it('makes URLs that others use without a key', async () => {
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'given +ü' }), { expiresIn: 60 })
    assert.equal((await fetch(url, { method: 'PUT', body: 'from a browser' })).status, 200)
    const read = await getSignedUrl(
      s3,
      new GetObjectCommand({
        Bucket,
        Key: 'given +ü',
        ResponseContentType: 'text/x-own',
        ResponseContentDisposition: 'attachment; filename="a+b c"',
      }),
    )
    const answer = await fetch(read)
    assert.equal(await answer.text(), 'from a browser')
    assert.equal(answer.headers.get('content-type'), 'text/x-own')
    assert.equal(answer.headers.get('content-disposition'), 'attachment; filename="a+b c"')
    assert.equal((await fetch(read, { method: 'DELETE' })).status, 403)
    assert.equal((await fetch(read.replace('given', 'taken'))).status, 403)
    const old = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'x' }), {
      signingDate: new Date(Date.now() - 9e6),
      expiresIn: 60,
    })
    assert.match(await (await fetch(old)).text(), /<Code>AccessDenied<\/Code><Message>Request has expired</)
  })

  it('finds a bucket by the name of the host', async () => {
    await put('by-host', 'x')
    const hosted = client({ endpoint: endpoint.url.replace('127.0.0.1', 'localhost'), forcePathStyle: false })
    // nothing resolves bucket.localhost here, so the address is put in just before the request goes out
    hosted.middlewareStack.add(
      (next) => (args) => {
        Object.assign(args.request as object, { hostname: '127.0.0.1' })
        return next(args)
      },
      { step: 'finalizeRequest', priority: 'low' },
    )
    const { Contents } = await hosted.send(new ListObjectsCommand({ Bucket, Prefix: 'by-' }))
    assert.deepEqual(
      Contents?.map(({ Key }) => Key),
      ['by-host'],
    )
    hosted.destroy()
  })

  it('is told what there is not', async () => {
    await assert.rejects(s3.send(new GetBucketPolicyCommand({ Bucket })), named('NoSuchBucketPolicy', 404))
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await assert.rejects(
      s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration })),
      named('NotImplemented', 501),
    )
    await put('plain', 'x')
    assert.deepEqual((await s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'plain' }))).TagSet, [])
    const asks = (o: object) => s3.send(new PutObjectCommand({ Bucket, Key: 'plain', Body: 'y', ...o }))
    await assert.rejects(asks({ Tagging: 'a=b' }), named('NotImplemented', 501))
    await assert.rejects(asks({ ACL: 'public-read' }), named('AccessControlListNotSupported', 400))
    await asks({ ACL: 'private', StorageClass: 'STANDARD_IA', ServerSideEncryption: 'AES256' })
    await assert.rejects(
      s3.send(new GetObjectCommand({ Bucket, Key: 'plain', VersionId: 'v1' })),
      named('NoSuchVersion', 404),
    )
  })

  it('is refused with another secret, another key, or none', async () => {
    const asks = async (credentials: { accessKeyId: string; secretAccessKey: string }) => {
      const other = client({ credentials })
      await other.send(new ListBucketsCommand({})).finally(() => other.destroy())
    }
    await assert.rejects(
      asks({ accessKeyId: ACCESS_KEY, secretAccessKey: 'wrong' }),
      named('SignatureDoesNotMatch', 403),
    )
    await assert.rejects(asks({ accessKeyId: 'WRONG', secretAccessKey: SECRET }), named('InvalidAccessKeyId', 403))
    assert.equal((await fetch(endpoint.url)).status, 403)
  })
})

const pick = (from: object, names: string[]): object =>
  Object.fromEntries(names.map((name) => [name, (from as Record<string, unknown>)[name]]))
