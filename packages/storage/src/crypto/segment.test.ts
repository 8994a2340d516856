import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { beginRecord, KEY_BYTES, keyCheck, newObjectKey, openRecord, sealRecord, TAG_BYTES } from './segment.ts'

const key = Buffer.alloc(KEY_BYTES, 1)
const plaintext = Buffer.from('a record of an object')

test('a record opens as it was sealed: with its key, at its place, whole', () => {
  const { ciphertext, tag } = sealRecord(key, 3, false, plaintext)
  assert.equal(ciphertext.byteLength, plaintext.byteLength)
  assert.equal(tag.byteLength, TAG_BYTES)
  assert.deepEqual(Buffer.from(openRecord(key, 3, false, ciphertext, tag)), plaintext)
  const refused = (...record: Parameters<typeof openRecord>) =>
    assert.throws(
      () => openRecord(...record),
      (error) =>
        isPinGoError(error, 'DATA_TAMPERED') && !JSON.stringify(error).includes(Buffer.from(key).toString('hex')),
    )
  const flipped = (bytes: Uint8Array, i: number) => bytes.map((byte, at) => (at === i ? byte ^ 1 : byte))
  refused(newObjectKey(), 3, false, ciphertext, tag)
  refused(key, 2, false, ciphertext, tag) // moved
  refused(key, 3, true, ciphertext, tag) // made the last: what follows is cut off
  refused(key, 3, false, ciphertext.subarray(1), tag)
  refused(key, 3, false, ciphertext, tag.subarray(0, 12))
  refused(key, 3, false, ciphertext, new Uint8Array())
  for (let i = 0; i < ciphertext.byteLength; i++) refused(key, 3, false, flipped(ciphertext, i), tag)
  for (let i = 0; i < TAG_BYTES; i++) refused(key, 3, false, ciphertext, flipped(tag, i))
})

test('a record opens piece by piece; whether all of it was right is told at its end', () => {
  const { ciphertext, tag } = sealRecord(key, 3, true, plaintext)
  const opened = (record: ReturnType<typeof beginRecord>, bytes: Uint8Array) =>
    Buffer.concat([record.update(bytes.subarray(0, 7)), record.update(bytes.subarray(7))])
  const record = beginRecord(key, 3, true)
  assert.deepEqual(opened(record, ciphertext), plaintext)
  record.end(tag)
  const other = beginRecord(key, 3, true)
  opened(
    other,
    ciphertext.map((byte, n) => (n === 9 ? byte ^ 1 : byte)),
  )
  assert.throws(
    () => other.end(tag),
    (error) => isPinGoError(error, 'DATA_TAMPERED'),
  )
})

test('what is told of a key is the same for it, and another for any other', () => {
  assert.equal(
    Buffer.from(keyCheck(key)).toString('hex'),
    '6fd78c3c8610f612d4aba4efa5aa61ab9d7da91a1413741904b809bc4c7771ec',
  )
  assert.notDeepEqual(keyCheck(key), keyCheck(newObjectKey()))
})

test('an empty record is a record', () => {
  const { ciphertext, tag } = sealRecord(key, 0, true, new Uint8Array())
  assert.equal(ciphertext.byteLength, 0)
  assert.equal(openRecord(key, 0, true, ciphertext, tag).byteLength, 0)
})

test('records of one key never share a nonce: an index is a whole number below 2^32', () => {
  for (const index of [-1, 0.5, 2 ** 32, Number.NaN])
    assert.throws(() => sealRecord(key, index, false, plaintext), RangeError)
  assert.ok(sealRecord(key, 2 ** 32 - 1, true, plaintext))
  assert.notDeepEqual(sealRecord(key, 0, false, plaintext).ciphertext, sealRecord(key, 1, false, plaintext).ciphertext)
})

test('the format is what it was: ciphertext and tag of a known record', () => {
  const { ciphertext, tag } = sealRecord(key, 258, true, plaintext)
  assert.equal(
    Buffer.concat([ciphertext, tag]).toString('hex'),
    '61e5814009ad04b3c641ca231d625cf83ea42cb2028c1ecc321e5220e4d08042cf93094b0f',
  )
})
