import type { Keyring, Names, NameVersion, ObjectBackend, ShardProof, Source } from '@pingo/storage'
import { isPinGoError, PinGoError, sentence } from '@pingo/wire'
import { StoreBackend } from './backend.ts'
import type { Backup, BackupState, SyncOptions } from './backup.ts'
import { type DoctorReport, examine } from './doctor.ts'
import { type Placed, storedBytesOf } from './entry.ts'
import { find, findEntry, isCid, placesOf, type Target } from './find.ts'
import { type GetOptions, type GetReport, get, spanOf } from './get.ts'
import type { Journals } from './journal.ts'
import { keysFile } from './keys.ts'
import { type OwnName, ownNames, publish, renewNames, versions } from './named.ts'
import type { Objects, Span } from './objects.ts'
import type { Listing, OwnerIndex } from './owner-index.ts'
import type { StoreParts } from './parts.ts'
import { shown } from './path-names.ts'
import { type CarReport, exportCar, importCar, pin } from './public.ts'
import { type PutOptions, type PutReport, put } from './put.ts'
import { LINK_FOGS, LINK_MS, linkTo, openLink } from './share.ts'
import { type UsageReport, usageAt } from './usage.ts'

/** Longest that somebody may go on reading an object that was removed, when an endpoint serves them. */
const READ_MS = 10 * 60_000

export interface CallOptions {
  signal?: AbortSignal
}

export interface StoreOptions {
  index: OwnerIndex
  objects: Objects
  journals: Journals
  backup: Backup
  names: Names
  /** Makes sure that nodes are known and that they give room; called before each use of the network. */
  connect(signal?: AbortSignal, hints?: readonly Source[]): Promise<void>
  /** Gateways of fog nodes, to ask for blocks of public data. */
  gateways(): Promise<Source[]>
  keyring: Keyring
  /** The owner's folder on this machine. */
  home: string
  /** ms since epoch. */
  clock?: () => number
  close?(): Promise<void> | void
}

/**
 * What an owner stores in the network: files, folders and streams, encrypted on this machine unless they are public, by names that only
 * the owner's index knows. After changes, {@link Store.settle} backs the index up; until then it is in this machine's database alone.
 */
export class Store implements AsyncDisposable {
  readonly #parts: StoreParts
  readonly #o: StoreOptions

  constructor(o: StoreOptions) {
    this.#o = o
    this.#parts = {
      index: o.index,
      objects: o.objects,
      journals: o.journals,
      backup: o.backup,
      names: o.names,
      clock: o.clock ?? Date.now,
      home: o.home,
      gateways: o.gateways,
    }
  }

  /** PeerId of the owner. */
  get owner(): string {
    return this.#parts.objects.owner.peerId
  }

  /**
   * Stores a file, a folder with all below it, or a stream; resumable: the same put again goes on where it was.
   * @throws PinGoError FILE_NOT_FOUND, KEY_INVALID, STORAGE_NODES_FEW, ALLOWANCE_MISSING, QUOTA_EXCEEDED, PUT_UNDER_WAY …
   */
  async put(source: string | AsyncIterable<Uint8Array>, o: PutOptions = {}): Promise<PutReport> {
    await this.#o.connect(o.signal)
    return await put(this.#parts, source, o)
  }

  /**
   * Fetches what a link, a CID or a path of the index names to disk; resumable.
   * @throws PinGoError ENTRY_UNKNOWN, FILE_EXISTS, NAME_UNSAFE, OBJECT_MISSING, OBJECT_UNREADABLE, DATA_TAMPERED …
   */
  async get(what: string, o: GetOptions & { password?: string } = {}): Promise<GetReport> {
    return await get(this.#parts, await this.#find(what, o), o)
  }

  /** The bytes of a file, or a range of them (end exclusive; a negative start counts from the end). */
  async *read(
    what: string,
    range?: Partial<Span>,
    o: CallOptions & { password?: string } = {},
  ): AsyncGenerator<Uint8Array> {
    const target = await this.#find(what, o)
    if (target.kind !== 'file')
      throw new PinGoError('FILE_UNREADABLE', `'${shown(target.name)}' is a folder.`, { hint: 'Name a file in it.' })
    yield* this.#parts.objects.read(target.extents, spanOf(target.bytes, range), o.signal)
  }

  /** What lies at a path of the index: buckets at the top, then what is in them. Folders end with a slash. */
  list(path = '', o: { isRecursive?: boolean } = {}): { bucket: string; listing: Listing }[] {
    const { index } = this.#parts
    const delimiter = o.isRecursive ? undefined : '/'
    if (path === '')
      return index.buckets().map(({ bucket }) => ({ bucket, listing: index.list(bucket, { delimiter }) }))
    const places = placesOf(path.replace(/^\/+/, ''))
    for (const { bucket, key } of places) {
      const entry = key === '' ? undefined : index.get({ bucket, key })
      if (entry?.kind === 'file') return [{ bucket, listing: { entries: [entry], prefixes: [], next: undefined } }]
      const prefix = key === '' || key.endsWith('/') ? key : `${key}/`
      const listing = index.list(bucket, { prefix, delimiter })
      if (listing.entries.length + listing.prefixes.length > 0) return [{ bucket, listing }]
      if (key === '' && index.get({ bucket, key })) return [{ bucket, listing }]
    }
    throw new PinGoError('ENTRY_UNKNOWN', `Nothing is stored at '${shown(path)}'.`, { hint: 'See `pingo store ls`.' })
  }

  /** An entry and what the network knows of its objects. */
  async stat(what: string, o: CallOptions = {}) {
    const target = await this.#found(() => findEntry(this.#parts, what), o.signal).catch((error) => {
      if (isPinGoError(error, 'ENTRY_UNKNOWN') && isCid(what)) return undefined // a public object of somebody else
      throw error
    })
    await this.#o.connect(o.signal)
    if (!target) return { entry: undefined, objects: [await this.#parts.objects.stat(what, o.signal)] }
    const objects = []
    for (const { id } of target.extents) objects.push(await this.#parts.objects.stat(id, o.signal))
    return { entry: target, objects }
  }

  /**
   * Removes a file, or with `isRecursive` all below a path. The network forgets what nothing else in the index is made of.
   * @returns what was removed
   * @throws PinGoError ENTRY_UNKNOWN, FOLDER_NOT_EMPTY
   */
  async remove(what: string, o: CallOptions & { isRecursive?: boolean } = {}): Promise<Placed[]> {
    const { index } = this.#parts
    const target = await this.#found(() => {
      const path = what.replace(/^\/+/, '')
      for (const place of placesOf(path)) if (place.key !== '' && index.get(place)) return [index.get(place)!]
      for (const { bucket, key } of placesOf(path)) {
        const below = [...index.below(bucket, key === '' || key.endsWith('/') ? key : `${key}/`)]
        const own = key === '' ? index.get({ bucket, key }) : undefined
        if (below.length === 0 && !own) continue
        if (below.length > 0 && !o.isRecursive)
          throw new PinGoError('FOLDER_NOT_EMPTY', `'${shown(what)}' has ${below.length} entries.`, {
            hint: 'Remove them all with --recursive.',
          })
        return own ? [...below, own] : below
      }
      return isCid(what) ? index.byObject(what) : [findEntry(this.#parts, what)]
    }, o.signal)
    if (target.length === 0)
      throw new PinGoError('ENTRY_UNKNOWN', `You store nothing as '${shown(what)}'.`, { hint: 'See `pingo store ls`.' })
    for (const entry of target) index.remove(entry)
    return target
  }

  /** Random challenges to the holders of an object's shards, checked against its Merkle roots. */
  async prove(what: string, o: CallOptions & { challenges?: number } = {}) {
    const target = await this.#find(what, o)
    if (target.kind !== 'file')
      throw new PinGoError('FILE_UNREADABLE', `'${shown(target.name)}' is a folder.`, { hint: 'Name a file in it.' })
    const proofs: ShardProof[] = []
    for (const { id } of target.extents) proofs.push(...(await this.#parts.objects.prove(id, o)).proofs)
    const holds = proofs.filter(({ holds }) => holds).length
    return { name: target.name, proofs, holds, fails: proofs.length - holds }
  }

  /**
   * A link that lets whoever has it read one private file until a time; see `shareLink` for what its end can do and what not.
   * @param o.until ms since epoch; in a week by default
   */
  async share(what: string, o: CallOptions & { until?: number; password?: string } = {}) {
    const { objects, clock } = this.#parts
    const target = await this.#find(what, { signal: o.signal })
    const until = o.until ?? clock() + LINK_MS
    const { owner, nodes } = objects
    const fogs = nodes.live().slice(0, LINK_FOGS)
    const link = await linkTo(target, {
      objects,
      owner,
      fogs: fogs.map(({ record }) => record),
      until,
      password: o.password,
    })
    return { link, until, name: target.name, bytes: target.kind === 'file' ? target.bytes : 0 }
  }

  /** Where the owner's secret is on this machine. */
  get keysFile(): string {
    return keysFile(this.#o.home)
  }

  /** Whether a backup of the keys was made (or they came from one) on this machine. */
  get areKeysBackedUp(): boolean {
    return this.#parts.index.meta('keys.backup') !== undefined
  }

  noteKeysBackedUp(): void {
    this.#parts.index.setMeta('keys.backup', String(this.#parts.clock()))
  }

  /** True once, and only while no backup of the keys was made: their owner is to be told what a lost key means. */
  takeKeyNotice(): boolean {
    const { index, clock } = this.#parts
    if (this.areKeysBackedUp || index.meta('keys.notice') !== undefined) return false
    index.setMeta('keys.notice', String(clock()))
    return true
  }

  /** The owner's keys: to be backed up. */
  get keyring(): Keyring {
    return this.#o.keyring
  }

  /** Keeps a public object, also one that somebody else put: from now on it is yours too, until you remove it. */
  async pin(cid: string, o: PutOptions = {}): Promise<CarReport> {
    await this.#o.connect(o.signal)
    return await pin(this.#parts, cid, o)
  }

  /** A public file or folder with all below it as CAR (ipld CARv1), which every IPFS client reads. */
  async *exportCar(what: string, o: CallOptions = {}): AsyncGenerator<Uint8Array> {
    yield* exportCar(this.#parts, await this.#find(what, o), o.signal)
  }

  /** Stores the files and folders of a CAR (ipld CARv1 or v2) as public data. */
  async importCar(source: AsyncIterable<Uint8Array>, o: PutOptions = {}): Promise<CarReport> {
    await this.#o.connect(o.signal)
    return await importCar(this.#parts, source, o)
  }

  /**
   * Points one of the owner's names to what is stored, or to any public data; each time it becomes the newest version.
   * @param label what the owner calls the name; the same on all machines of the owner
   */
  async publish(label: string, what: string, o: CallOptions = {}): Promise<OwnName> {
    await this.#o.connect(o.signal)
    return await this.#found(() => publish(this.#parts, this.keyring, label, what, o), o.signal)
  }

  /** The owner's names, by label. */
  names(): OwnName[] {
    return ownNames(this.#parts)
  }

  /** All versions of a name (k51…, or a label of the owner's), newest first. @throws PinGoError NAME_UNKNOWN, NAME_UNRESOLVED */
  async versions(text: string, o: CallOptions = {}): Promise<{ name: string; versions: NameVersion[] }> {
    await this.#o.connect(o.signal)
    return await versions(this.#parts, this.keyring, text, o)
  }

  /** What is stored: by the index, as true and as stored bytes (with parity and copies). */
  totals(): { entries: number; bytes: number; storedBytes: number } {
    const { index } = this.#parts
    let storedBytes = 0
    const seen = new Set<string>()
    for (const { bucket } of index.buckets())
      for (const entry of index.below(bucket)) {
        const isNew = entry.extents.some(({ id }) => !seen.has(id))
        if (isNew) storedBytes += storedBytesOf(entry)
        for (const { id } of entry.extents) seen.add(id)
      }
    return { ...index.totals(), storedBytes }
  }

  /** What is stored, where, how much more may be, and what it costs. */
  async usage(o: CallOptions = {}): Promise<UsageReport> {
    await this.#o.connect(o.signal)
    const at = await usageAt(this.#parts.objects.nodes.live(), o.signal)
    const bounded = at.nodes.filter(({ allowanceBytes }) => allowanceBytes > 0)
    const allowance = bounded.length
      ? {
          bytes: Math.max(...bounded.map(({ allowanceBytes }) => allowanceBytes)),
          until: Math.max(...bounded.map(({ allowanceUntil }) => allowanceUntil ?? 0)),
        }
      : undefined
    return { owner: this.owner, ...this.totals(), ...at, allowance }
  }

  /** Looks at every object and at the backup; see {@link examine}. */
  async doctor(
    o: CallOptions & { path?: string; mends?: boolean; onProgress?(done: number, total: number): void } = {},
  ): Promise<DoctorReport> {
    await this.#o.connect(o.signal)
    const [place] = o.path
      ? placesOf(o.path).filter(
          (place) => this.#parts.index.list(place.bucket, { prefix: place.key, limit: 1 }).entries.length,
        )
      : []
    if (o.path && !place)
      throw new PinGoError('ENTRY_UNKNOWN', `Nothing is stored at '${shown(o.path)}'.`, {
        hint: 'See `pingo store ls`.',
      })
    const report = await examine(this.#parts, { ...o, prefix: place })
    if (!o.mends) return report
    const names = await renewNames(this.#parts, this.keyring, { signal: o.signal })
    await this.settle({ signal: o.signal })
    return { ...report, names, garbage: this.#parts.index.garbage().length }
  }

  /** The store as S3 sees it. */
  backend(o: { onChange?: () => void } = {}): ObjectBackend {
    return new StoreBackend(this.#parts, o)
  }

  /** Nodes that live, nearest first. */
  async nodes(o: CallOptions = {}) {
    await this.#o.connect(o.signal)
    return this.#parts.objects.nodes.live()
  }

  /** Whether {@link Store.settle} has something to do. */
  get isSettled(): boolean {
    const { index, backup } = this.#parts
    return backup.state().isFresh && index.garbage().length === 0
  }

  backupState(): BackupState {
    return this.#parts.backup.state()
  }

  /** Takes over what other machines of the owner stored, and backs up what this one did. */
  async sync(o: SyncOptions = {}): Promise<{ merged: number }> {
    await this.#o.connect(o.signal)
    return await this.#parts.backup.sync(o)
  }

  /**
   * What is done after changes: the network forgets what was removed, and the index is backed up. What fails is tried again the next
   * time; nothing is lost meanwhile.
   * @param o.keepsGarbage leaves what was removed lately: somebody may still be reading it
   * @returns a sentence on what is still to be done, undefined when all is
   */
  async settle(o: CallOptions & { keepsGarbage?: boolean } = {}): Promise<string | undefined> {
    const { index, objects, backup } = this.#parts
    try {
      await this.#o.connect(o.signal)
      // others may have begun to use what was removed here
      const garbage = index.garbage(o.keepsGarbage ? READ_MS : 0)
      if (!backup.state().isFresh || garbage.length > 0) await backup.sync({ signal: o.signal })
      for (const id of garbage) {
        if (!index.forgetting(id)) continue
        if (!(await objects.forget(id, o.signal))) return 'Some removed data are still to be taken from the network.'
        index.forgotten(id)
      }
      return undefined
    } catch (error) {
      o.signal?.throwIfAborted()
      if (!isPinGoError(error)) throw error
      return `The index is not backed up yet: ${sentence(error)}`
    }
  }

  async close(): Promise<void> {
    await this.#o.close?.()
    this.#parts.index.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #find(what: string, { signal, password }: CallOptions & { password?: string }): Promise<Target> {
    const { objects, clock } = this.#parts
    const opened = await openLink(what, { objects, now: clock(), password })
    await this.#o.connect(signal, opened?.link.fogs)
    return opened?.target ?? (await this.#found(() => find(this.#parts, what, signal), signal))
  }

  /** Looks again after other machines were heard when a name is not known here. */

  async #found<T>(look: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await look()
    } catch (error) {
      if (!isPinGoError(error, 'ENTRY_UNKNOWN')) throw error
      const heard = await this.sync({ signal }).catch(() => ({ merged: 0 }))
      signal?.throwIfAborted()
      if (heard.merged === 0) throw error
      return await look()
    }
  }
}
