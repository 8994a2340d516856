/**
 * The store: files, folders and streams in the network, encrypted on this machine.
 *
 * ```ts
 * import { openStore } from '@pingo/client/store'
 *
 * await using store = await openStore() // the owner of this machine, the fog node that runs here
 * const { stored } = await store.put('photos', { onProgress: ({ bytes, totalBytes }) => … })
 * await store.get('files/photos', { out: '/tmp/photos' })
 * const { link } = await store.share('files/photos/one.jpg')
 * await store.settle() // the network forgets what was removed, the index is backed up
 * ```
 * @module
 */

import type { ServeOptions, StoreEndpoint } from './serve.ts'
import type { Store } from './store.ts'

export type { ConnectOptions } from '../connection.ts'
export { homeFolder } from '../home.ts'
export { parseBytes, parseDuration } from '../job-file/quantities.ts'
export type { BackupState } from './backup.ts'
export { type DoctorReport, type Finding, type Health, keptAs } from './doctor.ts'
export { type Entry, type Extent, idOf, type Placed, storedBytesOf } from './entry.ts'
export type { GetOptions, GetReport } from './get.ts'
export { backupKeys, keysFile, restoreKeys } from './keys.ts'
export type { NameFinding, OwnName } from './named.ts'
export { openStore, STORE_FILE } from './open.ts'
export type { Listing } from './owner-index.ts'
export { DEFAULT_BUCKET, pathOf } from './path-names.ts'
export type { CarReport } from './public.ts'
export type { PutOptions, PutReport, Stored, StoreProgress } from './put.ts'
export type { S3Key, ServeOptions, StoreEndpoint } from './serve.ts'
export { Store } from './store.ts'
export type { NodeUsage, UsageReport } from './usage.ts'

/** Serves a store as S3 on loopback. Loaded when it is needed first: what only puts or gets starts sooner without it. */
export async function serveStore(store: Store, o: ServeOptions): Promise<StoreEndpoint> {
  return await (await import('./serve.ts')).serveStore(store, o)
}
