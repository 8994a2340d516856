import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginCell, Cell } from '@ton/core'
import * as wallets from '@ton/ton'
import fc from 'fast-check'
import { accountOf, connectWallet, proofOf, stateCell } from '../testing/ton-connect.ts'
import { checkTonProof, PROOF_MAX_AGE_MS, PROOF_MAX_AHEAD_MS, verifyTonProof } from './check.ts'
import { MAX_REQUEST_BYTES, parseTonProof, type TonProofRequest } from './message.ts'
import { createPayloads } from './payloads.ts'
import { WALLET_CODES } from './wallet-state.ts'

const NOW = 1_767_225_600_000
const TIMESTAMP = NOW / 1000
const DOMAIN = 'app.pingo.example'
const expected = { domain: DOMAIN, network: -239 }

const honest = (o: Partial<Parameters<typeof proofOf>[1]> = {}, wallet = connectWallet()) =>
  proofOf(wallet, { domain: DOMAIN, timestamp: TIMESTAMP, payload: 'payload', ...o })
const verify = (request: TonProofRequest, o: Partial<Parameters<typeof verifyTonProof>[0]> = {}) =>
  verifyTonProof({ ...parseTonProof(JSON.stringify(request)), expected, now: NOW, ...o })
const refuses = (request: unknown, code: string, o: Partial<Parameters<typeof verifyTonProof>[0]> = {}) =>
  assert.throws(() => verify(request as TonProofRequest, o), { code: `TON_PROOF_${code}` })

test('proofs that another implementation makes hold, for any key, domain, time and payload', () => {
  const text = (max: number) => fc.string({ minLength: 1, maxLength: max, unit: 'grapheme' })
  let proven = 0
  fc.assert(
    fc.property(text(40), text(40), fc.nat(2 ** 31), fc.constantFrom(-239, -3, 2000), fc.nat(255), (...args) => {
      const [domain, payload, timestamp, network, seed] = args
      const fits = [domain, payload].every((part) => Buffer.byteLength(part) <= 100 && part.isWellFormed())
      fc.pre(fits)
      const wallet = connectWallet(seed, network)
      const request = proofOf(wallet, { domain, timestamp, payload })
      const found = verify(request, { expected: { domain, network }, now: timestamp * 1000 })
      assert.deepEqual(found.publicKey, wallet.publicKey)
      assert.equal(found.address.toRawString(), request.account.address)
      assert.equal(found.wallet, 'w5')
      proven++
    }),
    { numRuns: 60 },
  )
  assert.ok(proven >= 60)
})

test('timestamps may be strings', () => {
  const request = honest()
  request.proof.timestamp = String(TIMESTAMP)
  verify(request)
})

test('every kind of wallet that is known holds, with the code that @ton/ton has; others are refused', () => {
  const { publicKey } = connectWallet()
  const kinds = {
    v3r1: wallets.WalletContractV3R1.create({ workchain: 0, publicKey }),
    v3r2: wallets.WalletContractV3R2.create({ workchain: 0, publicKey }),
    v4r2: wallets.WalletContractV4.create({ workchain: 0, publicKey }),
    'w5-beta': wallets.WalletContractV5Beta.create({ publicKey }),
    w5: wallets.WalletContractV5R1.create({ publicKey }),
  }
  assert.deepEqual(
    [...WALLET_CODES.values()].map(({ name }) => name),
    Object.keys(kinds),
  )
  for (const [name, { init }] of Object.entries(kinds)) {
    assert.equal(WALLET_CODES.get(init.code.hash().toString('hex'))?.name, name)
    assert.equal(verify(honest({}, { ...connectWallet(), state: init })).wallet, name)
  }
  const { init } = wallets.WalletContractV2R2.create({ workchain: 0, publicKey })
  refuses(honest({}, { ...connectWallet(), state: init }), 'WALLET')
  refuses(honest(), 'WALLET', { codes: new Map() })
})

test('altering any field of a proof, by any value, voids it', () => {
  const original = honest()
  const paths = leaves(original)
  assert.equal(paths.length, 9)
  const value = fc.oneof(
    fc.string({ maxLength: 150 }),
    fc.base64String({ maxLength: 100 }),
    fc.integer(),
    fc.constantFrom(null, undefined, true, [], {}, -0, 1e300),
  )
  fc.assert(
    fc.property(fc.constantFrom(...paths), value, fc.nat(), fc.integer({ min: 1, max: 61 }), (path, other, at, by) => {
      for (const mutant of [other, shifted(get(original, path), at, by)]) {
        const request = structuredClone(original)
        set(request, path, mutant)
        if (isSame(path, get(original, path), mutant)) continue
        assert.throws(
          () => verify(request),
          (error: { code?: string }) => /^TON_PROOF_[A-Z]+$/.test(error.code ?? ''),
          `${path.join('.')} = ${JSON.stringify(mutant)}`,
        )
      }
    }),
    { numRuns: 1000 },
  )
})

test('forged: the signature of another key, over other bytes, or none', () => {
  const mallory = proofOf(connectWallet(66), { domain: DOMAIN, timestamp: TIMESTAMP, payload: 'payload' })
  const request = honest()
  refuses({ ...request, proof: mallory.proof }, 'SIGNATURE')
  refuses({ ...request, proof: { ...request.proof, payload: 'another' } }, 'SIGNATURE')
  refuses({ ...request, proof: { ...request.proof, timestamp: TIMESTAMP - 1 } }, 'SIGNATURE')
  refuses({ ...request, proof: { ...request.proof, signature: Buffer.alloc(64).toString('base64') } }, 'SIGNATURE')
  refuses({ ...request, proof: { ...request.proof, signature: Buffer.alloc(63).toString('base64') } }, 'MALFORMED')
})

test("a stranger's address beside an own state, or an own key beside a stranger's", () => {
  const [mine, victim] = [honest(), accountOf(connectWallet(1))]
  refuses({ ...mine, account: { ...mine.account, address: victim.address } }, 'ADDRESS')
  refuses({ ...mine, account: { ...victim, publicKey: mine.account.publicKey } }, 'KEY')
  refuses({ ...mine, account: victim }, 'SIGNATURE')
  refuses({ ...mine, account: { ...mine.account, address: mine.account.address.replace('0:', '-1:') } }, 'SIGNATURE')
})

test('wrong domain: another site, a look-alike, and a length that is not the bytes', () => {
  refuses(honest({ domain: 'evil.example' }), 'DOMAIN')
  refuses(honest({ domain: `${DOMAIN}.evil.example` }), 'DOMAIN')
  refuses(honest({ domain: 'app.pingo.exampl\u0435' }), 'DOMAIN') // a Cyrillic е
  const request = honest()
  refuses(
    { ...request, proof: { ...request.proof, domain: { value: DOMAIN, lengthBytes: DOMAIN.length - 1 } } },
    'DOMAIN',
  )
  // UTF-8 counts, not characters
  const domain = 'pingö.example'
  const umlaut = honest({ domain })
  verify(umlaut, { expected: { domain, network: -239 } })
  umlaut.proof.domain.lengthBytes = domain.length
  refuses(umlaut, 'DOMAIN', { expected: { domain, network: -239 } })
})

test('wrong network: told openly, or a wallet of one network that says it is of another', () => {
  refuses(honest({}, connectWallet(7, -3)), 'NETWORK')
  const relabelled = { ...connectWallet(7, -3), network: -239 }
  refuses(honest({}, relabelled), 'NETWORK')
  const { publicKey } = connectWallet()
  const beta = wallets.WalletContractV5Beta.create({ publicKey, walletId: { networkGlobalId: -3 } })
  refuses(honest({}, { ...connectWallet(), state: beta.init }), 'NETWORK')
  // another chain's signatures hold there alone
  const own = { expected: { domain: DOMAIN, network: 2000 } }
  verify(honest({}, connectWallet(7, 2000)), own)
  refuses(honest({ signsFor: -239 }, connectWallet(7, 2000)), 'SIGNATURE', own)
  refuses(honest({ signsFor: 2001 }, connectWallet(7, 2000)), 'SIGNATURE', own)
  refuses(honest({ signsFor: 2000 }), 'SIGNATURE')
})

test('stale: too old, or from a future that no clock explains', () => {
  const aged = (ms: number) => verify(honest(), { now: NOW + ms })
  aged(PROOF_MAX_AGE_MS)
  aged(-PROOF_MAX_AHEAD_MS)
  refuses(honest(), 'STALE', { now: NOW + PROOF_MAX_AGE_MS + 1 })
  refuses(honest(), 'STALE', { now: NOW - PROOF_MAX_AHEAD_MS - 1 })
  refuses(honest({ timestamp: 0 }), 'STALE')
  refuses(honest({ timestamp: Number.MAX_SAFE_INTEGER }), 'STALE')
})

test('states that are not as wallets begin', () => {
  const { init } = wallets.WalletContractV5R1.create({ publicKey: connectWallet().publicKey })
  const withData = (data: Cell) => honest({}, { ...connectWallet(), state: { code: init.code, data } })
  const head = (allowed: number) =>
    beginCell().storeUint(allowed, 1).storeUint(0, 32).storeUint(5, 32).storeBuffer(connectWallet().publicKey)
  verify(withData(head(1).storeBit(0).endCell()))
  // the key may not sign: who commands the wallet is an extension
  refuses(withData(head(0).storeBit(0).endCell()), 'WALLET')
  refuses(withData(head(1).storeBit(1).storeRef(Cell.EMPTY).endCell()), 'WALLET')
  refuses(withData(head(1).storeBit(1).endCell()), 'WALLET')
  refuses(withData(head(1).storeBit(0).storeBit(0).endCell()), 'WALLET')
  refuses(withData(Cell.EMPTY), 'WALLET')
  const state = (o: object) => honest({}, { ...connectWallet(), state: { ...init, ...o } })
  refuses(state({ splitDepth: 8 }), 'WALLET')
  refuses(state({ special: { tick: true, tock: false } }), 'WALLET')
  refuses(state({ data: undefined }), 'WALLET')
  refuses(state({ code: undefined }), 'WALLET')
  // its own contract with the owner's key in its data, of the known layout
  refuses(state({ code: beginCell().storeUint(1, 8).endCell() }), 'WALLET')

  const bocOf = (cell: Cell) => {
    const request = honest()
    request.account.walletStateInit = cell.toBoc().toString('base64')
    return request
  }
  refuses(bocOf(beginCell().storeSlice(stateCell(init).beginParse()).storeBit(0).endCell()), 'WALLET')
  // the state twice, as two roots of one bag: roots are counted in byte 7, listed behind the size of all cells
  const boc = stateCell(init).toBoc({ crc32: false })
  const listAt = 9 + (boc[5] as number)
  const twice = Buffer.concat([boc.subarray(0, listAt), Buffer.from([0]), boc.subarray(listAt)])
  twice[7] = 2
  assert.equal(Cell.fromBoc(twice).length, 2)
  refuses({ ...honest(), account: { ...honest().account, walletStateInit: twice.toString('base64') } }, 'WALLET')
  let deep = Cell.EMPTY
  for (let i = 0; i < 300; i++) deep = beginCell().storeUint(i, 16).storeRef(deep).endCell()
  assert.throws(
    () => verify(bocOf(deep)),
    ({ code, cause }) => code === 'TON_PROOF_WALLET' && cause.message === 'too many cells',
  )
  // few cells, but more ways through them than anybody can walk
  let dense = Cell.EMPTY
  for (let i = 0; i < 50; i++) dense = beginCell().storeUint(i, 16).storeRef(dense).storeRef(dense).endCell()
  refuses(bocOf(dense), 'WALLET')
  const pruned = new Cell({
    exotic: true,
    bits: beginCell().storeUint(0x0101, 16).storeBuffer(init.data.hash()).storeUint(0, 16).endCell().bits,
  })
  refuses(bocOf(stateCell({ code: init.code, data: pruned })), 'WALLET')
})

test('keys that anybody can sign for', () => {
  for (const hex of ['00'.repeat(32), `01${'00'.repeat(31)}`, `ec${'ff'.repeat(30)}7f`]) {
    const publicKey = Buffer.from(hex, 'hex')
    const { init } = wallets.WalletContractV5R1.create({ publicKey })
    refuses(honest({}, { ...connectWallet(), publicKey, state: init }), 'KEY')
  }
})

test('oversized, and what is no proof at all', () => {
  const at = (limit: number) => 'x'.repeat(limit)
  const both = (domain: string, payload: string) =>
    verify(honest({ domain, payload }), { expected: { domain, network: -239 } })
  both(at(128), at(94))
  both(at(94), at(128))
  assert.throws(() => both(at(128), at(95)), { code: 'TON_PROOF_MALFORMED' })
  assert.throws(() => both(at(129), at(1)), { code: 'TON_PROOF_MALFORMED' })
  assert.throws(() => both(at(1), at(129)), { code: 'TON_PROOF_MALFORMED' })
  assert.throws(() => both(at(1), 'ö'.repeat(65)), { code: 'TON_PROOF_MALFORMED' })
  const request = honest()
  const large = { ...request, account: { ...request.account, walletStateInit: at(4100) } }
  refuses(large, 'MALFORMED')
  const padded = (bytes: number) => JSON.stringify(request).padEnd(bytes)
  parseTonProof(padded(MAX_REQUEST_BYTES))
  assert.throws(() => parseTonProof(padded(MAX_REQUEST_BYTES + 1)), { code: 'TON_PROOF_MALFORMED' })
  for (const nothing of ['', 'null', '[]', '{', '{}', '{"account":{},"proof":{}}', '"text"', '1', undefined, null, 7])
    assert.throws(() => parseTonProof(nothing), { code: 'TON_PROOF_MALFORMED' })
  refuses({ ...request, proof: { ...request.proof, payload: '\ud800' } }, 'MALFORMED')
  // the same 64 bytes in another text
  const signature = `${'A'.repeat(85)}B==`
  refuses({ ...request, proof: { ...request.proof, signature } }, 'MALFORMED')
})

test('any bytes as a state end soon, in a refusal or in the same wallet', () => {
  const { publicKey, state } = connectWallet()
  const boc = stateCell(state).toBoc({ crc32: false }) // so that what is altered gets as far as the cells
  const before = process.cpuUsage().user
  fc.assert(
    fc.property(fc.nat(boc.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
      const request = honest()
      const other = Buffer.from(boc)
      other.set(bytes.subarray(0, boc.length - at), at)
      request.account.walletStateInit = other.toString('base64')
      try {
        assert.deepEqual(verify(request).publicKey, publicKey)
      } catch (error) {
        assert.match((error as { code?: string }).code ?? String(error), /^TON_PROOF_/)
      }
    }),
    { numRuns: 500 },
  )
  assert.ok(process.cpuUsage().user - before < 20_000_000)
})

test('one payload proves once; a false proof voids none', async () => {
  let now = NOW
  const payloads = createPayloads({ now: () => now, maxConsumed: 3, ttlMs: 60_000 })
  const check = (request: TonProofRequest) =>
    checkTonProof({ ...request, expected, now: NOW, consume: (payload) => payloads.consume(payload) })
  const payload = payloads.issue()
  assert.ok(Buffer.byteLength(payload) + DOMAIN.length < 222)
  const request = honest({ payload })
  const forged = { ...request, proof: { ...request.proof, signature: Buffer.alloc(64).toString('base64') } }
  await assert.rejects(check(forged), { code: 'TON_PROOF_SIGNATURE' })
  const twice = await Promise.allSettled([check(request), check(request)])
  assert.deepEqual(twice.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await assert.rejects(check(request), { code: 'TON_PROOF_REPLAYED' })
  // not ours: made up, of another server, altered
  await assert.rejects(check(honest()), { code: 'TON_PROOF_REPLAYED' })
  await assert.rejects(check(honest({ payload: createPayloads().issue() })), { code: 'TON_PROOF_REPLAYED' })
  const next = payloads.issue()
  for (let i = 0; i < next.length; i++) assert.equal(payloads.consume(shifted(next, i, 1) as string), false)
  assert.equal(payloads.consume(`${next}A`), false)
  // expired, though the clock goes back afterwards
  now += 60_000
  assert.equal(payloads.consume(next), false)
  now -= 50_000
  assert.equal(payloads.consume(next), false)
  // of another asker
  const bound = payloads.issue('session 1')
  assert.equal(payloads.consume(bound, 'session 2'), false)
  assert.equal(payloads.consume(bound), false)
  assert.equal(payloads.consume(bound, 'session 1'), true)
})

test('memory of consumed payloads is bounded, and frees itself', () => {
  let now = NOW
  const payloads = createPayloads({ now: () => now, maxConsumed: 3, ttlMs: 60_000 })
  const issued = Array.from({ length: 1000 }, () => payloads.issue())
  for (const payload of issued.slice(0, 3)) assert.ok(payloads.consume(payload))
  assert.throws(() => payloads.consume(issued[3] as string), { code: 'TON_PROOF_BUSY' })
  assert.equal(payloads.consume(issued[0] as string), false)
  now += 60_000
  assert.ok(payloads.consume(payloads.issue()))
})

/** Paths of the leaves of an object. */
function leaves(of: object, path: string[] = []): string[][] {
  return Object.entries(of).flatMap(([key, value]) =>
    typeof value === 'object' ? leaves(value, [...path, key]) : [[...path, key]],
  )
}

// biome-ignore lint/suspicious/noExplicitAny: walks any object by its path
const get = (of: any, path: string[]): unknown => path.reduce((at, key) => at[key], of)
// biome-ignore lint/suspicious/noExplicitAny: walks any object by its path
function set(of: any, path: string[], value: unknown): void {
  const parent = path.slice(0, -1).reduce((at, key) => at[key], of)
  parent[path.at(-1) as string] = value
}

/** A value with one character or digit replaced by another. */
function shifted(value: unknown, at: number, by: number): unknown {
  if (typeof value === 'number') return value + by
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  const text = String(value)
  const i = at % text.length
  const old = ALPHABET.indexOf(text[i] as string)
  return text.slice(0, i) + ALPHABET[(Math.max(old, 0) + by) % ALPHABET.length] + text.slice(i + 1)
}

/** Equal in what is said: numbers as text, hex in either case, a key that is not told, another bag (its header, say) with the same cells. */
function isSame(path: string[], a: unknown, b: unknown): boolean {
  const field = path.at(-1)
  if (field === 'publicKey' && b === undefined) return true
  if (field === 'publicKey' || field === 'address') return String(a).toLowerCase() === String(b).toLowerCase()
  if (field === 'walletStateInit' && typeof b === 'string') {
    try {
      return Cell.fromBase64(String(a)).equals(Cell.fromBase64(b))
    } catch {
      return false
    }
  }
  return String(a) === String(b) && (typeof b === 'string' || typeof b === 'number')
}
