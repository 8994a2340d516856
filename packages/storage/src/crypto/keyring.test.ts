import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { isPinGoError } from '@pingo/wire'
import { hasKeyring, Keyring, loadKeyring, restoreKeyring, SECRET_BYTES } from './keyring.ts'
import { wrap } from './wrap.ts'

async function withFile(work: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-keyring-'))
  try {
    await work(join(folder, 'home', 'storage.key'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

const secret = Buffer.alloc(SECRET_BYTES, 7)

test('a keyring outlives its process, is private, and two that start at once agree on it', () =>
  withFile(async (file) => {
    assert.equal(await hasKeyring(file), false)
    const keyrings = await Promise.all([1, 2, 3, 4].map(() => loadKeyring(file)))
    assert.equal(await hasKeyring(file), true)
    assert.equal(new Set(keyrings.map(({ owner }) => owner.peerId)).size, 1)
    const again = await loadKeyring(file)
    assert.deepEqual(again.revealSecret(), keyrings[0]!.revealSecret())
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(join(file, '..')), ['storage.key'])
  }))

test('a damaged keyring is refused with a sentence, never replaced, never taken for another owner’s', () =>
  withFile(async (file) => {
    await loadKeyring(file)
    const bytes = await readFile(file)
    for (const damaged of [
      bytes.subarray(0, 20),
      Buffer.alloc(0),
      bytes.map((byte, i) => (i === 5 ? byte ^ 1 : byte)),
    ]) {
      await writeFile(file, damaged)
      for (const open of [() => loadKeyring(file), () => restoreKeyring(file, secret)])
        await assert.rejects(open, (error) => isPinGoError(error, 'KEYRING_UNREADABLE') && error.message.includes(file))
      assert.deepEqual(await readFile(file), Buffer.from(damaged))
    }
  }))

test('a secret is restored where there is none, and never over another', () =>
  withFile(async (file) => {
    const restored = await restoreKeyring(file, secret)
    assert.equal(restored.owner.peerId, (await loadKeyring(file)).owner.peerId)
    await restoreKeyring(file, secret)
    await assert.rejects(restoreKeyring(file, Buffer.alloc(SECRET_BYTES, 8)), (error) =>
      isPinGoError(error, 'KEYRING_EXISTS'),
    )
    assert.deepEqual(Buffer.from((await loadKeyring(file)).revealSecret()), secret)
  }))

test('all keys follow from the secret, each from its own purpose; the derivation is what it was', async () => {
  const keyring = await Keyring.of(secret)
  const same = await Keyring.of(secret)
  assert.equal(keyring.owner.peerId, '12D3KooWKVZhdSU8ZMNUfKbKnknJ7QfVnYhYgRAtuXtyqKyPGAoe')
  assert.equal(keyring.indexName.peerId, '12D3KooWSbykH8JzBQxbw9efUXQ1fCTKdkmZKoohKW77jiUupifd')
  assert.equal(
    Buffer.from(keyring.publicKey).toString('hex'),
    '52126f2cfde94d1bfe35b4b391abcc01799ababef38771ce5d3393098778045b',
  )
  const key = Buffer.alloc(32, 3)
  assert.deepEqual(Buffer.from(same.open('key of x', keyring.seal('key of x', key))), key)
  assert.deepEqual(Buffer.from(await same.unwrap('job 1', await wrap(keyring.publicKey, 'job 1', key))), key)
  assert.notEqual((await Keyring.of(Buffer.alloc(SECRET_BYTES, 8))).owner.peerId, keyring.owner.peerId)
})

test('what one owner sealed opens for nobody else, and for no other purpose', async () => {
  const keyring = await Keyring.of(secret)
  const other = await Keyring.of(Buffer.alloc(SECRET_BYTES, 8))
  const sealed = keyring.seal('a', Buffer.from('words'))
  const refused = (open: () => Uint8Array) => assert.throws(open, (error) => isPinGoError(error, 'KEYRING_WRONG'))
  refused(() => other.open('a', sealed))
  refused(() => keyring.open('b', sealed))
  refused(() => keyring.open('a', sealed.subarray(1)))
  refused(() => keyring.open('a', new Uint8Array(3)))
  const wrapped = await wrap(keyring.publicKey, 'a', Buffer.from('words'))
  const rejected = (opened: Promise<unknown>) => assert.rejects(opened, (error) => isPinGoError(error, 'WRAP_INVALID'))
  await rejected(other.unwrap('a', wrapped))
  await rejected(keyring.unwrap('b', wrapped))
  await rejected(keyring.unwrap('a', wrapped.subarray(1)))
  await assert.rejects(wrap(new Uint8Array(31), 'a', new Uint8Array()), (error) =>
    isPinGoError(error, 'PUBLIC_KEY_INVALID'),
  )
})

test('a printed keyring shows no key', async () => {
  const keyring = await Keyring.of(secret)
  const seed = Buffer.from(keyring.owner.privateKey.raw).subarray(0, 32)
  const shown = [
    inspect(keyring, { depth: 9, showHidden: true }),
    JSON.stringify(keyring),
    `${keyring}`,
    inspect({ keyring }, { depth: 9 }),
  ].join('\n')
  assert.ok(shown.includes(keyring.owner.peerId))
  for (const bytes of [secret, seed])
    for (const text of [
      bytes.toString('hex'),
      bytes.toString('base64'),
      [...bytes].slice(0, 6).join(','),
      [...bytes].slice(0, 6).join(', '),
    ])
      assert.ok(!shown.includes(text), text)
})

test('a closed keyring seals nothing under a key of zeros', async () => {
  const keyring = await Keyring.of(secret)
  const sealed = keyring.seal('a', Buffer.from('words'))
  keyring[Symbol.dispose]()
  assert.throws(() => keyring.seal('a', Buffer.from('words')), /closed/)
  assert.throws(() => keyring.open('a', sealed), /closed/)
  assert.throws(() => keyring.revealSecret(), /closed/)
  assert.equal(secret[0], 7, 'the caller’s array is the caller’s')
})
