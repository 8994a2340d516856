import assert from 'node:assert/strict'
import { verify } from 'node:crypto'
import { mkdtemp, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { z } from 'zod'
import { createIdentity, identityFromSeed, isPinGoError, loadIdentity, seal, unseal, verifySignature } from './index.ts'

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-wire-'))
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('an identity outlives its process, is private to its owner, and two that start at once agree on it', () =>
  withFolder(async (folder) => {
    const file = join(folder, 'a', 'identity.key')
    const identities = await Promise.all([1, 2, 3, 4].map(() => loadIdentity(file)))
    assert.equal(new Set(identities.map(({ peerId }) => peerId)).size, 1)
    assert.equal((await loadIdentity(file)).peerId, identities[0]!.peerId)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
  }))

test('a seed has one identity: the key of RFC 8032’s first test', async () => {
  const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
  const identity = await identityFromSeed(seed)
  const publicKey = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
  assert.equal(Buffer.from(identity.privateKey.publicKey.raw).toString('hex'), publicKey)
  assert.equal((await identityFromSeed(seed)).peerId, identity.peerId)
})

test('a printed identity shows no key', async () => {
  const identity = await createIdentity()
  const shown = `${inspect({ identity }, { depth: 9 })} ${JSON.stringify({ identity })}`
  assert.ok(shown.includes(identity.peerId))
  assert.ok(!/raw|private/i.test(shown), shown)
})

test('a damaged identity file is refused with a sentence, never replaced', () =>
  withFolder(async (folder) => {
    const file = join(folder, 'identity.key')
    await loadIdentity(file)
    await truncate(file, 10)
    await assert.rejects(
      loadIdentity(file),
      (error) => isPinGoError(error, 'IDENTITY_UNREADABLE') && error.message.includes(file),
    )
  }))

test('signatures verify by the PeerId alone, and by OpenSSL’s Ed25519', async () => {
  const identity = await createIdentity()
  const bytes = Buffer.from('a message')
  const signature = await identity.sign(bytes)
  assert.equal(await verifySignature(identity.peerId, bytes, signature), true)
  assert.equal(await verifySignature(identity.peerId, Buffer.from('another'), signature), false)
  assert.equal(await verifySignature((await createIdentity()).peerId, bytes, signature), false)
  assert.equal(await verifySignature('not a peer', bytes, signature), false)
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), identity.privateKey.publicKey.raw])
  assert.equal(verify(null, bytes, { key: spki, format: 'der', type: 'spki' }, signature), true)
})

test('an envelope opens only as what was signed: type, payload, sender and size', async () => {
  const identity = await createIdentity()
  const schema = z.strictObject({ n: z.int() })
  const sealed = await seal(identity, 'test/1', { n: 7 })
  assert.deepEqual(await unseal(schema, 'test/1', sealed, 100), { from: identity.peerId, value: { n: 7 } })
  const refused = (code: string, bytes: Uint8Array, type = 'test/1', max = 100) =>
    assert.rejects(unseal(schema, type, bytes, max), (error) => isPinGoError(error, code))
  await refused('MESSAGE_INVALID', sealed, 'test/2')
  await refused('MESSAGE_INVALID', await seal(identity, 'test/1', { n: 'x' }))
  await refused('MESSAGE_TOO_LARGE', new Uint8Array(5000))
  await refused('MESSAGE_MALFORMED', sealed.subarray(0, sealed.length - 1))
  for (let i = 0; i < sealed.length; i++) {
    const changed = sealed.slice()
    changed[i]! ^= 1
    await assert.rejects(unseal(schema, 'test/1', changed, 100), `byte ${i} changed and the envelope still opened`)
  }
})
