import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { BlockStore, blockHandler, type Disk, FileStore, keyOf, nodeDisk } from '@pingo/storage'
import { cidOf, type FileRef, isPinGoError } from '@pingo/wire'
import { ContributorDisk, type DiskOptions } from './disk.ts'
import { Files } from './files.ts'
import { LEAST_DISK_BYTES } from './owner/limits.ts'

const MIB = 1 << 20
const stops: (() => unknown)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'pingo-disk-'))
  stops.push(() => rm(path, { recursive: true, force: true }))
  return path
}

/** A fog node's blocks over HTTP. */
async function source() {
  const blocks = await BlockStore.open(await folder())
  const handle = blockHandler(blocks, { authorize: () => false })
  const server = createServer((request, response) => handle(request, response) || response.writeHead(404).end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => blocks.close())
  stops.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const files = new FileStore(blocks)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    put: (bytes: number) => files.put(randomBytes(bytes)),
  }
}

async function contributor(o: Partial<DiskOptions> = {}, path?: string) {
  const home = path ?? (await folder())
  const disk = await ContributorDisk.open(home, { quotaBytes: LEAST_DISK_BYTES, keepFreeBytes: 0, ...o })
  stops.push(() => disk.close())
  const from = await source()
  const files = new Files(disk, () => [{ url: from.url }])
  const read = (ref: FileRef) => files.read(ref, AbortSignal.timeout(60_000))
  return { home, disk, from, files, read }
}

/** What the disk really gives for a folder, all in it, whatever it is. */
function allocated(path: string): number {
  let sum = 0
  for (const name of ['.', ...(readdirSync(path, { recursive: true }) as string[])]) {
    const found = statSync(join(path, name), { throwIfNoEntry: false })
    sum += (found?.blocks ?? 0) * 512
  }
  return sum
}

/** Looks at a folder as often as it can until it is stopped. @returns the most that it took */
function watch(path: string): () => number {
  let most = 0
  const look = () => {
    most = Math.max(most, allocated(path))
  }
  const timer = setInterval(look, 5)
  return () => {
    clearInterval(timer)
    look()
    return most
  }
}

const isCode = (code: string) => (error: unknown) => isPinGoError(error, code)

test('a folder never takes more than its quota: parallel reads, puts and deletions near the limit', async () => {
  const { home, disk, from, files, read } = await contributor()
  const refs = await Promise.all(Array.from({ length: 14 }, (_, i) => from.put(i % 2 ? 8 * MIB : 3 * MIB + 1)))
  const most = watch(home)
  let isDone = false
  const others = async () => {
    for (const small: FileRef[] = []; !isDone; ) {
      const bytes = randomBytes(100_000)
      await disk.blocks.put(cidOf(bytes), bytes).catch((error) => assert.ok(isCode('QUOTA_EXCEEDED')(error)))
      small.push({ cid: cidOf(bytes).toString(), bytes: bytes.byteLength })
      if (small.length > 20) await files.drop(small.shift()!)
    }
  }
  const busy = others()
  try {
    await Promise.all(
      [0, 5, 9].map(async (at) => {
        for (const ref of [...refs.slice(at), ...refs.slice(0, at)])
          assert.equal((await read(ref)).byteLength, ref.bytes)
      }),
    )
    await disk.endLease()
  } finally {
    isDone = true
    await busy
  }
  const { quotaBytes, usedBytes } = disk.status()
  assert.ok(most() <= quotaBytes, `it took ${most()} of ${quotaBytes} bytes`)
  assert.ok(most() > quotaBytes / 2, `the limit was not near: ${most()}`)
  assert.ok(usedBytes <= quotaBytes)
})

test('what the running lease uses is not evicted; after it, it is what others are', async () => {
  const { disk, from, read } = await contributor()
  const mine = await from.put(4 * MIB)
  await read(mine)
  const others = await Promise.all(Array.from({ length: 40 }, () => from.put(2 * MIB)))
  const isHere = async (ref: FileRef) =>
    (await new FileStore(disk.blocks).chunks(ref.cid).catch(() => [''])).every((cid) => cid && disk.blocks.has(cid))
  for (const ref of others) await read(ref)
  assert.ok(await isHere(mine))
  await disk.endLease()
  for (const ref of others) await read(ref)
  await disk.endLease()
  for (const ref of others) await read(ref)
  assert.ok(!(await isHere(mine)))
})

test('an owner who lends less than before has the rest back at the next start', async () => {
  const { home, disk, from, read } = await contributor({ quotaBytes: 2 * LEAST_DISK_BYTES })
  for (let i = 0; i < 10; i++) await read(await from.put(10 * MIB))
  assert.ok(allocated(home) > LEAST_DISK_BYTES)
  await disk.close()
  const again = await contributor({}, home)
  assert.ok(allocated(home) <= LEAST_DISK_BYTES, `${allocated(home)} bytes`)
  assert.ok(again.disk.status().usedBytes <= LEAST_DISK_BYTES)
})

test('a disk that gets full: cached blocks go first, then nothing is stored, and when there is space it goes on', async () => {
  const elsewhere = { bytes: 0 } // what the owner's own files take
  let home = ''
  const size = 200 * MIB
  const slow: Disk = { ...nodeDisk, free: async () => size - elsewhere.bytes - allocated(home) }
  home = await folder()
  const told: boolean[] = []
  const margin = 50 * MIB
  const { disk, from, read } = await contributor(
    { disk: slow, keepFreeBytes: margin, watchMs: 3_600_000, onChange: () => told.push(disk.isLow) },
    home,
  )
  const [first, second] = [await from.put(20 * MIB), await from.put(3 * MIB)]
  await read(first)
  await disk.endLease()
  await read(second)

  elsewhere.bytes = size - margin - 10 * MIB // room for half of what is cached
  await disk.look()
  assert.equal(disk.isLow, false)
  assert.ok(allocated(home) <= 10 * MIB, 'cached blocks made room')

  elsewhere.bytes = size - margin + 1 * MIB
  await disk.look()
  assert.equal(disk.isLow, true)
  assert.equal(disk.status().isLow, true)
  await assert.rejects(read(await from.put(1000)), isCode('DISK_LOW'))

  elsewhere.bytes = 0
  await disk.look()
  assert.deepEqual(told, [true, false])
  await read(first)

  // it fills up between two looks: a put notices by itself
  elsewhere.bytes = size - margin / 2
  await assert.rejects(read(await from.put(20 * MIB)), isCode('DISK_LOW'))
  assert.deepEqual(told, [true, false, true])
})

test('a block that decays at rest is found, dropped, and fetched again', async () => {
  const { home, disk, from, read } = await contributor()
  const ref = await from.put(1000)
  const bytes = await read(ref)
  await disk.close()
  const key = keyOf(ref.cid)
  await writeFile(join(home, 'blocks', key.slice(0, 2), key), Buffer.alloc(1000))
  const noticed = Promise.withResolvers<void>()
  const again = await ContributorDisk.open(home, {
    quotaBytes: LEAST_DISK_BYTES,
    clock: () => Date.now() + 8 * 86_400_000, // a round a week
    onChange: noticed.resolve,
  })
  stops.push(() => again.close())
  await noticed.promise
  assert.equal(again.status().damaged, 1)
  assert.ok(!again.blocks.has(ref.cid))
  const files = new Files(again, () => [{ url: from.url }])
  assert.deepEqual(await files.read(ref, AbortSignal.timeout(60_000)), bytes)

  // damaged after it was looked at: the read notices, and fetches it
  await writeFile(join(home, 'blocks', key.slice(0, 2), key), Buffer.alloc(1000))
  assert.deepEqual(Buffer.from(await files.read(ref, AbortSignal.timeout(60_000))), Buffer.from(bytes))
})
