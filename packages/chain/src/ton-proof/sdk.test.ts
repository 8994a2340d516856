import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import dns from 'node:dns'
import net from 'node:net'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { connectWallet, jsBridge } from '../testing/ton-connect.ts'
import { checkTonProof } from './check.ts'
import { parseTonProof } from './message.ts'
import { createPayloads } from './payloads.ts'

const DOMAIN = 'app.pingo.example'
const expected = { domain: DOMAIN, network: -239 }

// the SDK looks for `window` when it is loaded
const page: EventTarget & { testwallet?: object } = new EventTarget()
Object.assign(globalThis, { window: page })
const { TonConnect } = await import('@tonconnect/sdk')

const attempts: string[] = []
beforeEach(() => {
  attempts.length = 0
  const watch = (what: object, name: string) =>
    mock.method(what as Record<string, () => unknown>, name, () => {
      attempts.push(name)
      throw new Error('no network in this test')
    })
  watch(net.Socket.prototype, 'connect')
  watch(dgram.Socket.prototype, 'send')
  watch(dns, 'lookup')
  watch(globalThis, 'fetch')
  for (const level of ['debug', 'error'] as const) mock.method(console, level, () => {}) // the SDK tells there what it does
})
afterEach(() => mock.restoreAll())

async function connect(bridge: ReturnType<typeof jsBridge>, payload: string) {
  page.testwallet = { tonconnect: bridge }
  const kept = new Map<string, string>()
  const connector = new TonConnect({
    manifestUrl: `https://${DOMAIN}/tonconnect-manifest.json`,
    storage: {
      setItem: async (key, value) => void kept.set(key, value),
      getItem: async (key) => kept.get(key) ?? null,
      removeItem: async (key) => void kept.delete(key),
    },
    analytics: { mode: 'off' },
    walletsListSource: 'http://127.0.0.1:9/wallets.json',
  })
  const { promise, resolve, reject } = Promise.withResolvers<NonNullable<typeof connector.wallet>>()
  connector.onStatusChange((wallet) => wallet && resolve(wallet), reject)
  connector.connect({ jsBridgeKey: 'testwallet' }, { request: { tonProof: payload } })
  const wallet = await promise
  const reply = wallet.connectItems?.tonProof
  assert.ok(reply && 'proof' in reply, JSON.stringify(reply))
  // what an app sends to its server
  const request = JSON.stringify({ account: wallet.account, proof: reply.proof })
  return { connector, request }
}

test('the real SDK and a wallet in its page: connected, proven, once; nothing goes to a network', async () => {
  const payloads = createPayloads()
  const check = async (request: string) =>
    checkTonProof({
      ...parseTonProof(request),
      expected,
      now: Date.now(),
      consume: (payload) => payloads.consume(payload),
    })
  const wallet = connectWallet()
  const { connector, request } = await connect(jsBridge(wallet, { domain: DOMAIN, now: Date.now }), payloads.issue())
  const proven = await check(request)
  assert.deepEqual(proven.publicKey, wallet.publicKey)
  assert.equal(proven.address.toRawString(), connector.account?.address)
  assert.equal(proven.wallet, 'w5')
  await assert.rejects(check(request), { code: 'TON_PROOF_REPLAYED' })
  await connector.disconnect()
  assert.deepEqual(attempts, [])
  await connector.getWallets() // which does ask a network: it is seen
  assert.notDeepEqual(attempts, [])
})

test('the real SDK hands on what dishonest wallets say; the check refuses it', async () => {
  const payloads = createPayloads()
  const wallet = connectWallet()
  const cases: [string, ReturnType<typeof jsBridge>][] = [
    ['TON_PROOF_DOMAIN', jsBridge(wallet, { domain: 'evil.example', now: Date.now })],
    ['TON_PROOF_STALE', jsBridge(wallet, { domain: DOMAIN, now: () => Date.now() - 3_600_000 })],
    ['TON_PROOF_NETWORK', jsBridge(connectWallet(7, -3), { domain: DOMAIN, now: Date.now })],
  ]
  for (const [code, bridge] of cases) {
    const { request } = await connect(bridge, payloads.issue())
    const consume = (payload: string) => payloads.consume(payload)
    await assert.rejects(async () => checkTonProof({ ...parseTonProof(request), expected, now: Date.now(), consume }), {
      code,
    })
  }
  assert.deepEqual(attempts, [])
})
