import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, describe, it } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { identify } from '@libp2p/identify'
import type { Libp2p, Stream } from '@libp2p/interface'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createIdentity, decode, encode, isPinGoError } from '@pingo/wire'
import { createLibp2p } from 'libp2p'
import { z } from 'zod'
import { encodeFrame } from './frames.ts'
import { type Channel, type ChannelProtocol, Host, type HostOptions, type Protocol } from './index.ts'

// Peers built from the library's own parts, not from Host: they speak the wire and nothing else.

const Echo = {
  name: '/pingo/test-echo/1.0.0',
  request: z.strictObject({ text: z.string() }),
  response: z.strictObject({ text: z.string() }),
  maxRequestBytes: 1000,
  maxResponseBytes: 1000,
  timeoutMs: 1_000,
} satisfies Protocol
const Chat = {
  name: '/pingo/test-chat/1.0.0',
  clientMessage: z.strictObject({ n: z.int() }),
  serverMessage: z.strictObject({ body: z.instanceof(Uint8Array) }),
  maxMessageBytes: 1000,
} satisfies ChannelProtocol

const stops: (() => Promise<void>)[] = []
after(() => Promise.all(stops.map((stop) => stop())))

const start = async (o: Partial<HostOptions> = {}) => {
  const host = await Host.start({ identity: await createIdentity(), listen: ['/ip4/127.0.0.1/tcp/0'], ...o })
  stops.push(() => host.stop())
  host.handle(Echo, ({ text }) => ({ text }))
  return host
}
const plain = async (encrypter: typeof tls | typeof noise = tls): Promise<Libp2p<{ ping: Ping }>> => {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [encrypter() as ReturnType<typeof tls>],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() },
  })
  stops.push(async () => node.stop())
  return node as unknown as Libp2p<{ ping: Ping }>
}
const address = (host: Host) => multiaddr(host.addresses()[0]!)
const bytesOf = async (stream: Stream): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  const ended = new Promise<void>((resolve) => {
    stream.addEventListener('close', () => resolve())
    stream.addEventListener('end', () => resolve())
    stream.addEventListener('message', ({ data }) => parts.push(data.subarray()))
  })
  await ended
  return Buffer.concat(parts)
}
const errorIn = (bytes: Uint8Array) => decode(z.looseObject({ code: z.string() }), bytes.subarray(2), 1000).code
/** The host still answers this very peer, on this very connection. */
const stillServes = async (node: Libp2p, host: Host) => {
  const stream = await node.dialProtocol(address(host), Echo.name)
  const answer = bytesOf(stream)
  stream.send(encodeFrame(0, encode({ text: 'still' })))
  await stream.close()
  assert.deepEqual(await answer, Buffer.from(encodeFrame(0, encode({ text: 'still' }))))
}

describe('a plain libp2p node', () => {
  for (const [name, encrypter] of [
    ['TLS', tls],
    ['Noise', noise],
  ] as const)
    it(`dials, identifies, pings and asks over ${name}`, async () => {
      const host = await start()
      const node = await plain(encrypter as typeof tls)
      assert.ok((await node.services.ping.ping(address(host))) >= 0)
      await stillServes(node, host)
      const identified = await node.peerStore.get(multiaddrPeer(node, host))
      assert.ok(identified.protocols.includes(Echo.name))
    })

  it('is asked by a host in return', async () => {
    const host = await start()
    const node = await plain()
    await node.handle(Echo.name, async (stream) => {
      stream.addEventListener('message', ({ data }) => {
        stream.send(data)
        void stream.close()
      })
    })
    assert.deepEqual(await host.request(node.getMultiaddrs()[0]!.toString(), Echo, { text: 'hi' }), { text: 'hi' })
  })

  it('that takes bytes and answers nothing is dropped within the keep-alive time', async () => {
    const node = await plain()
    await node.unhandle('/ipfs/ping/1.0.0')
    await node.handle('/ipfs/ping/1.0.0', () => {})
    const host = await start({ limits: { keepAliveIntervalMs: 50, keepAliveTimeoutMs: 100 } })
    const gone = new Promise<void>((resolve) => host.onPeer(({ type }) => type === 'disconnected' && resolve()))
    await host.connect(node.getMultiaddrs()[0]!.toString())
    await gone
  })
})

describe('a hostile peer costs its own stream alone', () => {
  it('by rubbish, too long a length, an empty or unknown frame, an invalid message, a cut-off one', async () => {
    const host = await start()
    const node = await plain()
    const tried: [string, Uint8Array, string][] = [
      ['length over the limit', Uint8Array.of(0xff, 0xff, 0x7f, 0), 'MESSAGE_TOO_LARGE'],
      ['length without end', new Uint8Array(100).fill(0xff), 'MESSAGE_TOO_LARGE'],
      ['empty frame', Uint8Array.of(0), 'MESSAGE_MALFORMED'],
      ['unknown kind', encodeFrame(9, new Uint8Array(3)), 'MESSAGE_MALFORMED'],
      ['not dag-cbor', encodeFrame(0, new Uint8Array(10).fill(0xff)), 'MESSAGE_MALFORMED'],
      ['wrong schema', encodeFrame(0, encode({ words: 1 })), 'MESSAGE_INVALID'],
      ['error as request', encodeFrame(1, encode({ code: 'X', message: '' })), 'MESSAGE_MALFORMED'],
      ['cut off', encodeFrame(0, encode({ text: 'abc' })).subarray(0, 5), 'MESSAGE_MALFORMED'],
      ['no request at all', new Uint8Array(0), 'MESSAGE_MALFORMED'],
    ]
    for (const [what, bytes, code] of tried) {
      const stream = await node.dialProtocol(address(host), Echo.name)
      const answer = bytesOf(stream)
      if (bytes.byteLength) stream.send(bytes)
      await stream.close()
      assert.equal(errorIn(await answer), code, what)
    }
    await stillServes(node, host)
    assert.equal(host.peers().length, 1)
  })

  it('by a request that never comes whole', async () => {
    const host = await start()
    const node = await plain()
    const stream = await node.dialProtocol(address(host), Echo.name)
    const answer = bytesOf(stream)
    stream.send(encodeFrame(0, encode({ text: 'half' })).subarray(0, 6))
    assert.equal(errorIn(await answer), 'TIMEOUT')
    await stillServes(node, host)
  })

  it('by endless bytes after its request', async () => {
    const host = await start()
    const node = await plain()
    const stream = await node.dialProtocol(address(host), Echo.name)
    const closed = new Promise((resolve) => stream.addEventListener('close', resolve))
    const junk = encodeFrame(0, new Uint8Array(900))
    while (stream.status === 'open' && stream.writeBufferLength < 8 << 20) {
      if (!stream.send(junk)) await new Promise((resolve) => setImmediate(resolve))
    }
    await closed
    await stillServes(node, host)
  })

  it('by more streams than allowed', async () => {
    const host = await start({ limits: { maxRequestsPerConnection: 4 } })
    const node = await plain()
    const opened = await Promise.allSettled(
      Array.from({ length: 50 }, () => node.dialProtocol(address(host), Echo.name, { maxOutboundStreams: 1000 })),
    )
    const reset = opened.map((result) => {
      if (result.status === 'rejected') return Promise.resolve()
      return new Promise<void>((resolve) => {
        if (result.value.status !== 'open') resolve()
        result.value.addEventListener('close', () => resolve())
      })
    })
    await Promise.all(reset) // the refused ones at once, the four silent ones at their deadline
    await stillServes(node, host)
  })

  it('by a channel that opens wrongly, floods, and never reads', async () => {
    const host = await start({ limits: { channelStallMs: 300, negotiationTimeoutMs: 300 } })
    const channels: Channel<{ body: Uint8Array }, { n: number }>[] = []
    const first = Promise.withResolvers<Channel<{ body: Uint8Array }, { n: number }>>()
    host.handleChannel(Chat, (channel) => {
      channels.push(channel)
      first.resolve(channel)
    })
    const node = await plain()
    const silent = await node.dialProtocol(address(host), Chat.name)
    await bytesOf(silent)
    const wrong = await node.dialProtocol(address(host), Chat.name)
    wrong.send(encodeFrame(0, encode({ n: 1 })))
    await bytesOf(wrong)
    assert.equal(channels.length, 0)

    const flood = await node.dialProtocol(address(host), Chat.name)
    flood.send(encodeFrame(2, new Uint8Array(0)))
    const message = encodeFrame(0, encode({ n: 1 }))
    const megabyte = Buffer.concat(Array.from({ length: Math.ceil((1 << 20) / message.byteLength) }, () => message))
    for (let n = 0; n < 8; n++) flood.send(megabyte)
    const channel = await first.promise
    // nobody reads the flood: most of it stays with the one who sends it
    for (let last = -1, still = 0; still < 200; await new Promise((resolve) => setImmediate(resolve))) {
      still = flood.writeBufferLength === last ? still + 1 : 0
      last = flood.writeBufferLength
    }
    assert.ok(flood.writeBufferLength > 4 << 20, `${flood.writeBufferLength} bytes are held back`)
    // and it reads nothing: what is sent to it is not kept without end either
    flood.pause()
    const sent = (async () => {
      for (;;) await channel.send({ body: new Uint8Array(900) })
    })()
    await assert.rejects(sent, (error) => isPinGoError(error, 'PEER_STALLED'))
    assert.ok(isPinGoError(await channel.closed, 'PEER_STALLED'))
    await stillServes(node, host)
  })
})

describe('a hostile connection', () => {
  it('with a Yamux frame of 2 GiB is ended at the frame’s header', async () => {
    const host = await start()
    const node = await plain()
    const connection = await node.dial(address(host))
    const gone = new Promise<void>((resolve) => host.onPeer(({ type }) => type === 'disconnected' && resolve()))
    const header = Buffer.alloc(12)
    header.writeUInt32BE(1, 4)
    header.writeUInt32BE(0x7fffffff, 8)
    const { muxer } = connection as unknown as { muxer: { send(bytes: Uint8Array): boolean } }
    muxer.send(header)
    await gone
  })

  it('that breaks without a word fails its channels as lost', async () => {
    const host = await start()
    const accepted = Promise.withResolvers<Channel<{ body: Uint8Array }, { n: number }>>()
    host.handleChannel(Chat, (channel) => accepted.resolve(channel))
    const node = await plain()
    const stream = await node.dialProtocol(address(host), Chat.name)
    stream.send(encodeFrame(2, new Uint8Array(0)))
    stream.send(encodeFrame(0, encode({ n: 7 })))
    const channel = await accepted.promise
    const [connection] = node.getConnections()
    const { maConn } = connection as unknown as { maConn: { socket: { destroy(): void } } }
    assert.deepEqual(await channel.messages[Symbol.asyncIterator]().next(), { done: false, value: { n: 7 } })
    maConn.socket.destroy() // as when the process is killed
    assert.ok(isPinGoError(await channel.closed, 'CONNECTION_LOST'))
    await assert.rejects(Array.fromAsync(channel.messages), (error) => isPinGoError(error, 'CONNECTION_LOST'))
  })

  it('that stays silent before its handshake does not keep others out', async () => {
    const host = await start({ limits: { inboundUpgradeTimeoutMs: 500 } })
    const port = Number(/tcp\/(\d+)/.exec(host.addresses()[0]!)![1])
    const silent = Array.from({ length: 60 }, () => connect(port, '127.0.0.1'))
    for (const socket of silent) socket.on('error', () => {})
    const closed = silent.map((socket) => new Promise((resolve) => socket.on('close', resolve)))
    const nodes = await Promise.all(Array.from({ length: 4 }, () => plain()))
    await Promise.all(nodes.map((node) => stillServes(node, host)))
    for (const socket of silent) socket.resume()
    await Promise.all(closed)
  })

  it('is refused when one peer holds too many', async () => {
    const host = await start({ limits: { maxConnectionsPerPeer: 3 } })
    const node = await plain()
    for (let n = 0; n < 6; n++) {
      await node.dial(address(host), { force: true }).catch(() => undefined)
      await node.services.ping.ping(address(host)).catch(() => undefined)
    }
    assert.ok(host.peers().length <= 3, `${host.peers().length} connections`)
  })
})

function multiaddrPeer(node: Libp2p, host: Host) {
  return node.getPeers().find((peer) => peer.toString() === host.peerId)!
}
