import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AccessTokens, KEYRING_FILE, type Keyring, loadKeyring, Names, type Source } from '@pingo/storage'
import { isPinGoError } from '@pingo/wire'
import { type ConnectOptions, type Endpoint, findEndpoint } from '../connection.ts'
import { homeFolder } from '../home.ts'
import { Allowances } from './allowance.ts'
import { Backup } from './backup.ts'
import { openDatabase } from './database.ts'
import { Journals } from './journal.ts'
import { LateNodeMap } from './late-node-map.ts'
import { Objects } from './objects.ts'
import { OwnerIndex } from './owner-index.ts'
import { Store } from './store.ts'

/** The owner's database in the home folder. */
export const STORE_FILE = 'store.sqlite'
export interface OpenStoreOptions extends ConnectOptions {
  /** Where the fog node is, when somebody else knows. */
  endpoint?: () => Promise<Endpoint>
  clock?: () => number
}

/** Nodes are looked for again after this. */
const CONNECTED_MS = 30_000

/**
 * Opens the store of this machine's owner; keys and database are made when there are none. Nothing is sent before it has to be.
 * @throws PinGoError KEYRING_UNREADABLE, STORE_DAMAGED
 */
export async function openStore(o: OpenStoreOptions = {}): Promise<Store> {
  const home = o.home ?? homeFolder(o.environment)
  await mkdir(home, { recursive: true, mode: 0o700 })
  const keyring = await loadKeyring(join(home, KEYRING_FILE))
  return await storeOf(home, keyring, o)
}

async function storeOf(home: string, keyring: Keyring, o: OpenStoreOptions): Promise<Store> {
  const { owner, indexName } = keyring
  const { clock } = o
  const db = openDatabase(join(home, STORE_FILE))
  const allowances = new Allowances(db, { owner: owner.peerId, clock })
  const access = new AccessTokens(owner, () => allowances.current()?.sealed, clock)
  const nodes = new LateNodeMap({ access, clock })
  const index = new OwnerIndex(db, { clock })
  const objects = new Objects({ nodes, owner, keys: keyring, onCommit: (id) => index.expect(id) })
  const journals = new Journals(db, keyring, { clock })
  const names = new Names({ nodes, clock })
  const backup = new Backup({ index, objects, names, identity: indexName, keys: keyring, clock })
  let connectedAt = Number.NEGATIVE_INFINITY
  const now = clock ?? Date.now
  const endpoint = o.endpoint ?? (() => findEndpoint({ ...o, home }))
  return new Store({
    index,
    objects,
    journals,
    backup,
    names,
    keyring,
    home,
    clock,
    gateways: async () => {
      const { url, pin } = await endpoint()
      return [{ url, pin }]
    },
    connect: async (signal, hints = []) => {
      if (now() - connectedAt < CONNECTED_MS && hints.length === 0) return
      const own = await endpoint().catch((error): Endpoint | undefined => {
        if (isPinGoError(error, 'FOG_UNKNOWN') && hints.length > 0) return undefined
        throw error
      })
      const seeds: Source[] = own ? [{ url: own.url, pin: own.pin }, ...hints] : [...hints]
      await nodes.open(seeds, signal)
      if (own) await allowances.renew(own, signal)
      connectedAt = now()
    },
  })
}
