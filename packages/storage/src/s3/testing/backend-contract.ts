import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { etagOfParts } from '../operations/multipart.ts'
import type { Description, ListOptions, ObjectBackend, OpenObject, Span, Upload } from '../port.ts'
import { uploadOf } from './memory-backend.ts'

const plain: Description = { headers: { 'content-type': 'text/plain' }, metadata: {} }
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')
const text = (value: string): Uint8Array => Buffer.from(value)
const refuses = (code: string) => (error: unknown) => isPinGoError(error, code)

/** Bytes that differ everywhere, so that what is cut or joined wrongly shows. */
export function pattern(bytes: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4))
  let state = seed
  for (let at = 0; at < words.length; at++) words[at] = state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return new Uint8Array(words.buffer, 0, bytes)
}

async function readAll(object: OpenObject, span?: Span): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of object.read(span)) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

/** Like {@link uploadOf}, but it fails in the end as one with a wrong checksum does. */
function brokenUpload(bytes: Uint8Array): Upload {
  const whole = uploadOf(bytes)
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield* whole.stream
    throw new Error('The checksum does not match.')
  }
  return { ...whole, stream: stream() }
}

/**
 * What every {@link ObjectBackend} must do, as tests of `node:test`.
 * @param make an empty backend; `close` is called after each test
 */
export function backendContract(
  name: string,
  make: () => Promise<{ backend: ObjectBackend; close?(): Promise<void> }>,
): void {
  const test = (title: string, run: (backend: ObjectBackend) => Promise<void>): void => {
    it(title, async () => {
      const { backend, close } = await make()
      try {
        await run(backend)
      } finally {
        await close?.()
      }
    })
  }
  const withBucket = (title: string, run: (backend: ObjectBackend) => Promise<void>): void =>
    test(title, async (backend) => {
      await backend.createBucket('bucket')
      await run(backend)
    })
  const names = async (backend: ObjectBackend, o: Partial<ListOptions>) => {
    const { entries, isTruncated } = await backend.list('bucket', {
      prefix: '',
      delimiter: '',
      after: '',
      limit: 1000,
      ...o,
    })
    return [
      ...entries.map((entry) => ('key' in entry ? entry.key : `${entry.prefix}…`)),
      ...(isTruncated ? ['more'] : []),
    ]
  }
  const fill = async (backend: ObjectBackend, keys: string[]) => {
    for (const key of keys) await backend.put('bucket', key, uploadOf(text(key)), plain)
  }

  describe(`${name} as a backend of S3`, () => {
    test('makes, lists and removes buckets', async (backend) => {
      assert.deepEqual(await backend.listBuckets(), [])
      await backend.createBucket('second')
      await backend.createBucket('first')
      assert.deepEqual(
        (await backend.listBuckets()).map((bucket) => bucket.name),
        ['first', 'second'],
      )
      await assert.rejects(backend.createBucket('first'), refuses('BUCKET_EXISTS'))
      assert.equal((await backend.headBucket('first'))?.name, 'first')
      await backend.put('first', 'key', uploadOf(text('x')), plain)
      await assert.rejects(backend.deleteBucket('first'), refuses('BUCKET_NOT_EMPTY'))
      await backend.delete('first', 'key')
      await backend.createUpload('first', 'unfinished', plain)
      await backend.deleteBucket('first')
      assert.equal(await backend.headBucket('first'), undefined)
    })

    test('refuses what is asked of a bucket that is not there', async (backend) => {
      const all = { prefix: '', delimiter: '', after: '', limit: 10 }
      const missing = refuses('BUCKET_MISSING')
      await assert.rejects(backend.head('none', 'key'), missing)
      await assert.rejects(backend.get('none', 'key'), missing)
      await assert.rejects(backend.list('none', all), missing)
      await assert.rejects(backend.put('none', 'key', uploadOf(text('x')), plain), missing)
      await assert.rejects(backend.delete('none', 'key'), missing)
      await assert.rejects(backend.createUpload('none', 'key', plain), missing)
      await assert.rejects(backend.listUploads('none'), missing)
      await assert.rejects(backend.deleteBucket('none'), missing)
    })

    withBucket('keeps bytes and description of an object, also of none and of several MiB', async (backend) => {
      for (const bytes of [0, 1, 65_536, 3_500_000]) {
        const content = pattern(bytes)
        const description = {
          headers: { 'content-type': 'a/b', 'cache-control': 'no-cache' },
          metadata: { 'x-y': 'é=1' },
        }
        const put = await backend.put('bucket', `of ${bytes}`, uploadOf(content), description)
        assert.equal(put.etag, md5(content))
        const info = (await backend.head('bucket', `of ${bytes}`))!
        assert.deepEqual(info, { bytes, etag: put.etag, modifiedAt: put.modifiedAt, ...description })
        const open = (await backend.get('bucket', `of ${bytes}`))!
        assert.deepEqual(open.info, info)
        assert.equal(md5(await readAll(open)), put.etag)
      }
      assert.equal(await backend.head('bucket', 'none'), undefined)
      assert.equal(await backend.get('bucket', 'none'), undefined)
    })

    withBucket('reads ranges', async (backend) => {
      const content = pattern(2_500_000)
      await backend.put('bucket', 'key', uploadOf(content), plain)
      const open = (await backend.get('bucket', 'key'))!
      for (const [start, end] of [
        [0, 1],
        [1, 1_048_577],
        [1_048_575, 1_048_577],
        [2_499_999, 2_500_000],
        [0, 2_500_000],
      ] as const)
        assert.equal(md5(await readAll(open, { start, end })), md5(content.subarray(start, end)))
      for await (const part of open.read()) {
        assert.ok(part.byteLength > 0)
        break // a reader may stop early
      }
    })

    withBucket('keeps nothing of an upload that fails in the end, not even over an older object', async (backend) => {
      await backend.put('bucket', 'old', uploadOf(text('old')), plain)
      for (const key of ['old', 'new'])
        await assert.rejects(backend.put('bucket', key, brokenUpload(pattern(1_200_000)), plain), /checksum/)
      assert.deepEqual(await names(backend, {}), ['old'])
      assert.equal(Buffer.from(await readAll((await backend.get('bucket', 'old'))!)).toString(), 'old')
    })

    withBucket('replaces and deletes; whoever reads an older version reads it to its end', async (backend) => {
      await backend.put('bucket', 'key', uploadOf(pattern(100, 1)), plain)
      const older = (await backend.get('bucket', 'key'))!
      await backend.put('bucket', 'key', uploadOf(pattern(200, 2)), plain)
      assert.equal((await backend.head('bucket', 'key'))?.bytes, 200)
      assert.equal(md5(await readAll(older)), md5(pattern(100, 1)))
      await backend.delete('bucket', 'key')
      await backend.delete('bucket', 'key')
      assert.equal(await backend.head('bucket', 'key'), undefined)
    })

    withBucket('holds the conditions of a write', async (backend) => {
      const put = (o: { ifAbsent?: boolean; ifMatch?: string }, value = 'x') =>
        backend.put('bucket', 'key', uploadOf(text(value)), { ...plain, ...o })
      await assert.rejects(put({ ifMatch: md5(text('x')) }), refuses('PRECONDITION_FAILED'))
      const results = await Promise.allSettled(['a', 'b', 'c'].map((value) => put({ ifAbsent: true }, value)))
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
      const { etag } = (await backend.head('bucket', 'key'))!
      await assert.rejects(put({ ifAbsent: true }), refuses('PRECONDITION_FAILED'))
      await assert.rejects(put({ ifMatch: md5(text('other')) }), refuses('PRECONDITION_FAILED'))
      await put({ ifMatch: etag }, 'new')
      assert.equal((await backend.head('bucket', 'key'))?.etag, md5(text('new')))
    })

    withBucket('takes keys of any characters, as they are', async (backend) => {
      const keys = [
        'a/../b',
        '/',
        '//x',
        ' ',
        '%2F',
        'a+b',
        '\u00e9',
        'e\u0301',
        '日本/🙂',
        '.',
        '..',
        '\'"`;--',
        'line\nbreak',
        'k'.repeat(1024),
      ]
      await fill(backend, keys)
      assert.deepEqual((await names(backend, {})).sort(), [...keys].sort())
      for (const key of keys)
        assert.equal(Buffer.from(await readAll((await backend.get('bucket', key))!)).toString(), key)
    })

    withBucket('lists in the order of UTF-8 bytes, by pages', async (backend) => {
      const ordered = ['A', 'a', 'a!', 'a/b', 'aa', 'z', 'é', '\uff21', '🙂'] // UTF-16 would put 🙂 before Ａ
      await fill(backend, [...ordered].reverse())
      assert.deepEqual(await names(backend, {}), ordered)
      assert.deepEqual(await names(backend, { limit: 4 }), [...ordered.slice(0, 4), 'more'])
      assert.deepEqual(await names(backend, { after: 'a/b', limit: 5 }), ordered.slice(4))
      assert.deepEqual(await names(backend, { after: 'a/' }), ordered.slice(3))
      assert.deepEqual(await names(backend, { prefix: 'a' }), ordered.slice(1, 5))
      assert.deepEqual(await names(backend, { prefix: 'a', after: 'b' }), [])
      assert.deepEqual(await names(backend, { prefix: 'a', after: '0' }), ordered.slice(1, 5))
      assert.deepEqual(await names(backend, { prefix: 'none' }), [])
      const { entries } = await backend.list('bucket', { prefix: 'a/b', delimiter: '', after: '', limit: 1 })
      assert.deepEqual(entries, [{ key: 'a/b', info: await backend.head('bucket', 'a/b') }])
    })

    withBucket('lists common prefixes once, also over pages', async (backend) => {
      await fill(backend, ['a', 'b/1', 'b/2', 'b/c/3', 'b0', 'c%1', 'c_1', 'd//e', 'd//f', 'é/1', 'é/2'])
      const slash = { delimiter: '/' }
      assert.deepEqual(await names(backend, slash), ['a', 'b/…', 'b0', 'c%1', 'c_1', 'd/…', 'é/…'])
      assert.deepEqual(await names(backend, { ...slash, limit: 2 }), ['a', 'b/…', 'more'])
      assert.deepEqual(await names(backend, { ...slash, after: 'b/', limit: 2 }), ['b0', 'c%1', 'more'])
      assert.deepEqual(await names(backend, { ...slash, after: 'c_1' }), ['d/…', 'é/…'])
      assert.deepEqual(await names(backend, { ...slash, after: 'é/' }), [])
      assert.deepEqual(await names(backend, { ...slash, prefix: 'b/' }), ['b/1', 'b/2', 'b/c/…'])
      assert.deepEqual(await names(backend, { ...slash, prefix: 'b' }), ['b/…', 'b0'])
      assert.deepEqual(await names(backend, { ...slash, prefix: 'd/' }), ['d//…'])
      assert.deepEqual(await names(backend, { delimiter: '//' }), [
        'a',
        'b/1',
        'b/2',
        'b/c/3',
        'b0',
        'c%1',
        'c_1',
        'd//…',
        'é/1',
        'é/2',
      ])
      assert.deepEqual(await names(backend, { prefix: 'c_' }), ['c_1'])
      assert.deepEqual(await names(backend, { prefix: 'c%' }), ['c%1'])
    })

    withBucket('copies with the description or another, and keeps the copy when the source goes', async (backend) => {
      const content = pattern(1_500_000)
      const from = { bucket: 'bucket', key: 'from' }
      await backend.createBucket('other')
      const { etag } = await backend.put('bucket', 'from', uploadOf(content), { ...plain, metadata: { a: '1' } })
      const copied = await backend.copy({ ...from, etag }, { bucket: 'other', key: 'to' }, {})
      assert.equal(copied.etag, etag)
      const changed = { headers: { 'content-type': 'x/y' }, metadata: { b: '2' } }
      await backend.copy(from, from, { description: changed })
      const info = (await backend.head('bucket', 'from'))!
      assert.deepEqual({ headers: info.headers, metadata: info.metadata, etag: info.etag }, { ...changed, etag })
      await backend.delete('bucket', 'from')
      const open = (await backend.get('other', 'to'))!
      assert.deepEqual(open.info.metadata, { a: '1' })
      assert.equal(md5(await readAll(open)), etag)
      await assert.rejects(backend.copy(from, from, {}), refuses('OBJECT_MISSING'))
      const to = { bucket: 'other', key: 'to' }
      await assert.rejects(backend.copy({ ...to, etag: md5(text('x')) }, to, {}), refuses('PRECONDITION_FAILED'))
      await assert.rejects(backend.copy(to, to, { ifAbsent: true }), refuses('PRECONDITION_FAILED'))
      await assert.rejects(backend.copy(to, { bucket: 'none', key: 'k' }, {}), refuses('BUCKET_MISSING'))
    })

    withBucket('joins parts in the order of their numbers, whatever order they came in', async (backend) => {
      const description = { headers: { 'content-type': 'a/b' }, metadata: { of: 'parts' } }
      const { id } = await backend.createUpload('bucket', 'big', description)
      const contents = [pattern(1_300_000, 1), pattern(1_200_001, 2), pattern(7, 3)]
      for (const [number, seed] of [
        [10, 3],
        [2, 2],
        [1, 9],
        [1, 1],
        [3, 4],
      ] as const) // part 1 is replaced, part 3 is not used
        await backend.putPart('bucket', 'big', id, number, uploadOf(contents[seed - 1] ?? text('unused')))
      await assert.rejects(backend.putPart('bucket', 'big', id, 2, brokenUpload(text('broken'))), /checksum/)
      const there = await backend.listParts('bucket', 'big', id)
      assert.deepEqual(
        there.map(({ number, bytes }) => [number, bytes]),
        [
          [1, 1_300_000],
          [2, 1_200_001],
          [3, 6],
          [10, 7],
        ],
      )
      assert.deepEqual(await names(backend, {}), [], 'an upload is not seen before it is complete')
      assert.deepEqual(
        (await backend.listUploads('bucket')).map((upload) => [upload.id, upload.key]),
        [[id, 'big']],
      )
      const parts = there.filter(({ number }) => number !== 3)
      const wrong = parts.map((part) => ({ ...part, etag: md5(text('wrong')) }))
      await assert.rejects(
        backend.completeUpload('bucket', 'big', id, { parts: wrong, etag: 'x' }),
        refuses('PART_MISSING'),
      )
      const etag = etagOfParts(parts)
      assert.equal((await backend.completeUpload('bucket', 'big', id, { parts, etag })).etag, etag)
      const open = (await backend.get('bucket', 'big'))!
      const whole = Buffer.concat(contents)
      const { modifiedAt } = open.info
      assert.deepEqual(open.info, { bytes: whole.byteLength, etag, modifiedAt, ...description })
      assert.equal(md5(await readAll(open)), md5(whole))
      for (const [start, end] of [
        [1_299_999, 1_300_001],
        [1_300_000, 2_500_001],
        [2_500_000, 2_500_008],
        [5, 2_500_002],
      ] as const)
        assert.equal(md5(await readAll(open, { start, end })), md5(whole.subarray(start, end)))
      await assert.rejects(backend.listParts('bucket', 'big', id), refuses('UPLOAD_MISSING'))
      assert.deepEqual(await backend.listUploads('bucket'), [])
      await backend.copy({ bucket: 'bucket', key: 'big' }, { bucket: 'bucket', key: 'copy' }, {})
      await backend.delete('bucket', 'big')
      assert.equal(md5(await readAll((await backend.get('bucket', 'copy'))!)), md5(whole))
    })

    withBucket('forgets an upload that is aborted, and knows uploads by bucket, key and id', async (backend) => {
      const { id } = await backend.createUpload('bucket', 'key', plain)
      const missing = refuses('UPLOAD_MISSING')
      await assert.rejects(backend.putPart('bucket', 'other', id, 1, uploadOf(text('x'))), missing)
      await assert.rejects(backend.putPart('bucket', 'key', 'none', 1, uploadOf(text('x'))), missing)
      await backend.putPart('bucket', 'key', id, 1, uploadOf(text('x')))
      await backend.abortUpload('bucket', 'key', id)
      await assert.rejects(backend.abortUpload('bucket', 'key', id), missing)
      await assert.rejects(backend.putPart('bucket', 'key', id, 2, uploadOf(text('x'))), missing)
      await assert.rejects(backend.completeUpload('bucket', 'key', id, { parts: [], etag: '' }), missing)
    })

    withBucket('holds the conditions when an upload is completed', async (backend) => {
      await fill(backend, ['key'])
      const { id } = await backend.createUpload('bucket', 'key', plain)
      const part = await backend.putPart('bucket', 'key', id, 1, uploadOf(text('x')))
      const parts = [{ number: 1, etag: part.etag }]
      const complete = (o: { ifAbsent?: boolean; ifMatch?: string }) =>
        backend.completeUpload('bucket', 'key', id, { parts, etag: etagOfParts(parts), ...o })
      await assert.rejects(complete({ ifAbsent: true }), refuses('PRECONDITION_FAILED'))
      await complete({ ifMatch: md5(text('key')) })
      assert.equal((await backend.head('bucket', 'key'))?.bytes, 1)
    })

    withBucket('bears writers of the same key at once: one of them wins whole', async (backend) => {
      const contents = [1, 2, 3, 4].map((seed) => pattern(300_000 + seed, seed))
      await Promise.all(contents.map((content) => backend.put('bucket', 'key', uploadOf(content), plain)))
      const open = (await backend.get('bucket', 'key'))!
      assert.equal(md5(await readAll(open)), open.info.etag)
      assert.ok(contents.some((content) => md5(content) === open.info.etag))
    })
  })
}
