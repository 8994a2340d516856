import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createIdentity,
  decode,
  encode,
  HelloSchema,
  helloBytes,
  type Identity,
  NODE_RECORD_TYPE,
  seal,
} from '@pingo/wire'
import { code } from '../testing/http-node.ts'
import { HttpPool, request } from '../transfer/http-client.ts'
import { publicLookup } from '../transfer/private-host.ts'
import { MAX_NODES_PER_NETWORK, Membership } from './membership.ts'

type Resolve = Parameters<typeof publicLookup>[1]

/** Names that lead to what a test says. */
const names = (of: Record<string, string[]>) =>
  ((host: string, _: object, done: (error: null, all: LookupAddress[]) => void) =>
    done(
      null,
      of[host]!.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )) as unknown as Resolve

/** One server that is many nodes, each below a path of its own. */
async function nodesAt(identities: readonly Identity[]) {
  let asked = 0
  const server = createServer(async (incoming, response) => {
    asked++
    const parts: Uint8Array[] = []
    for await (const part of incoming) parts.push(part as Uint8Array)
    const n = Number(incoming.url!.split('/')[1])
    const { nonce } = decode(HelloSchema, Buffer.concat(parts), 1 << 10)
    const signature = await identities[n]!.sign(helloBytes(nonce))
    response.end(encode({ record: await recordOf(n), signature }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const recordOf = (n: number, host = `n${n}.example`) =>
    seal(identities[n]!, NODE_RECORD_TYPE, {
      peerId: identities[n]!.peerId,
      url: `http://${host}:${port}/${n}`,
      multiaddrs: [],
      region: '',
      domain: `d${n}`,
      capacityBytes: 1,
      freeBytes: 1,
      state: 'active',
      price: 0,
      sequence: 1,
      at: Date.now(),
    })
  return {
    port,
    recordOf,
    asked: () => asked,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  }
}

describe('strangers', () => {
  it('lead nobody into the own network by a name, neither by small requests nor by streams', async () => {
    await using nodes = await nodesAt([await createIdentity()])
    const resolve = names({ 'evil.example': ['127.0.0.1', '::1'], 'own.example': ['127.0.0.1'] })
    const pool = new HttpPool({ lookup: publicLookup(['own.example'], resolve) })
    const evil = { url: `http://evil.example:${nodes.port}` }
    await assert.rejects(request(evil, '/', {}, pool), code('SOURCE_UNREACHABLE'))
    const sink = { head: () => true, part: () => true }
    await assert.rejects(pool.stream(evil, '/', { deadlineMs: 60_000 }, sink), /leads into a private network/)
    await assert.rejects(
      request({ url: evil.url.replace('http:', 'https:'), pin: 'ab'.repeat(32) }, '/', {}, pool),
      /leads into a private network/,
    )
    assert.equal(nodes.asked(), 0)
    const question = { method: 'POST', body: encode({ nonce: new Uint8Array(16) }) }
    const named = { url: `http://own.example:${nodes.port}` }
    const answer = await request(named, '/0/v1/storage/hello', question, pool)
    assert.equal(answer.status, 200, 'who runs the node may name any')
    pool.close()
  })

  it('pass over what of a name is private, and take what is not', () => {
    const lookup = publicLookup([], names({ 'both.example': ['10.0.0.1', '2001:db8::1', '192.0.2.1'] }))
    let heard: unknown[] = []
    lookup('both.example', {}, (...told) => {
      heard = told
    })
    assert.deepEqual(heard, [null, '2001:db8::1', 6])
  })

  it('of one address block are taken up to a limit, however many identities they have', async () => {
    const identities = await Promise.all(Array.from({ length: MAX_NODES_PER_NETWORK + 4 }, () => createIdentity()))
    await using nodes = await nodesAt(identities)
    const me = await createIdentity()
    const last = identities.length - 1
    const pool = new HttpPool({
      lookup: (_host, o, done) =>
        o.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
    })
    const membership = new Membership({
      peerId: me.peerId,
      record: () => nodes.recordOf(0),
      seeds: [],
      mayBePrivate: false,
      addressOf: async (host) => (host === `n${last}.example` ? '198.51.100.1' : `203.0.113.${/\d+/.exec(host)}`),
      pool,
    })
    await membership.exchange(await Promise.all(identities.map((_, n) => nodes.recordOf(n))))
    const has = (n: number) => membership.has(identities[n]!.peerId)
    const until = Date.now() + 60_000
    // the last of them is of another block, and waits behind all others
    while (!has(last) && Date.now() < until) await sleep(20)
    assert.ok(has(last))
    assert.equal(identities.filter((_, n) => n < last && has(n)).length, MAX_NODES_PER_NETWORK)
    membership.close()
    pool.close()
  })
})
