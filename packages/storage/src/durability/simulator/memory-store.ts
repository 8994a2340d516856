import {
  type CID,
  type Commit,
  decode,
  FORGET_TYPE,
  ForgetSchema,
  type Locations,
  OBJECT_RECORD_TYPE,
  ObjectManifestSchema,
  ObjectRecordSchema,
  PinGoError,
  parseCid,
  unseal,
} from '@pingo/wire'
import type { ObjectHealth, ObjectState } from '../../nodes/port.ts'
import { decodePart } from '../../objects/object.ts'
import type { CaredObject, CaredPart, CaretakerStore } from '../ports.ts'

interface Entry {
  object: CaredObject
  locations: Locations[]
}

/** What a caretaker durably knows, in memory: for simulations, where a process is killed and its disk is not. */
export class MemoryCaretakerStore implements CaretakerStore {
  readonly #entries = new Map<string, Entry>()
  readonly #words = new Map<string, { word: Uint8Array; at: number; record: Uint8Array }>()
  readonly #block: (cid: CID) => Uint8Array | undefined
  readonly #clock: () => number

  /** @param block a block of a manifest, of what the node holds */
  constructor(block: (cid: CID) => Uint8Array | undefined, clock: () => number) {
    this.#block = block
    this.#clock = clock
  }

  async commit({ record, locations }: Commit): Promise<void> {
    const { value } = await unseal(ObjectRecordSchema, OBJECT_RECORD_TYPE, record, 10_000)
    const word = this.#words.get(value.id)
    if (word && word.at >= value.at)
      throw new PinGoError('OBJECT_FORGOTTEN', 'Its owner said that it is kept no longer.')
    const manifestCid = parseCid(value.manifest)
    const bytes = this.#block(manifestCid)
    if (!bytes) throw new PinGoError('BLOCK_MISSING', 'The manifest is not here.')
    const manifest = decode(ObjectManifestSchema, bytes, bytes.byteLength)
    const known = this.#entries.get(value.id)
    if (known) for (const [part, told] of locations.entries()) await this.setLocations(value.id, part, told)
    else {
      const health = { checkedAt: undefined, stripesByShards: {} }
      const object = { id: value.id, record, manifestCid, manifest, health, dueAt: this.#clock() }
      this.#entries.set(value.id, { object, locations: [...locations] })
    }
  }

  state(id: string): ObjectState | undefined {
    const object = this.#entries.get(id)?.object
    if (object) return { record: object.record, health: object.health }
    const word = this.#words.get(id)
    return word && { record: word.record, health: { checkedAt: undefined, stripesByShards: {} }, forgotten: word.word }
  }

  locationsOf(id: string, part: number): Locations | undefined {
    return this.#entries.get(id)?.locations[part]
  }

  ids(): string[] {
    return [...this.#entries.keys()]
  }

  /** Chunks that are not to be collected: blocks of manifests. */
  kept(): Set<string> {
    const cids = [...this.#entries.values()].flatMap(({ object }) => [
      object.manifestCid.toString(),
      ...object.manifest.parts,
    ])
    return new Set(cids)
  }

  async due(now: number, limit: number): Promise<string[]> {
    const due = [...this.#entries.values()].filter(({ object }) => object.dueAt <= now)
    due.sort((a, b) => a.object.dueAt - b.object.dueAt)
    return due.slice(0, limit).map(({ object }) => object.id)
  }

  async get(id: string): Promise<CaredObject | undefined> {
    return this.#entries.get(id)?.object
  }

  async part(id: string, part: number): Promise<CaredPart | undefined> {
    const entry = this.#entries.get(id)
    const text = entry?.object.manifest.parts[part]
    if (!entry || text === undefined) return undefined
    const bytes = this.#block(parseCid(text))
    if (!bytes) throw new PinGoError('BLOCK_MISSING', 'A part of the manifest is not here.')
    return { stripes: decodePart(bytes, entry.object.manifest, part).stripes, locations: entry.locations[part]! }
  }

  async setLocations(id: string, part: number, locations: Locations): Promise<boolean> {
    const entry = this.#entries.get(id)
    const known = entry?.locations[part]
    if (!entry || !known || (locations.version ?? 0) <= (known.version ?? 0)) return false
    entry.locations[part] = locations
    return true
  }

  async setChecked(id: string, health: ObjectHealth, dueAt: number): Promise<void> {
    const entry = this.#entries.get(id)
    if (entry) entry.object = { ...entry.object, health, dueAt }
  }

  async hasten(at: number): Promise<void> {
    for (const entry of this.#entries.values())
      entry.object = { ...entry.object, dueAt: Math.min(entry.object.dueAt, at) }
  }

  async *blocks(id: string): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
    const object = this.#entries.get(id)?.object
    if (!object) return
    for (const cid of [...object.manifest.parts.map(parseCid), object.manifestCid])
      yield { cid, bytes: this.#block(cid)! }
  }

  async forgotten(id: string): Promise<Uint8Array | undefined> {
    return this.#words.get(id)?.word
  }

  async forget(id: string, sealed: Uint8Array): Promise<void> {
    const { value } = await unseal(ForgetSchema, FORGET_TYPE, sealed, 10_000)
    const record = this.#entries.get(id)?.object.record ?? this.#words.get(id)?.record ?? new Uint8Array(0)
    this.#words.set(id, { word: sealed, at: value.at, record })
    this.#entries.delete(id)
  }

  async remove(id: string): Promise<void> {
    this.#entries.delete(id)
  }
}
