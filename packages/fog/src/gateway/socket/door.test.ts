import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import {
  CONTRIBUTE_PATH,
  type ContributorMessage,
  createIdentity,
  decode,
  encode,
  type Identity,
  MAX_SOCKET_FRAME_BYTES,
  SOCKET_PROOF_TYPE,
  SocketChallengeSchema,
  seal,
} from '@pingo/wire'
import { WebSocket } from 'ws'
import type { SocketChannel } from './channel.ts'
import { asksForSocket, SocketDoor, type SocketLimits } from './door.ts'

const heartbeat: ContributorMessage = { type: 'heartbeat', rssBytes: 0, slices: [{ state: 'idle' }] }

describe('the door for contributors by WebSocket', { timeout: 60_000 }, () => {
  let fog: Identity
  let ada: Identity
  before(async () => {
    fog = await createIdentity()
    ada = await createIdentity()
  })
  const ends: (() => Promise<void>)[] = []
  after(async () => {
    for (const end of ends) await end()
  })

  async function stage(limits: Partial<SocketLimits> = {}) {
    const channels: SocketChannel[] = []
    let arrived = Promise.withResolvers<SocketChannel>()
    const door = new SocketDoor(
      fog.peerId,
      (channel) => {
        channels.push(channel)
        arrived.resolve(channel)
        arrived = Promise.withResolvers()
      },
      limits,
    )
    const server = createServer({ shouldUpgradeCallback: asksForSocket }, (_, response) => response.end('plain'))
    server.on('upgrade', (request, socket, head) => void door.upgrade(request, socket, head))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    ends.push(async () => {
      await door.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
    const dial = (headers: Record<string, string> = {}) => new Client(port, headers)
    return { dial, channels, next: () => arrived.promise, port }
  }

  test('who proves its identity gets a channel, which carries messages both ways', async () => {
    const { dial, next } = await stage()
    const coming = next()
    const client = dial()
    // proof and first messages in one breath: nothing that comes early is lost
    await client.prove(ada)
    client.send(heartbeat)
    client.send({ type: 'leave' })
    const channel = await coming
    assert.equal(channel.peer, ada.peerId)
    assert.match(channel.remoteAddress, /^\/ip4\/127\.0\.0\.1\/tcp\//)
    const seen: ContributorMessage[] = []
    for await (const message of channel.messages) {
      seen.push(message)
      if (message.type === 'leave') break
    }
    assert.deepEqual(seen, [heartbeat, { type: 'leave' }])
    await channel.send({ type: 'ended', job: 'job-1' })
    assert.ok((await client.frame()).byteLength > 0)
    await channel.close()
    assert.equal((await client.closed).code, 1001)
    await assert.rejects(channel.send({ type: 'ended', job: 'job-1' }))
  })

  test('a wrong signature, another fog node, a proof that was used before, words instead of bytes: refused', async () => {
    const { dial, channels } = await stage()
    const refusal = async (answer: (client: Client) => Promise<unknown>) => {
      const client = dial()
      await answer(client)
      return (await client.closed).reason
    }
    const mallory = await createIdentity()
    assert.equal(
      await refusal((client) => client.prove({ peerId: ada.peerId, sign: (bytes) => mallory.sign(bytes) })),
      'SIGNATURE_INVALID',
    )
    assert.equal(await refusal((client) => client.prove(ada, { fog: mallory.peerId })), 'PROOF_INVALID')
    const spied = await seal(ada, SOCKET_PROOF_TYPE, await dial().challenge())
    assert.equal(await refusal(async (client) => client.raw(spied)), 'PROOF_INVALID')
    assert.equal(await refusal(async (client) => client.raw('hello')), 'MESSAGE_MALFORMED')
    assert.equal(await refusal(async (client) => client.raw(new Uint8Array(5000))), 'MESSAGE_TOO_LARGE')
    // an envelope of another kind that ada once signed
    const other = async (client: Client) => client.raw(await seal(ada, 'pingo/update/1', await client.challenge()))
    assert.equal(await refusal(other), 'MESSAGE_INVALID')
    assert.equal(channels.length, 0)
  })

  test('who says nothing is cut, and a frame over the limit ends its channel', async () => {
    const { dial, next } = await stage({ proofTimeoutMs: 50 })
    assert.equal((await dial().closed).reason, 'PROOF_TIMEOUT')
    const coming = next()
    const client = dial()
    await client.prove(ada)
    const channel = await coming
    client.raw(new Uint8Array(MAX_SOCKET_FRAME_BYTES + 1))
    assert.equal((await client.closed).code, 1009)
    assert.ok(await channel.closed)
    await assert.rejects(async () => {
      for await (const _ of channel.messages);
    })
  })

  test('what is not a message ends the channel with its fault', async () => {
    const { dial, next } = await stage()
    const coming = next()
    const client = dial()
    await client.prove(ada)
    const channel = await coming
    client.raw(encode({ ...heartbeat, slices: [{ state: 'dancing' }] }))
    await assert.rejects(async () => {
      for await (const _ of channel.messages);
    })
    assert.equal((await client.closed).reason, 'MESSAGE_INVALID')
  })

  test('a flood is slowed down to the rate, in bounded memory, and the channel still works', async () => {
    const { dial, next } = await stage({ messages: { perSecond: 20, burst: 100 } })
    const coming = next()
    const client = dial()
    await client.prove(ada)
    const channel = await coming
    for (let i = 0; i < 5_000; i++) client.send(heartbeat)
    const began = performance.now()
    let count = 0
    for await (const _ of channel.messages) if ((count += 1) === 120) break
    // 100 at once, then 20 a second
    assert.ok(performance.now() - began >= 900, `120 messages in ${performance.now() - began} ms`)
    channel.abort(new Error('enough'))
    await client.closed
  })

  test('pages of other sites, too many of one address, and too many that prove nothing are refused', async () => {
    const { dial, port } = await stage({ maxPending: 3, opening: { perSecond: 0.001, burst: 5 } })
    assert.equal((await dial({ origin: 'https://elsewhere.example' }).closed).status, 403)
    assert.equal((await dial({ origin: 'null' }).closed).status, 403)
    const own = dial({ origin: `http://127.0.0.1:${port}` })
    await own.challenge()
    const silent = [dial(), dial()]
    for (const client of silent) await client.challenge()
    assert.equal((await dial().closed).status, 503)
    own.end()
    for (const client of silent) client.end()
    await Promise.all([own, ...silent].map(({ closed }) => closed))
    for (let i = 0; i < 2; i++) {
      const client = dial()
      await client.challenge()
      client.end()
      await client.closed
    }
    assert.equal((await dial().closed).status, 429)
  })

  test('other upgrades are no matter of the door: the request is served as it is', async () => {
    const { port } = await stage()
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-test': '1' } })
    assert.equal(await response.text(), 'plain')
    const wrong = new WebSocket(`ws://127.0.0.1:${port}/elsewhere`)
    const error = await new Promise<Error>((resolve) => wrong.on('error', resolve))
    assert.match(error.message, /200/)
  })
})

/** A client without a mind of its own. */
class Client {
  readonly closed: Promise<{ code: number; reason: string; status: number }>
  readonly #socket: WebSocket
  readonly #frames: Uint8Array[] = []
  #wake: (() => void) | undefined

  constructor(port: number, headers: Record<string, string>) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}${CONTRIBUTE_PATH}`, { headers })
    let status = 101
    this.closed = new Promise((resolve) => {
      this.#socket.on('unexpected-response', (request, response) => {
        status = response.statusCode ?? 0
        request.destroy()
        resolve({ code: 0, reason: '', status })
      })
      this.#socket.on('close', (code, reason) => resolve({ code, reason: reason.toString(), status }))
    })
    this.#socket.on('error', () => undefined)
    this.#socket.on('message', (data) => {
      this.#frames.push(data as Buffer)
      this.#wake?.()
    })
  }

  async frame(): Promise<Uint8Array> {
    while (this.#frames.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve))
    return this.#frames.shift()!
  }

  async challenge(): Promise<{ fog: string; nonce: Uint8Array }> {
    const { fog, nonce } = decode(SocketChallengeSchema, await this.frame(), MAX_SOCKET_FRAME_BYTES)
    return { fog, nonce }
  }

  async prove(signer: Pick<Identity, 'peerId' | 'sign'>, change: { fog?: string } = {}): Promise<void> {
    this.#socket.send(await seal(signer, SOCKET_PROOF_TYPE, { ...(await this.challenge()), ...change }))
  }

  send(message: ContributorMessage): void {
    this.#socket.send(encode(message))
  }

  async raw(bytes: Uint8Array | string): Promise<void> {
    if (this.#socket.readyState !== WebSocket.OPEN) await new Promise((resolve) => this.#socket.once('open', resolve))
    this.#socket.send(bytes)
  }

  end(): void {
    this.#socket.close()
  }
}
