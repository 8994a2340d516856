import { createHash, randomBytes } from 'node:crypto'
import type {
  Bucket,
  Condition,
  Description,
  Listing,
  ListOptions,
  ObjectBackend,
  ObjectInfo,
  OpenObject,
  Part,
  PendingUpload,
  Span,
  Upload,
} from '@pingo/storage'
import { decode, encode, PinGoError } from '@pingo/wire'
import { z } from 'zod'
import { transaction } from './database.ts'
import { type Entry, type Extent, ExtentSchema, type Placed } from './entry.ts'
import type { NewEntry } from './owner-index.ts'
import type { StoreParts } from './parts.ts'
import { checkBucket, checkKey, type Place } from './path-names.ts'

const MAX_INFO_BYTES = 1 << 20
const Words = z.record(z.string(), z.string())
const UploadInfoSchema = z.strictObject({ headers: Words, metadata: Words })
const PartInfoSchema = z.strictObject({ extent: ExtentSchema, etag: z.string() })

type CallOptions = { signal?: AbortSignal }

/** Told after each change, so that the index is backed up soon. */
type Changed = () => void

/**
 * The encrypted store as S3 sees it: buckets are the first level of the index's paths, an object is an entry, the parts of a multipart
 * upload are objects of their own that the entry strings together. What a change replaces is given back to the network.
 */
export class StoreBackend implements ObjectBackend {
  readonly #parts: StoreParts
  readonly #changed: Changed

  constructor(parts: StoreParts, o: { onChange?: Changed } = {}) {
    this.#parts = parts
    this.#changed = o.onChange ?? (() => undefined)
  }

  async listBuckets(): Promise<Bucket[]> {
    return this.#index.buckets().map(({ bucket, created }) => ({ name: bucket, createdAt: created }))
  }

  async headBucket(bucket: string): Promise<Bucket | undefined> {
    const own = this.#index.get({ bucket, key: '' })
    if (own) return { name: bucket, createdAt: own.created }
    const [first] = this.#index.list(bucket, { limit: 1 }).entries
    return first && { name: bucket, createdAt: first.created }
  }

  async createBucket(bucket: string): Promise<void> {
    checkBucket(bucket)
    transaction(this.#index.db, () => {
      if (this.#hasBucket(bucket)) throw new PinGoError('BUCKET_EXISTS', `There is a bucket '${bucket}' already.`)
      this.#index.put({ bucket, key: '' }, { ...EMPTY, kind: 'bucket' })
    })
    this.#changed()
  }

  async deleteBucket(bucket: string): Promise<void> {
    transaction(this.#index.db, () => {
      this.#needBucket(bucket)
      if (this.#index.list(bucket, { limit: 1 }).entries.length)
        throw new PinGoError('BUCKET_NOT_EMPTY', `The bucket '${bucket}' is not empty.`)
      for (const { id } of this.#index.db.prepare('SELECT id FROM uploads WHERE bucket = ?').all(bucket))
        this.#dropUpload(id as string)
      this.#index.remove({ bucket, key: '' })
    })
    this.#changed()
  }

  async head(bucket: string, key: string): Promise<ObjectInfo | undefined> {
    this.#needBucket(bucket)
    const entry = this.#index.get({ bucket, key })
    return entry && infoOf(entry)
  }

  async get(bucket: string, key: string): Promise<OpenObject | undefined> {
    this.#needBucket(bucket)
    const entry = this.#index.get({ bucket, key })
    if (!entry) return undefined
    const read = (span?: Span, o?: CallOptions) => this.#parts.objects.read(entry.extents, span, o?.signal)
    return { info: infoOf(entry), read }
  }

  async list(bucket: string, o: ListOptions): Promise<Listing> {
    this.#needBucket(bucket)
    const { entries, prefixes, next } = this.#index.list(bucket, { ...o, delimiter: o.delimiter || undefined })
    const rows = [
      ...entries.map((entry) => ({ name: entry.key, row: { key: entry.key, info: infoOf(entry) } })),
      ...prefixes.map((prefix) => ({ name: prefix, row: { prefix } })),
    ]
    if (prefixes.length) rows.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
    return { entries: rows.map(({ row }) => row), isTruncated: next !== undefined }
  }

  async put(bucket: string, key: string, upload: Upload, o: Description & Condition & CallOptions) {
    checkKey(key)
    const isPublic = this.#needBucket(bucket)
    this.#check({ bucket, key }, o)
    const extents = await this.#store(upload, isPublic, o.signal)
    return this.#write({ bucket, key }, { extents, isPublic, etag: upload.etag(), ...o })
  }

  async delete(bucket: string, key: string): Promise<void> {
    this.#needBucket(bucket)
    if (this.#index.remove({ bucket, key })) this.#changed()
  }

  async copy(
    source: Place & { etag?: string },
    target: Place,
    o: { description?: Description } & Condition & CallOptions,
  ) {
    checkKey(target.key)
    this.#needBucket(source.bucket)
    const isPublic = this.#needBucket(target.bucket)
    const entry = this.#index.get(source)
    if (!entry) throw new PinGoError('OBJECT_MISSING', `There is no '${source.key}' in '${source.bucket}'.`)
    if (source.etag !== undefined && source.etag !== entry.etag) throw preconditionFailed()
    const { headers, metadata } = o.description ?? entry
    let { extents } = entry
    if (entry.isPublic !== isPublic) {
      // a private object is not made readable by a copy of its entry, nor a public one secret
      const stream = this.#parts.objects.read(extents, undefined, o.signal)
      extents = await this.#store({ bytes: entry.bytes, stream, etag: () => entry.etag }, isPublic, o.signal)
    }
    return this.#write(target, { extents, isPublic, etag: entry.etag, ...o, headers, metadata })
  }

  async createUpload(bucket: string, key: string, { headers, metadata }: Description): Promise<{ id: string }> {
    this.#needBucket(bucket)
    const id = randomBytes(16).toString('hex')
    this.#index.db
      .prepare('INSERT INTO uploads (id, bucket, key, at, info) VALUES (?, ?, ?, ?, ?)')
      .run(id, bucket, checkKey(key), this.#parts.clock(), encode({ headers, metadata }))
    return { id }
  }

  async listUploads(bucket: string): Promise<PendingUpload[]> {
    this.#needBucket(bucket)
    return this.#index.db
      .prepare('SELECT id, key, at AS startedAt FROM uploads WHERE bucket = ? ORDER BY key, at')
      .all(bucket) as unknown as PendingUpload[]
  }

  async putPart(bucket: string, key: string, id: string, number: number, upload: Upload, o: CallOptions = {}) {
    this.#needUpload(bucket, key, id)
    const [extent] = await this.#store(upload, this.#needBucket(bucket), o.signal)
    const [etag, modifiedAt] = [upload.etag(), this.#parts.clock()]
    transaction(this.#index.db, () => {
      const before = this.#partsOf(id).find((part) => part.number === number)
      try {
        this.#needUpload(bucket, key, id)
      } catch (error) {
        this.#index.discard([extent!.id])
        throw error
      }
      this.#index.db
        .prepare(
          `INSERT INTO parts (upload, number, id, at, info) VALUES (?, ?, ?, ?, ?) ON CONFLICT (upload, number)
           DO UPDATE SET id = excluded.id, at = excluded.at, info = excluded.info`,
        )
        .run(id, number, extent!.id, modifiedAt, encode({ extent, etag }))
      this.#index.forgotten(extent!.id) // it is expected no more: it is here
      if (before) this.#index.discard([before.extent.id])
    })
    return { etag, modifiedAt }
  }

  async listParts(bucket: string, key: string, id: string): Promise<Part[]> {
    this.#needUpload(bucket, key, id)
    return this.#partsOf(id).map(({ number, extent, etag, at }) => ({
      number,
      bytes: extent.bytes,
      etag,
      modifiedAt: at,
    }))
  }

  async completeUpload(
    bucket: string,
    key: string,
    id: string,
    o: { parts: { number: number; etag: string }[]; etag: string } & Condition & CallOptions,
  ) {
    return transaction(this.#index.db, () => {
      const { headers, metadata } = this.#needUpload(bucket, key, id)
      const there = new Map(this.#partsOf(id).map((part) => [part.number, part]))
      const extents = o.parts.map(({ number, etag }): Extent => {
        const part = there.get(number)
        if (part?.etag === etag) return part.extent
        throw new PinGoError('PART_MISSING', `Part ${number} is not there, or is another one.`)
      })
      const isPublic = this.#needBucket(bucket)
      const done = this.#write({ bucket, key }, { extents, isPublic, headers, metadata, ...o })
      this.#dropUpload(id)
      return done
    })
  }

  async abortUpload(bucket: string, key: string, id: string): Promise<void> {
    this.#needUpload(bucket, key, id)
    this.#dropUpload(id)
    this.#changed()
  }

  get #index() {
    return this.#parts.index
  }

  /** One object for the bytes. */
  async #store(upload: Upload, isPublic: boolean, signal?: AbortSignal): Promise<Extent[]> {
    const { bytes, stream } = upload
    const { extent } = await this.#parts.objects.put(stream, { bytes, isPublic, signal })
    return [extent]
  }

  #write(
    place: Place,
    o: Pick<NewEntry, 'extents' | 'isPublic' | 'etag' | 'headers' | 'metadata'> & Condition,
  ): { etag: string; modifiedAt: number } {
    const { extents, isPublic, etag, headers, metadata } = o
    const bytes = extents.reduce((sum, extent) => sum + extent.bytes, 0)
    const entry = transaction(this.#index.db, () => {
      try {
        this.#needBucket(place.bucket)
        this.#check(place, o)
      } catch (error) {
        this.#index.discard(extents.map(({ id }) => id))
        throw error
      }
      return this.#index.put(place, { ...EMPTY, kind: 'file', extents, bytes, isPublic, etag, headers, metadata })
    })
    this.#changed()
    return { etag, modifiedAt: entry.at }
  }

  #check(place: Place, { ifAbsent, ifMatch }: Condition): void {
    const entry = this.#index.get(place)
    if (ifAbsent && entry) throw preconditionFailed()
    if (ifMatch !== undefined && entry?.etag !== ifMatch) throw preconditionFailed()
  }

  #hasBucket(bucket: string): boolean {
    const own = this.#index.get({ bucket, key: '' })
    return own !== undefined || this.#index.list(bucket, { limit: 1 }).entries.length > 0
  }

  /** @returns whether it is public */
  #needBucket(bucket: string): boolean {
    if (!this.#hasBucket(bucket)) throw new PinGoError('BUCKET_MISSING', `There is no bucket '${bucket}'.`)
    return this.#index.get({ bucket, key: '' })?.isPublic ?? false
  }

  #needUpload(bucket: string, key: string, id: string): Description {
    const row = this.#index.db
      .prepare('SELECT info FROM uploads WHERE id = ? AND bucket = ? AND key = ?')
      .get(id, bucket, key)
    if (row) return decode(UploadInfoSchema, row.info as Uint8Array, MAX_INFO_BYTES)
    throw new PinGoError('UPLOAD_MISSING', 'There is no such upload.')
  }

  #partsOf(upload: string): { number: number; extent: Extent; etag: string; at: number }[] {
    const rows = this.#index.db
      .prepare('SELECT number, at, info FROM parts WHERE upload = ? ORDER BY number')
      .all(upload)
    return (rows as { number: number; at: number; info: Uint8Array }[]).map(({ number, at, info }) => ({
      number,
      at,
      ...decode(PartInfoSchema, info, MAX_INFO_BYTES),
    }))
  }

  /** Forgets an upload; parts that no entry is made of become garbage. */
  #dropUpload(id: string): void {
    transaction(this.#index.db, () => {
      const ids = this.#partsOf(id).map(({ extent }) => extent.id)
      this.#index.db.prepare('DELETE FROM parts WHERE upload = ?').run(id)
      this.#index.db.prepare('DELETE FROM uploads WHERE id = ?').run(id)
      this.#index.discard(ids)
    })
  }
}

const EMPTY: NewEntry = {
  kind: 'file',
  extents: [],
  bytes: 0,
  class: 'hot',
  isPublic: false,
  etag: '',
  headers: {},
  metadata: {},
}

/** MD5 of nothing: the tag of an empty folder, which S3 clients know as an object of no bytes. */
const NOTHING_MD5 = createHash('md5').digest('hex')

const infoOf = (entry: Placed | Entry): ObjectInfo => ({
  bytes: entry.bytes,
  etag: entry.etag || NOTHING_MD5,
  modifiedAt: entry.at,
  headers: { 'content-type': 'application/octet-stream', ...entry.headers },
  metadata: entry.metadata,
})

const preconditionFailed = () =>
  new PinGoError('PRECONDITION_FAILED', 'The object is not in the state that the request asks for.')
