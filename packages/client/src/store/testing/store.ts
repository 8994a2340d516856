import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Keyring, Names, type NodeMap } from '@pingo/storage'
import { Backup } from '../backup.ts'
import { openDatabase } from '../database.ts'
import { Journals } from '../journal.ts'
import { Objects } from '../objects.ts'
import { OwnerIndex } from '../owner-index.ts'
import { Store } from '../store.ts'

/** The store of one machine of an owner, over any nodes, in a folder of its own. */
export async function storeOn(
  nodes: NodeMap,
  o: { secret?: Uint8Array; clock?: () => number; home?: string } = {},
): Promise<{ store: Store; index: OwnerIndex; home: string } & AsyncDisposable> {
  const home = o.home ?? (await mkdtemp(join(tmpdir(), 'pingo-store-')))
  const keyring = await Keyring.of(o.secret ?? new Uint8Array(32).fill(7))
  const { owner, indexName } = keyring
  const { clock } = o
  const db = openDatabase(join(home, 'store.sqlite'))
  const index = new OwnerIndex(db, { clock })
  const objects = new Objects({ nodes, owner, keys: keyring, onCommit: (id) => index.expect(id) })
  const names = new Names({ nodes, clock })
  const backup = new Backup({
    index,
    objects,
    names,
    identity: indexName,
    keys: keyring,
    clock,
  })
  const store = new Store({
    index,
    objects,
    journals: new Journals(db, keyring, { clock }),
    backup,
    names,
    keyring,
    home,
    clock,
    connect: async () => undefined,
    gateways: async () => [],
  })
  return {
    store,
    index,
    home,
    async [Symbol.asyncDispose]() {
      await store.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}
