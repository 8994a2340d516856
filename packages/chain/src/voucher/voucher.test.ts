import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { Address } from '@ton/core'
import fc from 'fast-check'
import { signerOf, verifierOf } from '../keys/ed25519.ts'
import * as schema from '../schema/index.ts'
import { VoucherBook } from './book.ts'
import { signVoucher, verifyVoucher, voucherForm, voucherFromJson, voucherToJson } from './voucher.ts'

const payer = signerOf(Buffer.alloc(32, 5))
const stranger = signerOf(Buffer.alloc(32, 6))
const contract = new Address(0, Buffer.alloc(32, 9))
const other = new Address(0, Buffer.alloc(32, 10))
const facts = { contract, payerKey: payer.publicKey, funded: 1000n, claimed: 0n }

test('the hash is that of the cell in the schema, for every network, contract and amount', () => {
  const amount = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 120n - 1n }),
    fc.integer({ min: 0, max: 120 }).map((bits) => 2n ** BigInt(bits) - 1n),
    fc.integer({ min: 0, max: 119 }).map((bits) => 2n ** BigInt(bits)),
  )
  fc.assert(
    fc.property(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constantFrom(0, -1),
      amount,
      (network, hash, workchain, amount) => {
        const of = new Address(workchain, Buffer.from(hash))
        const cell = schema.encode(schema.Voucher, { network, contract: of, amount })
        assert.equal(voucherForm(network, of).hash(amount).toString('hex'), cell.hash().toString('hex'))
      },
    ),
    { numRuns: 500, seed: 1 },
  )
  assert.throws(() => voucherForm(-3, contract).hash(2n ** 120n), { code: 'VOUCHER_AMOUNT' })
  assert.throws(() => voucherForm(-3, contract).hash(-1n), { code: 'VOUCHER_AMOUNT' })
})

test('a voucher is good for its network, contract, amount and key alone', () => {
  const form = voucherForm(-3, contract)
  const voucher = signVoucher(form, 7n, payer)
  const key = verifierOf(payer.publicKey)
  assert.ok(verifyVoucher(form, voucher, key))
  assert.ok(!verifyVoucher(form, { ...voucher, amount: 8n }, key))
  assert.ok(!verifyVoucher(form, { ...voucher, amount: -7n }, key))
  assert.ok(!verifyVoucher(form, { ...voucher, network: -239 }, key))
  assert.ok(!verifyVoucher(form, { ...voucher, contract: other }, key))
  assert.ok(!verifyVoucher(voucherForm(-239, contract), { ...voucher, network: -239 }, key))
  assert.ok(!verifyVoucher(voucherForm(-3, other), { ...voucher, contract: other }, key))
  assert.ok(!verifyVoucher(form, voucher, verifierOf(stranger.publicKey)))
  assert.ok(!verifyVoucher(form, { ...voucher, signature: voucher.signature.subarray(1) }, key))
  for (let bit = 0; bit < 512; bit += 37) {
    const signature = Buffer.from(voucher.signature)
    signature[bit >> 3] = (signature[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.ok(!verifyVoucher(form, { ...voucher, signature }, key), `bit ${bit}`)
  }
})

test('a voucher travels as JSON; anything else is refused', () => {
  const voucher = signVoucher(voucherForm(-3, contract), 7n, payer)
  const json = voucherToJson(voucher)
  assert.deepEqual(voucherToJson(voucherFromJson(JSON.parse(JSON.stringify(json)))), json)
  for (const wrong of [
    null,
    { ...json, amount: '07' },
    { ...json, amount: '-7' },
    { ...json, amount: '9'.repeat(38) },
    { ...json, contract: '-1:00' },
    { ...json, network: 2 ** 31 },
    { ...json, signature: json.signature.slice(2) },
    { ...json, more: 1 },
  ])
    assert.throws(() => voucherFromJson(wrong), { code: 'VOUCHER_INVALID' })
})

test('the book keeps the best voucher and refuses smaller, foreign, forged and over-funded ones', () => {
  const book = new VoucherBook({ network: -3 })
  book.keep(facts)
  const form = voucherForm(-3, contract)
  const sign = (amount: bigint, by = payer) => signVoucher(form, amount, by)
  assert.equal(book.accept(sign(10n)), 10n)
  assert.equal(book.accept(sign(25n)), 15n)
  for (const amount of [25n, 24n, 0n]) assert.throws(() => book.accept(sign(amount)), { code: 'VOUCHER_STALE' })
  assert.throws(() => book.accept(sign(1001n)), { code: 'VOUCHER_OVER_FUNDED' })
  assert.throws(() => book.accept(sign(26n, stranger)), { code: 'VOUCHER_FORGED' })
  assert.throws(() => book.accept({ ...sign(26n), amount: 27n }), { code: 'VOUCHER_FORGED' })
  assert.throws(() => book.accept(signVoucher(voucherForm(-3, other), 26n, payer)), { code: 'VOUCHER_FOREIGN' })
  assert.throws(() => book.accept(signVoucher(voucherForm(-239, contract), 26n, payer)), { code: 'VOUCHER_FOREIGN' })
  assert.equal(book.best(contract)?.amount, 25n)
  assert.equal(book.accept(sign(1000n)), 975n)
  book.keep({ ...facts, funded: 2000n, claimed: 1000n })
  assert.deepEqual(book.due(), [])
  assert.equal(book.accept(sign(2000n)), 1000n)
  assert.deepEqual(
    book.due().map(({ due }) => due),
    [1000n],
  )
  assert.deepEqual(book.due(1001n), [])
})

test('what was claimed on the chain counts, also when the book has not seen its vouchers', () => {
  const book = new VoucherBook({ network: -3 })
  book.keep({ ...facts, claimed: 500n })
  assert.throws(() => book.accept(signVoucher(voucherForm(-3, contract), 500n, payer)), { code: 'VOUCHER_STALE' })
  assert.equal(book.accept(signVoucher(voucherForm(-3, contract), 501n, payer)), 1n)
})

test('the book is bounded and takes no key that anybody can sign for', () => {
  const book = new VoucherBook({ network: -3, maxChannels: 2 })
  const identity = Buffer.from([1, ...Buffer.alloc(31)])
  for (const payerKey of [Buffer.alloc(32), identity, Buffer.alloc(31, 1)])
    assert.throws(() => book.keep({ ...facts, payerKey }), { code: 'KEY_INVALID' })
  book.keep(facts)
  assert.throws(() => book.keep({ ...facts, payerKey: stranger.publicKey }), { code: 'KEY_INVALID' })
  book.keep({ ...facts, contract: other })
  const third = new Address(0, Buffer.alloc(32, 11))
  assert.throws(() => book.keep({ ...facts, contract: third }), { code: 'VOUCHER_BOOK_FULL' })
  book.forget(other)
  book.keep({ ...facts, contract: third })
  assert.equal(book.size, 2)
})

test('no signature is made or checked by another library than node:crypto', () => {
  for (const file of ['voucher.ts', 'book.ts', '../keys/ed25519.ts'])
    assert.doesNotMatch(readFileSync(new URL(file, import.meta.url), 'utf8'), /tweetnacl|@ton\/crypto|noble/)
})
