import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { createIdentity, isPinGoError, PinGoError } from '@pingo/wire'
import { z } from 'zod'
import type { Channel, ChannelProtocol, Protocol } from './index.ts'
import { Host, type HostOptions } from './index.ts'

const Echo = {
  name: '/pingo/test-echo/1.0.0',
  request: z.strictObject({ text: z.string(), times: z.int().min(1).max(10).default(1) }),
  response: z.strictObject({ text: z.string(), peer: z.string() }),
  maxRequestBytes: 1 << 20,
  maxResponseBytes: 1 << 20,
  timeoutMs: 10_000,
} satisfies Protocol

const Chat = {
  name: '/pingo/test-chat/1.0.0',
  clientMessage: z.strictObject({ n: z.int(), body: z.instanceof(Uint8Array).optional() }),
  serverMessage: z.strictObject({ n: z.int(), from: z.string().optional() }),
  maxMessageBytes: 1 << 20,
} satisfies ChannelProtocol

const hosts: Host[] = []
const start = async (o: Partial<HostOptions> = {}): Promise<Host> => {
  const host = await Host.start({ identity: await createIdentity(), ...o })
  hosts.push(host)
  return host
}
const listening = (o: Partial<HostOptions> = {}) => start({ listen: ['/ip4/127.0.0.1/tcp/0'], ...o })
const code = (expected: string) => (error: unknown) => {
  assert.ok(isPinGoError(error), `not a PinGoError: ${error}`)
  assert.equal(error.code, expected, error.message)
  return true
}
after(() => Promise.all(hosts.map((host) => host.stop())))

describe('a request', () => {
  it('is answered, with the peer proven, in both directions over one connection', async () => {
    const server = await listening()
    const client = await start()
    server.handle(Echo, ({ text, times }, { peer, remoteAddress }) => {
      assert.match(remoteAddress, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+/)
      return { text: text.repeat(times), peer }
    })
    client.handle(Echo, ({ text }, { peer }) => ({ text: `client ${text}`, peer }))
    const address = server.addresses()[0]!
    assert.ok(address.endsWith(`/p2p/${server.peerId}`))
    assert.deepEqual(await client.request(address, Echo, { text: 'ab', times: 2 }), {
      text: 'abab',
      peer: client.peerId,
    })
    assert.deepEqual(await client.request(address, Echo, { text: 'default' }), { text: 'default', peer: client.peerId })
    assert.equal((await client.request(server.peerId, Echo, { text: 'by id' })).text, 'by id')
    assert.equal((await client.request(address.replace(/\/p2p\/.*/, ''), Echo, { text: 'bare' })).text, 'bare')
    // the host that only dials out is reached over the connection that it made
    assert.equal((await server.request(client.peerId, Echo, { text: 'x' })).text, 'client x')
    assert.equal(server.peers().length, 1)
    assert.equal(server.peers()[0]!.direction, 'inbound')
    assert.deepEqual(client.addresses(), [])
  })

  it('carries up to its limits, and many at once', async () => {
    const server = await listening()
    const client = await start()
    server.handle(Echo, ({ text }, { peer }) => ({ text, peer }))
    const text = 'x'.repeat((1 << 20) - 200)
    const address = server.addresses()[0]!
    assert.equal((await client.request(address, Echo, { text })).text, text)
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, n) => client.request(address, Echo, { text: `${n}` })),
    )
    assert.deepEqual(
      all.map((answer) => answer.text),
      Array.from({ length: 200 }, (_, n) => `${n}`),
    )
    await assert.rejects(client.request(address, Echo, { text: 'x'.repeat(1 << 20) }), code('MESSAGE_TOO_LARGE'))
  })

  it('that fails says why: the handler’s own error, an unknown one without details, a bad message, a missing protocol', async () => {
    const warnings: object[] = []
    const server = await listening({ logger: { debug() {}, warn: (details) => void warnings.push(details) } })
    const client = await start()
    const address = server.addresses()[0]!
    server.handle(Echo, ({ text }) => {
      if (text === 'known')
        throw new PinGoError('BUDGET_SPENT', 'The budget is spent.', { hint: 'Add some.', details: { secret: 1 } })
      if (text === 'unknown') throw new Error('password is hunter2')
      return { text: 5 } as never
    })
    await assert.rejects(client.request(address, Echo, { text: 'known' }), (error: PinGoError) => {
      code('BUDGET_SPENT')(error)
      assert.equal(error.hint, 'Add some.')
      assert.equal(error.details?.secret, undefined)
      return true
    })
    await assert.rejects(client.request(address, Echo, { text: 'unknown' }), (error: PinGoError) => {
      code('INTERNAL')(error)
      assert.doesNotMatch(JSON.stringify(error), /hunter2/)
      return true
    })
    assert.match(JSON.stringify(warnings), /hunter2/)
    await assert.rejects(client.request(address, Echo, { text: 'bad answer' }), code('MESSAGE_INVALID'))
    await assert.rejects(client.request(address, Echo, { text: 'x', times: 11 }), code('MESSAGE_INVALID'))
    await assert.rejects(
      client.request(address, { ...Echo, name: '/pingo/none/1.0.0' }, { text: 'x' }),
      code('PROTOCOL_UNSUPPORTED'),
    )
    await assert.rejects(client.request(address, Echo, { text: Number.NaN } as never), code('MESSAGE_INVALID'))
    await assert.rejects(
      client.request(address, { ...Echo, maxRequestBytes: 4 << 20 }, { text: 'x'.repeat(3 << 20) }),
      code('MESSAGE_TOO_LARGE'),
    )
  })

  it('ends at its deadline, at the caller’s wish, and when its peer goes; the handler learns of it', async () => {
    const server = await listening()
    const client = await start()
    const address = server.addresses()[0]!
    let ended: Promise<unknown> = Promise.resolve()
    let started = Promise.withResolvers<void>()
    server.handle(Echo, (_, { signal }) => {
      ended = new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)))
      started.resolve()
      return new Promise(() => {})
    })
    await assert.rejects(client.request(address, Echo, { text: '' }, { timeoutMs: 100 }), code('TIMEOUT'))
    await ended
    const stop = new AbortController()
    started = Promise.withResolvers()
    const asked = client.request(address, Echo, { text: '' }, { signal: stop.signal })
    await started.promise
    const why = new Error('changed my mind')
    stop.abort(why)
    await assert.rejects(asked, (error) => error === why)
    await ended
    started = Promise.withResolvers()
    const left = client.request(address, Echo, { text: '' })
    await started.promise
    await Promise.all([assert.rejects(left, code('CONNECTION_LOST')), server.stop()])
    await ended
  })

  it('over a rate is refused, each peer by its own count', async () => {
    const server = await listening()
    const [a, b] = [await start(), await start()]
    const Rare = { ...Echo, rate: { perSecond: 0.001, burst: 2 } }
    server.handle(Rare, ({ text }, { peer }) => ({ text, peer }))
    const address = server.addresses()[0]!
    for (const host of [a, b]) {
      await host.request(address, Rare, { text: '1' })
      await host.request(address, Rare, { text: '2' })
      await assert.rejects(host.request(address, Rare, { text: '3' }), code('RATE_LIMITED'))
    }
  })
})

describe('a host', () => {
  it('says in one sentence with the address why a peer cannot be reached', async () => {
    const client = await start()
    const gone = await listening()
    const address = gone.addresses()[0]!
    await gone.stop()
    await assert.rejects(client.request(address, Echo, { text: '' }), (error: PinGoError) => {
      code('PEER_UNREACHABLE')(error)
      assert.ok(error.message.includes(address))
      assert.match(error.message, /refused/)
      assert.match(error.hint!, /Check/)
      return true
    })
    const other = await listening()
    const impostor = other.addresses()[0]!.replace(other.peerId, gone.peerId)
    await assert.rejects(client.request(impostor, Echo, { text: '' }), (error: PinGoError) => {
      code('PEER_UNREACHABLE')(error)
      assert.match(error.message, /another PeerId/)
      return true
    })
    await assert.rejects(client.request((await createIdentity()).peerId, Echo, { text: '' }), code('PEER_UNREACHABLE'))
    for (const wrong of ['', 'localhost:4001', '/ip4/1.2.3/tcp/1', '/tcp', 'x'.repeat(5000)])
      await assert.rejects(client.request(wrong, Echo, { text: '' }), code('ADDRESS_MALFORMED'))
  })

  it('names the port that is in use', async () => {
    const first = await listening()
    const address = first.addresses()[0]!.replace(/\/p2p\/.*/, '')
    await assert.rejects(listening({ listen: [address] }), (error: PinGoError) => {
      code('PORT_IN_USE')(error)
      assert.ok(error.message.includes(address))
      return true
    })
    await assert.rejects(listening({ listen: ['/ip4/203.0.113.9/tcp/0'] }), code('LISTEN_FAILED'))
    await assert.rejects(listening({ listen: ['127.0.0.1:80'] }), code('ADDRESS_MALFORMED'))
  })

  it('reports who comes and goes, admits whom it wants, and finds a restarted peer again', async () => {
    const identity = await createIdentity()
    const refused = await createIdentity()
    const server = await listening({ identity, admit: (peer) => peer !== refused.peerId })
    server.handle(Echo, ({ text }, { peer }) => ({ text, peer }))
    const events: string[] = []
    const came = new Promise<void>((resolve) =>
      server.onPeer(({ type, peer }) => {
        events.push(`${type} ${peer}`)
        resolve()
      }),
    )
    const client = await start()
    const address = server.addresses()[0]!
    assert.equal(await client.connect(address), server.peerId)
    await came
    const gone = new Promise<void>((resolve) => client.onPeer(({ type }) => type === 'disconnected' && resolve()))
    await server.disconnect(client.peerId)
    await gone
    assert.deepEqual(events, [`connected ${client.peerId}`, `disconnected ${client.peerId}`])
    await assert.rejects((await start({ identity: refused })).request(address, Echo, { text: '' }), isPinGoError)
    await server.stop()
    const again = await listening({ identity, listen: [address.replace(/\/p2p\/.*/, '')] })
    again.handle(Echo, ({ text }, { peer }) => ({ text, peer }))
    assert.equal((await client.request(server.peerId, Echo, { text: 'again' })).text, 'again')
  })

  it('that is stopped refuses work, and refuses a protocol that is unsound or taken', async () => {
    const host = await start()
    host.handle(Echo, ({ text }) => ({ text, peer: '' }))
    assert.throws(() => host.handle(Echo, ({ text }) => ({ text, peer: '' })), code('PROTOCOL_INVALID'))
    assert.throws(() => host.handle({ ...Echo, name: 'x' }, () => ({ text: '', peer: '' })), code('PROTOCOL_INVALID'))
    assert.throws(
      () => host.handle({ ...Echo, name: '/x', maxRequestBytes: 0 }, () => ({ text: '', peer: '' })),
      code('PROTOCOL_INVALID'),
    )
    await host.stop()
    await host.stop()
    await assert.rejects(host.request('/ip4/127.0.0.1/tcp/1', Echo, { text: '' }), code('HOST_STOPPED'))
  })
})

describe('a channel', () => {
  const pair = async (o: Partial<HostOptions> = {}, protocol: ChannelProtocol = Chat) => {
    const server = await listening(o)
    const client = await start()
    const opened = Promise.withResolvers<Channel<unknown, z.output<typeof Chat.clientMessage>>>()
    server.handleChannel(protocol as typeof Chat, (channel) => opened.resolve(channel as never))
    const near = await client.openChannel(server.addresses()[0]!, Chat)
    return { server, client, near, far: await opened.promise }
  }

  it('carries messages in order both ways, and ends for both when either closes', async () => {
    const { near, far, client } = await pair()
    assert.equal(far.peer, client.peerId)
    for (let n = 0; n < 1000; n++) await near.send({ n })
    const seen: number[] = []
    for await (const { n } of far.messages) {
      seen.push(n)
      if (n === 499) break // a loop may stop and go on
    }
    for await (const { n } of far.messages) {
      seen.push(n)
      if (n === 999) break
    }
    assert.deepEqual(seen, [...Array(1000).keys()])
    await far.send({ n: 1, from: 'server' })
    await far.send({ n: 2 })
    await far.close()
    assert.deepEqual(await Array.fromAsync(near.messages), [{ n: 1, from: 'server' }, { n: 2 }])
    assert.equal(await near.closed, undefined)
    assert.equal(await far.closed, undefined)
    await assert.rejects(near.send({ n: 1 }), code('CHANNEL_CLOSED'))
    assert.deepEqual(await Array.fromAsync(far.messages), [])
  })

  it('slows the sender down when the reader is slow, and keeps what was sent', async () => {
    const { near, far } = await pair()
    const body = new Uint8Array(100_000)
    let sent = 0
    const sending = (async () => {
      for (let n = 0; n < 100; n++) {
        await near.send({ n, body })
        sent = n + 1
      }
      await near.close()
    })()
    // wait until the sender is stuck: nothing moves between many turns of the event loop
    for (let last = -1, still = 0; still < 200; await new Promise((resolve) => setImmediate(resolve))) {
      still = sent === last ? still + 1 : 0
      last = sent
    }
    assert.ok(sent < 60, `${sent} messages of 100 kB were taken by nobody`)
    let n = 0
    for await (const message of far.messages) assert.equal(message.n, n++)
    assert.equal(n, 100)
    await sending
  })

  it('refuses more sends than it can queue, and gives up a peer that takes nothing', async () => {
    const { client, far } = await pair()
    void far
    const server = await listening({ limits: { channelStallMs: 300 } })
    server.handleChannel(Chat, () => {})
    const stuck = await start({ limits: { channelStallMs: 300 } })
    const channel = await stuck.openChannel(server.addresses()[0]!, Chat)
    const sends = Array.from({ length: 400 }, (_, n) => channel.send({ n, body: new Uint8Array(100_000) }))
    const codes = (await Promise.allSettled(sends)).map((sent) =>
      sent.status === 'rejected' ? sent.reason.code : 'sent',
    )
    assert.ok(codes.includes('CHANNEL_FULL'))
    assert.ok(codes.includes('PEER_STALLED'))
    assert.equal(((await channel.closed) as PinGoError).code, 'PEER_STALLED')
    assert.equal(client.peers().length, 1)
  })

  it('that is aborted tells the peer the code', async () => {
    const { near, far } = await pair()
    far.abort(new PinGoError('JOB_GONE', 'The job is gone.'))
    await assert.rejects(Array.fromAsync(near.messages), code('JOB_GONE'))
    assert.equal(((await near.closed) as PinGoError).code, 'JOB_GONE')
    assert.equal(((await far.closed) as PinGoError).code, 'JOB_GONE')
    const other = await pair()
    other.near.abort(new Error('secret'))
    await assert.rejects(Array.fromAsync(other.far.messages), code('INTERNAL'))
  })

  it('refuses an invalid message on its own, and the connection lives on', async () => {
    const { near, far, client, server } = await pair()
    server.handle(Echo, ({ text }, { peer }) => ({ text, peer }))
    await near.send({ n: 'one' } as never)
    await assert.rejects(Array.fromAsync(far.messages), code('MESSAGE_INVALID'))
    await assert.rejects(Array.fromAsync(near.messages), code('MESSAGE_INVALID'))
    assert.equal((await client.request(server.peerId, Echo, { text: 'alive' })).text, 'alive')
  })

  it('is lost with its connection', async () => {
    const { near, far, server } = await pair()
    await server.disconnect(far.peer)
    assert.ok(isPinGoError(await near.closed, 'CONNECTION_LOST') || (await near.closed) === undefined)
    await assert.rejects(near.send({ n: 1 }), isPinGoError)
  })

  it('keeps a peer to its rate without losing a message', async () => {
    const { near, far } = await pair({}, { ...Chat, rate: { perSecond: 500, burst: 5 } })
    for (let n = 0; n < 50; n++) await near.send({ n })
    await near.close()
    assert.deepEqual(
      (await Array.fromAsync(far.messages)).map(({ n }) => n),
      [...Array(50).keys()],
    )
  })
})
