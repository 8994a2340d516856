import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { cidOf, isPinGoError, type KeyGrant } from '@pingo/wire'
import { openGrant, sealGrant } from './grant.ts'
import { GrantBook, MAX_GRANTS } from './grant-book.ts'
import { receiverOf } from './wrap.ts'

const grantOf = (object: string, job: string, until: number, fill = 5): KeyGrant => ({
  object: cidOf(Buffer.from(object)).toString(),
  key: new Uint8Array(32).fill(fill),
  job,
  until,
})
const failsWith = (code: string) => (error: unknown) => isPinGoError(error, code)

test('a grant opens for whom it was meant, for its job', async () => {
  const receiver = await receiverOf(new Uint8Array(32).fill(1))
  const stranger = await receiverOf(new Uint8Array(32).fill(2))
  const grant = grantOf('x', 'job-1', 100)
  const sealed = await sealGrant(receiver.publicKey, grant)
  const opened = await openGrant(receiver, 'job-1', sealed)
  assert.deepEqual({ ...opened, key: Uint8Array.from(opened.key) }, grant)
  await assert.rejects(openGrant(stranger, 'job-1', sealed), failsWith('WRAP_INVALID'))
  await assert.rejects(openGrant(receiver, 'job-2', sealed), failsWith('WRAP_INVALID'))
  await assert.rejects(
    openGrant(
      receiver,
      'job-1',
      sealed.map((byte) => byte ^ 1),
    ),
    failsWith('WRAP_INVALID'),
  )
  const short = { ...grant, key: new Uint8Array(31) }
  await assert.rejects(sealGrant(receiver.publicKey, short), failsWith('MESSAGE_INVALID'))
})

test('a key is there while its job runs and its time lasts, and then it is zeros', () => {
  const book = new GrantBook()
  const [a, b, c] = [grantOf('a', 'job-1', 100), grantOf('b', 'job-1', 50), grantOf('a', 'job-2', 100, 6)]
  for (const grant of [a, b, c]) book.add(grant, 0)
  const keys = [a, b, c].map(({ job, object }) => book.key(job, object, 10))
  assert.deepEqual(
    keys.map((key) => key[0]),
    [5, 5, 6],
  )
  assert.throws(() => book.key('job-3', a.object, 10), failsWith('GRANT_MISSING'))
  assert.throws(() => book.key('job-2', b.object, 10), failsWith('GRANT_MISSING'))
  assert.throws(() => book.key('job-1', b.object, 50), failsWith('GRANT_EXPIRED'))
  assert.deepEqual(
    keys.map((key) => key[0]),
    [5, 0, 6],
  )
  book.endJob('job-1')
  assert.deepEqual(
    keys.map((key) => key.some(Boolean)),
    [false, false, true],
  )
  assert.throws(() => book.key('job-1', a.object, 10), failsWith('GRANT_MISSING'))
  assert.equal(book.size, 1)
  book.forgetExpired(100)
  assert.equal(book.size, 0)
  assert.ok(!keys[2]!.some(Boolean))
  assert.equal(a.key[0], 5, 'the caller’s array is the caller’s')
})

test('a renewed grant replaces the old one; what is over is not taken; the number is bounded', () => {
  const book = new GrantBook()
  book.add(grantOf('a', 'job', 100), 0)
  book.add(grantOf('a', 'job', 200), 90)
  assert.equal(book.key('job', grantOf('a', 'job', 0).object, 150)[0], 5)
  assert.throws(() => book.add(grantOf('b', 'job', 150), 150), failsWith('GRANT_EXPIRED'))
  for (let i = book.size; i < MAX_GRANTS; i++) book.add({ ...grantOf('a', 'job', 200), object: `${i}` }, 150)
  assert.throws(() => book.add(grantOf('b', 'job', 300), 150), failsWith('GRANTS_TOO_MANY'))
  book.add(grantOf('b', 'job', 300), 200)
  assert.equal(book.size, 1)
})

test('a printed book shows no key', () => {
  const book = new GrantBook()
  book.add(grantOf('a', 'job', 100, 0xab), 0)
  const shown = `${inspect(book, { depth: 9, showHidden: true })} ${inspect({ book }, { depth: 9 })} ${JSON.stringify(book)}`
  assert.ok(!/abab|171/.test(shown), shown)
})
