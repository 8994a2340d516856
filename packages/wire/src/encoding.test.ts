import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { cidOf, DAG_CBOR, decode, encode, isPinGoError, matchesCid, parseCid, validate } from './index.ts'

test('equal values have equal bytes: members in any order, undefined ones left out', () => {
  assert.deepEqual(encode({ b: 1, a: [{ c: undefined, d: 2 }] }), encode({ a: [{ d: 2 }], b: 1, c: undefined }))
})

test('bytes that are not canonical are refused', () => {
  const schema = z.unknown()
  for (const hex of ['1817ff', '190001', 'bf616101ff', '', 'ff']) // trailing bytes, long integer, indefinite length, nothing, break
    assert.throws(
      () => decode(schema, Buffer.from(hex, 'hex'), 100),
      (error) => isPinGoError(error, 'MESSAGE_MALFORMED'),
      hex,
    )
})

test('the first fault is named by its path', () => {
  const schema = z.strictObject({ a: z.strictObject({ b: z.array(z.int()) }) })
  assert.throws(() => validate(schema, { a: { b: [1, 'x'] } }, 'job'), /Invalid job: a\.b\.1: /)
})

test('CIDs equal those of other tools', () => {
  assert.equal(cidOf(Buffer.from('')).toString(), 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
  const hello = cidOf(Buffer.from('hello world'))
  const digest = 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9' // sha256sum of coreutils
  assert.equal(Buffer.from(hello.multihash.digest).toString('hex'), digest)
  assert.equal(parseCid(`pingo://${hello}`).toString(), hello.toString())
  assert.equal(matchesCid(hello, Buffer.from('hello world')), true)
  assert.equal(matchesCid(hello, Buffer.from('hello worlds')), false)
  assert.notEqual(cidOf(Buffer.from(''), DAG_CBOR).toString(), cidOf(Buffer.from('')).toString())
  assert.throws(
    () => parseCid('../etc/passwd'),
    (error) => isPinGoError(error, 'CID_MALFORMED'),
  )
})
