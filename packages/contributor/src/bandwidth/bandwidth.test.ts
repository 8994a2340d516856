import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { BlockStore, blockHandler, FileStore } from '@pingo/storage'
import { isPinGoError } from '@pingo/wire'
import { ContributorDisk } from '../disk.ts'
import { Files } from '../files.ts'
import { sendUpdate, uploadMs } from '../upload.ts'
import { Bandwidth, type BandwidthOptions } from './bandwidth.ts'
import type { BucketClock } from './bucket.ts'

const MIB = 1 << 20
const stops: (() => unknown)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'pingo-bandwidth-'))
  stops.push(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Time that passes only when all that could happen in it has. */
class VirtualClock implements BucketClock {
  at = 0
  #sleepers: { until: number; wake: () => void }[] = []
  now = () => this.at
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      signal?.addEventListener('abort', () => reject(signal.reason))
      this.#sleepers.push({ until: this.at + ms, wake: resolve })
    })
  }
  async run(untilMs: number): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const next = Math.min(...this.#sleepers.map(({ until }) => until), untilMs)
      this.at = Math.max(this.at, next)
      const due = this.#sleepers.filter(({ until }) => until <= this.at)
      this.#sleepers = this.#sleepers.filter(({ until }) => until > this.at)
      for (const { wake } of due) wake()
      if (due.length === 0 && this.at >= untilMs) return
    }
  }
}

/** Most bytes of any span of `ms`. */
function mostWithin(moves: { at: number; bytes: number }[], ms: number): number {
  let most = 0
  for (const [i, { at }] of moves.entries()) {
    let sum = 0
    for (const move of moves.slice(i)) if (move.at < at + ms) sum += move.bytes
    most = Math.max(most, sum)
  }
  return most
}

for (const rate of [8 << 10, 100_000, 5_000_000])
  test(`in any five seconds no more than five times ${rate} bytes, and nearly as much when it is wanted`, async () => {
    const clock = new VirtualClock()
    const bandwidth = new Bandwidth({ limits: { bytesPerSecond: rate, monthlyBytes: 0 }, clock })
    const moves: { at: number; bytes: number }[] = []
    const slice = async (pauseMs: number) => {
      while (clock.at < 60_000) {
        const bytes = bandwidth.pieceBytes('sent')
        await bandwidth.take(bytes, 'sent')
        moves.push({ at: clock.at, bytes })
        if (pauseMs > 0 && moves.length % 17 === 0) await clock.sleep(pauseMs, undefined)
      }
    }
    const slices = [slice(0), slice(0), slice(2_000)]
    await clock.run(62_000)
    await Promise.all(slices)
    assert.ok(mostWithin(moves, 5_000) * 1.05 <= rate * 5, `${mostWithin(moves, 5_000)} bytes`)
    const all = moves.reduce((sum, { bytes }) => sum + bytes, 0)
    assert.ok(all * 1.05 > rate * 60 * 0.93, `${all} bytes in a minute`)
  })

test('a limit changes while something waits for it; who gives up is passed over', async () => {
  const clock = new VirtualClock()
  const bandwidth = new Bandwidth({ limits: { bytesPerSecond: 10_000, monthlyBytes: 0 }, clock })
  const done: string[] = []
  const stop = new AbortController()
  void bandwidth.take(1_000_000, 'received').then(() => done.push('large'))
  const second = bandwidth.take(100, 'received', stop.signal).catch(() => done.push('given up'))
  void bandwidth.take(100, 'received').then(() => done.push('small'))
  void bandwidth.take(100, 'sent').then(() => done.push('other way'))
  await clock.run(2_000)
  assert.deepEqual(done, ['other way', 'small'])
  stop.abort(new Error('no more'))
  await second
  bandwidth.change({ bytesPerSecond: 2_000_000, monthlyBytes: 0 })
  await clock.run(4_000)
  assert.ok(done.includes('large'), done.join())
  bandwidth.change({ bytesPerSecond: 1_000, monthlyBytes: 0 })
  void bandwidth.take(50_000, 'received').then(() => done.push('last'))
  await clock.run(5_000)
  assert.ok(!done.includes('last'))
  bandwidth.change({ bytesPerSecond: 0, monthlyBytes: 0 })
  await clock.run(5_500)
  assert.ok(done.includes('last'))
})

test('the month is never counted low: not after a crash, not over the turn of a month', async () => {
  const file = join(await folder(), 'bandwidth.json')
  let now = new Date(2026, 10, 30, 23, 0).getTime()
  const open = (o: BandwidthOptions = {}) => new Bandwidth({ file, now: () => now, ...o })
  const first = open()
  let used = 0
  for (let i = 0; i < 500; i++) {
    first.count(50_000, 'received')
    used += 50_000
    now += 20
    // as it would be found after kill -9 at this very moment
    if (i % 50 === 0) {
      const found = open().month()
      assert.ok(found >= used && found >= first.month(), `${found} of ${used}`)
    }
  }
  first.close()
  assert.equal(open().month(), first.month())
  assert.ok(first.month() >= used * 1.05 && first.month() < used * 1.06)
  const november = first.month()
  now = new Date(2026, 11, 1, 0, 1).getTime()
  const december = open()
  assert.equal(december.month(), 0)
  december.count(1000, 'sent')
  december.giveBack(500, 'sent')
  december.close()
  now = new Date(2026, 10, 30, 12, 0).getTime() // the clock was wrong
  assert.equal(open().month(), november)
})

test('the file is written seldom, however much moves', async () => {
  const file = join(await folder(), 'bandwidth.json')
  let now = Date.now()
  const bandwidth = new Bandwidth({ file, now: () => now })
  let writes = 0
  let last = ''
  for (let i = 0; i < 20_000; i++) {
    bandwidth.count(64 << 10, 'received') // 65 MB/s for 20 s
    now += 1
    const text = i % 10 === 0 ? readFileSync(file, 'utf8') : last
    if (text !== last) writes += 1
    last = text
  }
  assert.ok(writes <= 15, `${writes} writes`)
  bandwidth.close()
})

test('the month’s volume is not passed; what results need is kept back', async () => {
  let caps = 0
  const limits = { bytesPerSecond: 0, monthlyBytes: 10_000_000 }
  const bandwidth = new Bandwidth({ limits, onCap: () => caps++ })
  const takeAll = async (direction: 'sent' | 'received') => {
    for (;;) await bandwidth.take(64 << 10, direction)
  }
  await assert.rejects(Promise.all([takeAll('received'), takeAll('received')]), (error) =>
    isPinGoError(error, 'DATA_CAP_REACHED'),
  )
  assert.ok(bandwidth.month() <= 9_500_000 && bandwidth.month() > 9_300_000)
  assert.ok(bandwidth.affords(300_000, 'sent') && !bandwidth.affords(300_000, 'received'))
  await assert.rejects(takeAll('sent'), (error) => isPinGoError(error, 'DATA_CAP_REACHED'))
  assert.ok(bandwidth.month() <= 10_000_000)
  assert.ok(bandwidth.isCapped)
  assert.equal(caps, 1)
  bandwidth.change({ ...limits, monthlyBytes: 20_000_000 })
  assert.ok(!bandwidth.isCapped)
  await bandwidth.take(1000, 'received')
})

/** A fog node's blocks over HTTP; `sent` are the bytes of bodies and when. */
async function source(wrap: (handle: RequestListener) => RequestListener = (handle) => handle) {
  const blocks = await BlockStore.open(await folder())
  const handle = blockHandler(blocks, { authorize: () => false })
  const server = createServer(
    wrap((request, response) => void (handle(request, response) || response.writeHead(404).end())),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => blocks.close())
  stops.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return { files: new FileStore(blocks), blocks, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function reader(url: string, bandwidth: Bandwidth) {
  const disk = await ContributorDisk.open(await folder(), { quotaBytes: 256 * MIB, keepFreeBytes: 0 })
  const files = new Files(disk, () => [{ url }], bandwidth)
  stops.push(() => disk.close())
  stops.push(() => files.close())
  return files
}

test('a file is pulled at the rate, by ranges, whole; what moved is counted', async () => {
  const asked: (string | undefined)[] = []
  const from = await source((handle) => (request, response) => {
    asked.push(request.headers.range)
    handle(request, response)
  })
  const clock = new VirtualClock()
  const bandwidth = new Bandwidth({ limits: { bytesPerSecond: 400_000, monthlyBytes: 0 }, clock })
  const files = await reader(from.url, bandwidth)
  const bytes = randomBytes(2_500_001)
  const ref = await from.files.put(bytes)
  let isDone = false
  const reading = files.read(ref, AbortSignal.timeout(60_000)).finally(() => {
    isDone = true
  })
  // virtual time passes while real sockets work
  while (!isDone) {
    await clock.run(clock.at + 5)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  assert.ok(bytes.equals(await reading))
  assert.ok(asked.every((range) => /^bytes=\d+-\d+$/.test(range ?? '')))
  assert.ok(clock.at >= (bytes.byteLength / 400_000) * 1000, `${clock.at} ms`)
  const { received, sent } = bandwidth.volume()
  assert.ok(received >= bytes.byteLength * 1.05 && received < bytes.byteLength * 1.1, `${received} received`)
  assert.ok(sent > 0 && sent < 100_000)
})

test('without a rate bytes are counted as they come; a source that knows no ranges does too; an empty block is one', async () => {
  const plain = await source()
  const bandwidth = new Bandwidth()
  const files = await reader(plain.url, bandwidth)
  const bytes = randomBytes(1_500_000)
  assert.ok(bytes.equals(await files.read(await plain.files.put(bytes), AbortSignal.timeout(60_000))))
  assert.ok(bandwidth.month() >= bytes.byteLength * 1.05 && bandwidth.month() < bytes.byteLength * 1.1)

  const rangeless = await source((handle) => (request, response) => {
    delete request.headers.range
    handle(request, response)
  })
  const limited = new Bandwidth({ limits: { bytesPerSecond: 50_000_000, monthlyBytes: 0 } })
  const others = await reader(rangeless.url, limited)
  assert.ok(bytes.equals(await others.read(await rangeless.files.put(bytes), AbortSignal.timeout(60_000))))
  assert.ok(limited.month() >= bytes.byteLength * 1.05)
  const empty = await plain.files.put(new Uint8Array(0))
  const third = await reader(plain.url, limited)
  assert.equal((await third.read(empty, AbortSignal.timeout(60_000))).byteLength, 0)
})

test('a file beyond the month’s volume is not fetched to its end', async () => {
  const from = await source()
  const bandwidth = new Bandwidth({ limits: { bytesPerSecond: 0, monthlyBytes: 2_000_000 } })
  const files = await reader(from.url, bandwidth)
  const ref = await from.files.put(randomBytes(5_000_000))
  await assert.rejects(files.read(ref, AbortSignal.timeout(60_000)), (error) => isPinGoError(error, 'DATA_CAP_REACHED'))
  assert.ok(bandwidth.month() <= 2_000_000)
})

test('an update is sent at the rate, and not begun when that takes too long', async () => {
  const seen: number[] = []
  const server = createServer(async (request, response) => {
    let bytes = 0
    for await (const part of request) bytes += (part as Buffer).byteLength
    seen.push(bytes)
    response.end('{"accepted":true}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => server.close())
  stops.push(() => server.closeAllConnections())
  const body = randomBytes(200_000)
  const send = (bandwidth: Bandwidth, deadline: number) =>
    sendUpdate({
      source: () => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
      lease: 'job-1.2',
      ticket: 'secret',
      body,
      deadline,
      clock: Date.now,
      signal: AbortSignal.timeout(60_000),
      bandwidth,
    })
  const limits = { bytesPerSecond: 400_000, monthlyBytes: 0 }
  const bandwidth = new Bandwidth({ limits })
  const from = performance.now()
  assert.deepEqual(await send(bandwidth, Date.now() + 60_000), { accepted: true })
  assert.ok(performance.now() - from >= 250, 'half a second, but for its first and last pieces')
  assert.deepEqual(seen, [body.byteLength])
  assert.ok(bandwidth.volume().sent >= body.byteLength * 1.05)

  const slow = new Bandwidth({ limits: { ...limits, bytesPerSecond: 20_000 } })
  assert.ok(uploadMs(slow, body.byteLength)! > 10_000)
  assert.equal(uploadMs(slow, 100 * MIB), undefined)
  await assert.rejects(send(slow, Date.now() + 5_000), (error) => isPinGoError(error, 'UPDATE_UNDELIVERED'))
  const capped = new Bandwidth({ limits: { bytesPerSecond: 0, monthlyBytes: 100_000 } })
  await assert.rejects(send(capped, Date.now() + 60_000), (error) => isPinGoError(error, 'DATA_CAP_REACHED'))
  assert.equal(seen.length, 1)
})
