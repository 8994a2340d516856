import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { ed25519 } from '@noble/curves/ed25519.js'
import { keyPairFromSeed, sign } from '@ton/crypto'
import fc from 'fast-check'
import { isSafeKey, signerOf, verifyEd25519 } from './ed25519.ts'

const bytes = (n: number) => fc.uint8Array({ minLength: n, maxLength: n })

test('signatures are those of RFC 8032, of @noble/curves and of @ton/crypto', () => {
  // RFC 8032, 7.1, test 2
  const seed = Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex')
  const signer = signerOf(seed)
  assert.equal(signer.publicKey.toString('hex'), '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
  assert.equal(
    signer.sign(Buffer.from([0x72])).toString('hex'),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  )
  fc.assert(
    fc.property(bytes(32), fc.uint8Array({ maxLength: 200 }), (seed, message) => {
      const signer = signerOf(seed)
      const signature = signer.sign(message)
      assert.deepEqual(new Uint8Array(signature), ed25519.sign(message, seed))
      assert.ok(verifyEd25519(signer.publicKey, message, signature))
    }),
    { numRuns: 30 },
  )
  const pair = keyPairFromSeed(seed)
  assert.deepEqual(pair.publicKey, signer.publicKey)
  assert.deepEqual(sign(Buffer.from('hello'), pair.secretKey), signer.sign(Buffer.from('hello')))
})

test('another key, message or signature is refused, and so is what is malformed', () => {
  const signer = signerOf(Buffer.alloc(32, 7))
  const message = Buffer.from('message')
  const signature = signer.sign(message)
  fc.assert(
    fc.property(fc.nat(63), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const other = Buffer.from(signature)
      other[at] = (other[at] as number) ^ flip
      assert.equal(verifyEd25519(signer.publicKey, message, other), false)
    }),
  )
  assert.equal(verifyEd25519(signer.publicKey, Buffer.from('massage'), signature), false)
  assert.equal(verifyEd25519(signerOf(Buffer.alloc(32, 8)).publicKey, message, signature), false)
  assert.equal(verifyEd25519(signer.publicKey, message, signature.subarray(1)), false)
  assert.equal(verifyEd25519(signer.publicKey.subarray(1), message, signature), false)
  assert.throws(() => signerOf(Buffer.alloc(31)), { code: 'KEY_INVALID' })
})

test('keys that anybody can sign for are refused', () => {
  // all points of order 1, 2, 4 and 8, told by another library: with each sign bit, and also as numbers not below p
  const order8 = ed25519.Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05')
  assert.ok(order8.clearCofactor().is0())
  let point = order8
  const seen = new Set<string>()
  for (let i = 0; i < 8; i++, point = point.add(order8)) {
    seen.add(point.toHex())
    assert.equal(isSafeKey(point.toBytes()), false, point.toHex())
  }
  assert.equal(seen.size, 8)
  const sloppy = ['ed', 'ee'].map((low) => Buffer.from(`${low}${'ff'.repeat(30)}7f`, 'hex'))
  for (const key of sloppy) {
    assert.equal(isSafeKey(key), false)
    assert.equal(isSafeKey(Buffer.concat([key.subarray(0, 31), Buffer.from([0xff])])), false)
  }
  // R = the identity, S = 0 verifies for the identity as key, whatever the message
  const identity = Buffer.alloc(32)
  identity[0] = 1
  assert.equal(verifyEd25519(identity, Buffer.from('anything'), Buffer.concat([identity, Buffer.alloc(32)])), false)
  assert.ok(isSafeKey(signerOf(Buffer.alloc(32, 1)).publicKey))
})

test('a printed signer shows no key', () => {
  const seed = Buffer.alloc(32, 0xab)
  const shown = inspect(signerOf(seed), { depth: 9, showHidden: true }) + JSON.stringify(signerOf(seed))
  assert.ok(!shown.includes('abab') && !shown.includes('171,171') && !shown.includes('ab ab'))
})
