import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, beginCell, toNano } from '@ton/core'
import * as schema from './index.ts'
import { decode, EXIT, encode, forwardPayload, LAYOUTS, STANDARD } from './index.ts'

const someone = new Address(0, Buffer.alloc(32, 7))

test('no two messages share an op-code, no two errors an exit code', () => {
  const ops = LAYOUTS.map(({ op }) => op).filter((op) => op !== undefined)
  assert.equal(new Set(ops).size, ops.length)
  const codes = Object.values(EXIT)
  assert.equal(new Set(codes).size, codes.length)
  for (const code of codes) assert.ok(code > 13, 'codes up to 13 and 32 to 40 are the TVM’s')
})

test('op-codes of the standards are what the TEPs derive from their TL-B', () => {
  // crc32 of the scheme; requests with the top bit cleared, answers with it set (TEP-74's own rule)
  assert.equal(STANDARD.jettonTransfer, 0x0f8a7ea5)
  assert.equal(STANDARD.excesses, 0xd53276db)
})

test('what is encoded is decoded', () => {
  const transfer = {
    queryId: 2n ** 64n - 1n,
    amount: toNano('1.5'),
    destination: someone,
    responseDestination: null,
    customPayload: null,
    forwardAmount: 1n,
    forwardPayload: forwardPayload(beginCell().storeUint(9, 9).endCell()),
  }
  const back = decode(schema.JettonTransfer, encode(schema.JettonTransfer, transfer))
  assert.deepEqual({ ...back, forwardPayload: 0, destination: 0 }, { ...transfer, forwardPayload: 0, destination: 0 })
  assert.ok(back.destination.equals(someone))
  assert.ok(back.forwardPayload.asCell().equals(transfer.forwardPayload.asCell()))
})

test('another op-code, bits too many and bits too few are refused by name', () => {
  const excesses = encode(schema.Excesses, { queryId: 1n })
  assert.throws(() => decode(schema.TopUp, excesses), { code: 'CHAIN_LAYOUT', message: /TopUp: another op-code/ })
  assert.throws(() => decode(schema.JettonBurn, encode(schema.TopUp, {})), { code: 'CHAIN_LAYOUT' })
  const long = beginCell().storeSlice(excesses.beginParse()).storeBit(true).endCell()
  assert.throws(() => decode(schema.Excesses, long), { code: 'CHAIN_LAYOUT', message: /more than the fields/ })
  assert.throws(() => decode(schema.Excesses, beginCell().storeUint(STANDARD.excesses, 32).endCell()), {
    code: 'CHAIN_LAYOUT',
  })
})

test('Tolk gets the same structs', () => {
  assert.match(schema.toTolk([schema.Excesses]), /struct \(0xd53276db\) Excesses \{\n {4}queryId: uint64\n\}/)
})
