import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { openSealedFile, SealedParts, sealedBytes, sealFile } from './sealed-file.ts'
import { newObjectKey, RECORD_BYTES } from './segment.ts'

const key = newObjectKey()
const seal = async (content: Uint8Array | AsyncIterable<Uint8Array>) =>
  Buffer.concat(await Array.fromAsync(sealFile(key, content)))
const isTampered = (error: unknown) => isPinGoError(error, 'DATA_TAMPERED')

test('a sealed file opens to what it was, is as long as told, and looks different each time', async () => {
  for (const bytes of [
    0,
    1,
    1000,
    RECORD_BYTES - 1,
    RECORD_BYTES,
    RECORD_BYTES + 1,
    3 * RECORD_BYTES,
    2.5 * RECORD_BYTES,
  ]) {
    const content = randomBytes(bytes)
    const sealed = await seal(content)
    assert.equal(sealed.byteLength, sealedBytes(bytes))
    assert.ok(content.equals(openSealedFile(key, sealed)), `${bytes} bytes`)
    if (bytes > 16) assert.notDeepEqual((await seal(content)).subarray(0, 64), sealed.subarray(0, 64))
  }
})

test('a stream is sealed like the whole, whatever its pieces', async () => {
  const content = randomBytes(2 * RECORD_BYTES + 77)
  const pieces = async function* () {
    for (let at = 0; at < content.byteLength; at += 300_001) yield content.subarray(at, at + 300_001)
  }
  assert.ok(content.equals(openSealedFile(key, await seal(pieces()))))
})

test('what was changed, cut, lengthened, put in another order or sealed by another key does not open', async () => {
  const sealed = await seal(randomBytes(3 * RECORD_BYTES))
  for (const at of [0, RECORD_BYTES, 3 * RECORD_BYTES, sealed.byteLength - 1]) {
    const changed = Buffer.from(sealed)
    changed[at]! ^= 1
    assert.throws(() => openSealedFile(key, changed), isTampered, `byte ${at}`)
  }
  const tail = sealed.subarray(3 * RECORD_BYTES)
  const shorter = Buffer.concat([sealed.subarray(0, 2 * RECORD_BYTES), tail.subarray(0, -16)])
  const swapped = Buffer.concat([
    sealed.subarray(RECORD_BYTES, 2 * RECORD_BYTES),
    sealed.subarray(0, RECORD_BYTES),
    sealed.subarray(2 * RECORD_BYTES),
  ])
  for (const wrong of [shorter, swapped, sealed.subarray(1), Buffer.concat([sealed, Buffer.alloc(1)]), Buffer.alloc(3)])
    assert.throws(() => openSealedFile(key, wrong), isTampered)
  assert.throws(() => openSealedFile(newObjectKey(), sealed), isTampered)
})

test('a part opens to what it was, of whatever records; each record is checked once, a changed one never opens', async () => {
  const content = randomBytes(2.5 * RECORD_BYTES)
  const sealed = await seal(content)
  let read = 0
  const parts = new SealedParts(sealed.byteLength, async (start, into) => {
    read += into.byteLength
    into.set(sealed.subarray(start, start + into.byteLength))
  })
  const part = async (start: number, bytes: number) => {
    const into = new Uint8Array(bytes)
    await parts.read(() => key, start, into)
    return content.subarray(start, start + bytes).equals(into)
  }
  const places: [number, number][] = [
    [0, 1],
    [15, 2],
    [RECORD_BYTES - 3, 7],
    [77, 2 * RECORD_BYTES],
    [content.byteLength - 5, 5],
    [123, 0],
  ]
  for (const all of await Promise.all(places.map((place) => part(...place)))) assert.ok(all)
  read = 0
  assert.ok(await part(RECORD_BYTES + 5, 1000))
  assert.equal(read, 1000)
  await assert.rejects(
    parts.read(() => key, content.byteLength - 5, new Uint8Array(6)),
    isTampered,
  )

  const changed = Buffer.from(sealed)
  changed[RECORD_BYTES + 7]! ^= 1
  const damaged = new SealedParts(
    changed.byteLength,
    async (start, into) => void into.set(changed.subarray(start, start + into.byteLength)),
  )
  await damaged.read(() => key, 0, new Uint8Array(10))
  for (let time = 0; time < 2; time++)
    await assert.rejects(
      damaged.read(() => key, RECORD_BYTES + 100, new Uint8Array(10)),
      isTampered,
    )
  await assert.rejects(damaged.read(newObjectKey, 2 * RECORD_BYTES, new Uint8Array(10)), isTampered)
  await assert.rejects(
    parts.read(
      () => {
        throw new Error('taken back')
      },
      0,
      new Uint8Array(1),
    ),
    /taken back/,
  )
})
