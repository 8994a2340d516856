import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer as createTlsServer } from 'node:https'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { createIdentity } from '@pingo/wire'
import { HttpPool, makeCertificate, request } from '../index.ts'
import { listen, node, stops } from '../testing/http-node.ts'

/** A connection that sends pieces as they are and collects what comes. */
function dial(url: string) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  stops.push(() => void socket.destroy())
  let text = ''
  socket.on('data', (part) => (text += part.toString('latin1'))).on('error', () => undefined)
  return {
    socket,
    text: () => text,
    /** Waits until `wanted` answers with their bodies came. */
    answers: async (wanted: number, body: string) => {
      while (text.split(body).length - 1 < wanted) await once(socket)
      return text
    },
  }
}
const once = (socket: Socket) =>
  new Promise<void>((resolve, reject) => {
    const done = () => {
      socket.off('data', done).off('close', gone)
      resolve()
    }
    const gone = () => reject(new Error('closed'))
    socket.once('data', done).once('close', gone)
  })
/** The status and headers of each answer, without the time. */
const headsOf = (text: string, body: string) =>
  text
    .split(body)
    .slice(0, -1)
    .map((head) =>
      head
        .toLowerCase()
        .replace(/\r\ndate: [^\r]+/, '')
        .split('\r\n')
        .filter(Boolean)
        .sort(),
    )

describe('the fast lane', () => {
  const plain = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n`

  it('answers what is in memory as node:http would, head for head, and passes on all else', async () => {
    const { files, url, asked } = await node()
    const { cid } = await files.put(Buffer.from('the-body'))
    for (const path of [`/ipfs/${cid}`, `/ipfs/${cid}?format=raw`]) {
      await (await fetch(url + path)).arrayBuffer() // into memory
      const before = asked.length
      const lane = dial(url)
      lane.socket.write(plain(path))
      await lane.answers(1, 'the-body')
      lane.socket.write(plain(path))
      await lane.answers(2, 'the-body')
      assert.equal(asked.length, before, 'neither came to node:http')
      // two at once do, and what follows them
      lane.socket.write(plain(path) + plain(path))
      await lane.answers(4, 'the-body')
      assert.equal(asked.length, before + 2)
      const [a, b, c, d] = headsOf(lane.text(), 'the-body')
      assert.deepEqual(a, b)
      assert.deepEqual(a, c)
      assert.deepEqual(a, d)
      assert.ok(a!.includes('http/1.1 200 ok'))
      lane.socket.write(plain(path))
      await lane.answers(5, 'the-body')
      assert.equal(asked.length, before + 3)
    }
  })

  it('leaves to node:http whatever asks for more, is cut in pieces, or is no request', async () => {
    const { files, url, asked } = await node()
    const { cid } = await files.put(Buffer.from('0123456789'))
    await (await fetch(`${url}/ipfs/${cid}`)).arrayBuffer()
    const line = `GET /ipfs/${cid} HTTP/1.1\r\n`
    for (const [text, answer] of [
      [`${line}Host: x\r\nRange: bytes=2-3\r\n\r\n`, /^HTTP\/1\.1 206 .*\r\n\r\n23$/s],
      [`${line}Host: x\r\nIf-None-Match: *\r\n\r\n`, /^HTTP\/1\.1 304 /],
      [`${line}Host: x\r\nAccept: application/vnd.ipld.raw\r\n\r\n`, /vnd\.ipld\.raw/],
      [`${line}Host: x\r\nConnection: close\r\n\r\n`, /connection: close/i],
      [`${line}Host: x\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1\.1 200 /],
      [`${line}\r\n`, /^HTTP\/1\.1 400 /],
      [`${line}Host: x\r\nA b: c\r\n\r\n`, /^HTTP\/1\.1 400 /],
      [`${line}Host: x\r\n folded: y\r\n\r\n`, /^HTTP\/1\.1 /],
      [`${line}Host: x\nUser-Agent: y\r\n\r\n`, /^HTTP\/1\.1 /],
      [`HEAD /ipfs/${cid} HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1\.1 200 .*content-length: 10\r\n.*\r\n\r\n$/is],
      ['GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n', /elsewhere/],
      ['nonsense\r\n\r\n', /^HTTP\/1\.1 400 /],
      [`GET /ipfs/${cid} HTTP/1.0\r\n\r\n`, /^HTTP\/1\.1 200 .*0123456789$/s],
    ] as const) {
      const before = asked.length
      const lane = dial(url)
      lane.socket.write(text)
      while (!answer.test(lane.text())) await once(lane.socket)
      assert.ok(asked.length === before + 1 || /^HTTP\/1\.1 400 /.test(lane.text()), text)
    }
    const slow = dial(url)
    for (const piece of `${line}Host: x\r\n\r\n`.match(/.{1,20}/gs)!) {
      slow.socket.write(piece)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await slow.answers(1, '0123456789')
  })

  it('reads no further request before the last answer was taken, and serves on when it was', async () => {
    const { files, url } = await node()
    const bytes = randomBytes(1 << 20)
    const [large, small] = [await files.put(bytes), await files.put(Buffer.from('small-body'))]
    for (const { cid } of [large, small]) await (await fetch(`${url}/ipfs/${cid}`)).arrayBuffer()
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    stops.push(() => void socket.destroy())
    socket.pause()
    for (let n = 0; n < 12; n++) {
      socket.write(plain(`/ipfs/${large.cid}`))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    let received = 0
    await new Promise<void>((resolve) => {
      socket.on('data', (part) => {
        received += part.byteLength
        if (received >= 12 * (1 << 20)) resolve()
      })
      socket.resume()
    })
    socket.write(plain(`/ipfs/${small.cid}`))
    let text = ''
    await new Promise<void>((resolve) => {
      socket.on('data', (part) => {
        text += part.toString('latin1')
        if (text.includes('small-body')) resolve()
      })
    })
  })

  it('ends with its server', async () => {
    const { files, url, server } = await node()
    const { cid } = await files.put(Buffer.from('body'))
    await (await fetch(`${url}/ipfs/${cid}`)).arrayBuffer()
    const lane = dial(url)
    lane.socket.write(plain(`/ipfs/${cid}`))
    await lane.answers(1, 'body')
    const closed = new Promise((resolve) => lane.socket.once('close', resolve))
    const ended = new Promise((resolve) => server.close(resolve))
    await Promise.all([closed, ended])
  })

  it('is there over TLS too', async () => {
    const { files, handle, url } = await node()
    const { cid } = await files.put(Buffer.from('secret-body'))
    await (await fetch(`${url}/ipfs/${cid}`)).arrayBuffer()
    const { key, cert, fingerprint } = await makeCertificate(await createIdentity())
    let parsed = 0
    const server = createTlsServer({ key, cert }, (q, s) => {
      parsed += 1
      handle(q, s)
    })
    handle.accelerate(server)
    const source = { url: `https://${await listen(server)}`, pin: fingerprint }
    const pool = new HttpPool()
    stops.push(() => pool.close())
    for (let n = 0; n < 5; n++) {
      const { body } = await request(source, `/ipfs/${cid}`, {}, pool)
      assert.equal(Buffer.from(body).toString(), 'secret-body')
    }
    assert.equal(parsed, 0)
  })
})
