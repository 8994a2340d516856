import type { CID, Locations, ManifestPart, ObjectManifest } from '@pingo/wire'
import type { ObjectHealth } from '../nodes/port.ts'

/** An owner's word that an object is forgotten is remembered so long: a caretaker that was away longer finds no shards left to keep. */
export const FORGOTTEN_KEPT_MS = 90 * 24 * 3_600_000

/** An object that this node is a caretaker of. */
export interface CaredObject {
  id: string
  /** Sealed by the owner (`OBJECT_RECORD_TYPE`). */
  record: Uint8Array
  /** Those of further owners of the same public data. */
  others?: Uint8Array[]
  manifestCid: CID
  manifest: ObjectManifest
  health: ObjectHealth
  /** ms since epoch: when it is to be checked next. */
  dueAt: number
}

export interface CaredPart {
  stripes: ManifestPart['stripes']
  locations: Locations
}

/**
 * What a node durably knows of the objects that it is a caretaker of. What a promise resolves to is on disk: kill -9 right after loses
 * nothing of it. A freshly committed object is due at once, so that its chunks' upload leases become leases of the object.
 */
export interface CaretakerStore {
  /** Ids of objects that are due at `now` (ms since epoch), the most overdue first. */
  due(now: number, limit: number): Promise<string[]>
  get(id: string): Promise<CaredObject | undefined>
  /** A part of its manifest, and where its shards are; undefined when there is no such part. */
  part(id: string, part: number): Promise<CaredPart | undefined>
  /** @returns false, and changes nothing, when it has locations of the same version or a newer one, or not the object */
  setLocations(id: string, part: number, locations: Locations): Promise<boolean>
  /** After a check, or when somebody else is to do it: when it is due next. */
  setChecked(id: string, health: ObjectHealth, dueAt: number): Promise<void>
  /** Makes every object due at `at` that would be due later: a node leaves or was lost. */
  hasten(at: number): Promise<void>
  /** The blocks of its manifest (and of the tree of public data), to hand over; the root block last. */
  blocks(id: string): AsyncIterable<{ cid: CID; bytes: Uint8Array }>
  /** The owner's sealed word that it is kept no longer, when this node has it. */
  forgotten(id: string): Promise<Uint8Array | undefined>
  /** By the owner's sealed word, checked here: the object goes, the word stays for {@link FORGOTTEN_KEPT_MS}. */
  forget(id: string, sealed: Uint8Array): Promise<void>
  /** Others see to it now: the object goes, without a word. */
  remove(id: string): Promise<void>
}
