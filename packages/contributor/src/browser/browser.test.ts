import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { BlockStore, FileStore } from '@pingo/storage'
import { createIdentity, isPinGoError, parseCid } from '@pingo/wire'
import { decide, type OwnerWishes, type Signs } from './decide.ts'
import { WebFiles } from './fetch-file.ts'
import { openBrowserIdentity, peerIdOf } from './identity.ts'
import { browserName } from './index.ts'

const never = new AbortController().signal

test('a PeerId made without libp2p is the one that libp2p makes', async () => {
  const { peerId, privateKey } = await createIdentity()
  assert.equal(peerIdOf(privateKey.publicKey.raw), peerId)
})

test('a browser that keeps nothing has an identity for this visit, and says so', async () => {
  const { verifySignature } = await import('@pingo/wire')
  const identity = await openBrowserIdentity() // Node has no IndexedDB
  assert.equal(identity.isKept, false)
  const bytes = randomBytes(100)
  assert.equal(await verifySignature(identity.peerId, bytes, await identity.sign(bytes)), true)
  assert.equal(await verifySignature(identity.peerId, randomBytes(100), await identity.sign(bytes)), false)
})

test('what is decided for a device, sign by sign', () => {
  const wishes: OwnerWishes = { share: 0.8, whenHidden: 'pause', onBattery: 'pause', onMetered: 'pause' }
  const seen: Signs = { isHidden: false }
  const reason = (w: Partial<OwnerWishes>, s: Partial<Signs>) =>
    decide({ ...wishes, ...w }, { ...seen, ...s }).pause?.reason
  assert.deepEqual(decide(wishes, seen), { share: 0.8 })
  assert.equal(reason({}, { isHidden: true }), 'hidden')
  assert.ok(Math.abs(decide({ ...wishes, whenHidden: 'slow' }, { isHidden: true }).share - 0.2) < 1e-9)
  assert.equal(decide({ ...wishes, whenHidden: 'go-on' }, { isHidden: true }).share, 0.8)
  assert.equal(reason({}, { onBattery: true, batteryShare: 0.9 }), 'battery')
  assert.equal(reason({ onBattery: 'go-on' }, { onBattery: true, batteryShare: 0.9 }), undefined)
  assert.equal(reason({ onBattery: 'go-on' }, { onBattery: true, batteryShare: 0.1 }), 'battery')
  assert.equal(reason({}, { onBattery: false, batteryShare: 0.1 }), undefined)
  assert.equal(reason({}, { isMetered: true }), 'metered')
  assert.equal(reason({ onMetered: 'go-on' }, { isMetered: true }), undefined)
})

test('browsers are named as people know them', () => {
  const android = 'Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36'
  const iphone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1'
  assert.equal(browserName(android), 'Chrome on Android')
  assert.equal(browserName(iphone), 'Safari on iOS')
  assert.equal(browserName(''), 'Browser')
})

test('files come whole through a tree of blocks, and a gateway that lies gets nothing past', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-web-files-'))
  const blocks = await BlockStore.open(folder, { quotaBytes: 1e9 })
  try {
    const content = randomBytes((2 << 20) + 777)
    const ref = await new FileStore(blocks).put(content)
    let spoil = false
    const asked: string[] = []
    const gateway: typeof fetch = async (url) => {
      const cid = parseCid(/\/ipfs\/(\w+)/.exec(String(url))![1]!)
      asked.push(cid.toString())
      const block = Uint8Array.from(await blocks.get(cid))
      if (spoil && asked.length > 1) block[5]! ^= 1
      return new Response(block)
    }
    const files = new WebFiles({ origin: 'http://fog', maxBytes: 1e8, fetch: gateway })
    assert.equal(Buffer.compare(await files.read(ref, never), content), 0)
    assert.equal(asked.length, 4, 'a root and three leaves')
    asked.length = 0
    spoil = true
    await assert.rejects(files.read(ref, never), (error) => isPinGoError(error, 'FETCH_FAILED'))
    spoil = false
    const fault = (code: string) => (error: unknown) => isPinGoError(error, code)
    await assert.rejects(files.read({ ...ref, bytes: 2e8 }, never), fault('FILE_TOO_LARGE'))
    await assert.rejects(files.read({ ...ref, bytes: ref.bytes + 1 }, never), fault('FILE_SIZE_MISMATCH'))
  } finally {
    await blocks.close()
    await rm(folder, { recursive: true, force: true })
  }
})
