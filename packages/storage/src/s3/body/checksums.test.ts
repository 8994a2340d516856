import assert from 'node:assert/strict'
import { it } from 'node:test'
import { S3Error } from '../errors.ts'
import { pattern } from '../testing/backend-contract.ts'
import { Checksums } from './checksums.ts'
import { crc32c, crc64nvme } from './crc.ts'

const check = (bytes: Uint8Array, headers: Record<string, string>, trailers: Record<string, string> = {}): string => {
  const checksums = new Checksums((name) => headers[name] ?? '')
  for (let at = 0; at < bytes.byteLength; at += 1001) checksums.update(bytes.subarray(at, at + 1001))
  for (const [name, value] of Object.entries(trailers)) checksums.trailer(name, value)
  checksums.check()
  return checksums.etag()
}
const refuses = (code: string) => (error: unknown) => error instanceof S3Error && error.code === code
const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')

/** The check values of "123456789": RevEng's catalogue of CRCs, and md5sum, sha1sum, sha256sum. */
const NINE = Buffer.from('123456789')
const KNOWN: Record<string, string> = {
  'content-md5': base64('25f9e794323b453885f5181f1b624d0b'),
  'x-amz-checksum-crc32': base64('cbf43926'),
  'x-amz-checksum-crc32c': base64('e3069283'),
  'x-amz-checksum-crc64nvme': base64('ae8b14860a799888'),
  'x-amz-checksum-sha1': base64('f7c3bc1d808e04732adf679965ccc34ca7ae3441'),
  'x-amz-checksum-sha256': base64('15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'),
}

it('knows the checksums of AWS, before and after the body', () => {
  for (const [name, value] of Object.entries(KNOWN)) {
    assert.equal(check(NINE, { [name]: value }), '25f9e794323b453885f5181f1b624d0b')
    assert.throws(() => check(Buffer.from('123456780'), { [name]: value }), refuses('BadDigest'))
    if (name === 'content-md5') continue
    check(NINE, { 'x-amz-trailer': name }, { [name]: value })
    assert.throws(() => check(Buffer.from('1'), { 'x-amz-trailer': name }, { [name]: value }), refuses('BadDigest'))
    assert.throws(() => check(NINE, { 'x-amz-trailer': name }), refuses('InvalidRequest'))
    assert.throws(() => check(NINE, {}, { [name]: value }), refuses('InvalidRequest'))
  }
  check(NINE, KNOWN)
})

it('refuses checksums that are none', () => {
  for (const value of ['', '!', 'AAAA', KNOWN['x-amz-checksum-crc32']!])
    if (value !== '') assert.throws(() => check(NINE, { 'content-md5': value }), refuses('InvalidDigest'))
  assert.throws(() => check(NINE, { 'x-amz-checksum-crc32': 'not base64' }), refuses('InvalidDigest'))
  assert.throws(() => check(NINE, { 'x-amz-trailer': 'x-amz-meta-a' }), refuses('InvalidRequest'))
})

it('sums the same in any pieces, bit by bit', () => {
  const bytes = pattern(1003)
  const bitwise = (polynomial: bigint, width: bigint): bigint => {
    const ones = (1n << width) - 1n
    let crc = ones
    for (const byte of bytes) {
      crc ^= BigInt(byte)
      for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ polynomial : crc >> 1n
    }
    return crc ^ ones
  }
  for (const cut of [0, 1, 8, 13, 500, 1003]) {
    const [head, tail] = [bytes.subarray(0, cut), bytes.subarray(cut)]
    assert.equal(BigInt(crc32c(tail, crc32c(head))), bitwise(0x82f63b78n, 32n))
    const { low, high } = crc64nvme(tail, crc64nvme(head))
    assert.equal((BigInt(high) << 32n) | BigInt(low), bitwise(0x9a6c9329ac4bc9b5n, 64n))
  }
})
