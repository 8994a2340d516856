import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { sealFile } from './sealed-file.ts'
import { newObjectKey, RECORD_BYTES } from './segment.ts'
import { openSealedFileWeb } from './web-sealed-file.ts'

test('what Node sealed opens by WebCrypto, and nothing else does', async () => {
  const key = newObjectKey()
  for (const bytes of [0, 1, RECORD_BYTES, 2 * RECORD_BYTES + 77]) {
    const content = randomBytes(bytes)
    const sealed = Buffer.concat(await Array.fromAsync(sealFile(key, content)))
    assert.equal(Buffer.compare(await openSealedFileWeb(key, sealed), content), 0)
    sealed[Math.floor(sealed.length / 2)]! ^= 1
    await assert.rejects(openSealedFileWeb(key, sealed), (error) => isPinGoError(error, 'DATA_TAMPERED'))
  }
  await assert.rejects(openSealedFileWeb(key, randomBytes(10)), (error) => isPinGoError(error, 'DATA_TAMPERED'))
})
