import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { GroupedDatabase } from './database.ts'
import { NAMES_SCHEMA, NameStore } from './name-store.ts'

test('the records of all names take so many bytes at most; what ended or was superseded makes room', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-names-'))
  const db = new GroupedDatabase(join(folder, 'db.sqlite'), NAMES_SCHEMA)
  try {
    // a record here is its sequence and its end
    const check = async (_: string, [sequence, validUntil]: Uint8Array) => ({
      sequence: sequence!,
      validUntil: validUntil!,
    })
    const store = new NameStore(db, check, () => 0, 2_000)
    const record = (sequence: number, end: number) => new Uint8Array(10).fill(sequence, 0, 1).fill(end, 1, 2)
    for (let n = 0; n < 100; n++) await store.put(`early ${n}`, record(0, 5))
    for (let n = 0; n < 100; n++) await store.put(`late ${n}`, record(0, 9))
    await assert.rejects(store.put('one more', record(0, 9)), { code: 'QUOTA_EXCEEDED' })
    await store.put('late 1', record(1, 9))
    assert.equal(store.versions('late 1').length, 1, 'a full node goes on with the names that it has')
    await assert.rejects(store.put('one more', record(0, 9)), { code: 'QUOTA_EXCEEDED' })
    await store.prune(6)
    for (let sequence = 1; sequence <= 100; sequence++) await store.put('late 0', record(sequence, 9))
    await store.put('one more', record(0, 9)) // of the hundred and one versions a hundred are kept
    await assert.rejects(store.put('two more', record(0, 9)), { code: 'QUOTA_EXCEEDED' })
    const again = new NameStore(db, check, () => 0, 2_010)
    await again.put('late 0', record(101, 9))
    await again.put('two more', record(0, 9))
    assert.equal(again.versions('late 0').length, 100)
  } finally {
    db.close()
    await rm(folder, { recursive: true, force: true })
  }
})
