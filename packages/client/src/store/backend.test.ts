import { createHash } from 'node:crypto'
import type { Names } from '@pingo/storage'
import { cidOf } from '@pingo/wire'
import { backendContract } from '../../../storage/src/s3/testing/backend-contract.ts'
import { StoreBackend } from './backend.ts'
import type { Backup } from './backup.ts'
import { openDatabase } from './database.ts'
import type { Extent } from './entry.ts'
import { Journals } from './journal.ts'
import type { Objects, Span } from './objects.ts'
import { OwnerIndex } from './owner-index.ts'

/** Objects in memory: what the backend makes of them is tested here, what the network makes of them elsewhere. */
class MemoryObjects {
  readonly held = new Map<string, Uint8Array>()

  async put(source: AsyncIterable<Uint8Array>, o: { isPublic?: boolean }): Promise<{ extent: Extent }> {
    const bytes = Buffer.concat(await Array.fromAsync(source))
    const salt = o.isPublic ? '' : String(this.held.size)
    const id = cidOf(createHash('sha256').update(salt).update(bytes).digest()).toString()
    this.held.set(id, bytes)
    return { extent: { id, bytes: bytes.byteLength, storedBytes: 2 * bytes.byteLength } }
  }

  async *read(extents: Extent[], span: Span = { start: 0, end: Number.POSITIVE_INFINITY }): AsyncGenerator<Uint8Array> {
    yield Buffer.concat(extents.map(({ id }) => this.held.get(id)!)).subarray(span.start, span.end)
  }
}

backendContract('The encrypted store', async () => {
  const db = openDatabase(':memory:')
  const index = new OwnerIndex(db)
  const keys = { seal: (_: string, bytes: Uint8Array) => bytes, open: (_: string, bytes: Uint8Array) => bytes }
  const objects = new MemoryObjects() as unknown as Objects
  const journals = new Journals(db, keys)
  const parts = {
    index,
    objects,
    journals,
    backup: undefined as unknown as Backup,
    names: undefined as unknown as Names,
    clock: Date.now,
  }
  const backend = new StoreBackend({ ...parts, home: '/nowhere', gateways: async () => [] })
  return { backend, close: async () => index.close() }
})
