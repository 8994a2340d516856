import { createHash, randomUUID } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import type {
  Bucket,
  Condition,
  Description,
  ListEntry,
  Listing,
  ListOptions,
  ObjectBackend,
  ObjectInfo,
  OpenObject,
  Part,
  PendingUpload,
  Span,
  Upload,
} from '../port.ts'

interface Stored {
  info: ObjectInfo
  content: Uint8Array
}

interface Pending {
  id: string
  key: string
  startedAt: number
  description: Description
  parts: Map<number, Part & { content: Uint8Array }>
}

interface Contents {
  createdAt: number
  objects: Map<string, Stored>
  uploads: Map<string, Pending>
}

const PIECE_BYTES = 1 << 20
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
const byKey = ({ key: a }: { key: string }, { key: b }: { key: string }): number => byBytes(a, b)

/** Buckets in memory, for tests. */
export class MemoryBackend implements ObjectBackend {
  readonly #buckets = new Map<string, Contents>()
  readonly #clock: () => number

  constructor(clock: () => number = Date.now) {
    this.#clock = clock
  }

  async listBuckets(): Promise<Bucket[]> {
    return [...this.#buckets]
      .map(([name, { createdAt }]) => ({ name, createdAt }))
      .sort(({ name: a }, { name: b }) => byBytes(a, b))
  }

  async headBucket(bucket: string): Promise<Bucket | undefined> {
    const found = this.#buckets.get(bucket)
    return found && { name: bucket, createdAt: found.createdAt }
  }

  async createBucket(bucket: string): Promise<void> {
    if (this.#buckets.has(bucket)) throw new PinGoError('BUCKET_EXISTS', `There is a bucket ${bucket} already.`)
    this.#buckets.set(bucket, { createdAt: this.#clock(), objects: new Map(), uploads: new Map() })
  }

  async deleteBucket(bucket: string): Promise<void> {
    if (this.#bucket(bucket).objects.size > 0)
      throw new PinGoError('BUCKET_NOT_EMPTY', `The bucket ${bucket} is not empty.`)
    this.#buckets.delete(bucket)
  }

  async head(bucket: string, key: string): Promise<ObjectInfo | undefined> {
    return this.#bucket(bucket).objects.get(key)?.info
  }

  async get(bucket: string, key: string): Promise<OpenObject | undefined> {
    const found = this.#bucket(bucket).objects.get(key)
    if (!found) return undefined
    const { info, content } = found
    return {
      info,
      async *read({ start, end }: Span = { start: 0, end: info.bytes }) {
        for (let at = start; at < end; at += PIECE_BYTES) yield content.subarray(at, Math.min(end, at + PIECE_BYTES))
      },
    }
  }

  async list(bucket: string, { prefix, delimiter, after, limit }: ListOptions): Promise<Listing> {
    const entries: ListEntry[] = []
    let last = after
    const keys = [...this.#bucket(bucket).objects.keys()].filter((key) => key.startsWith(prefix)).sort(byBytes)
    for (const key of keys) {
      const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
      const name = end < 0 ? key : key.slice(0, end + delimiter.length)
      if (byBytes(name, last) <= 0 && last !== '') continue
      if (entries.length === limit) return { entries, isTruncated: true }
      entries.push(end < 0 ? { key, info: this.#bucket(bucket).objects.get(key)!.info } : { prefix: name })
      last = name
    }
    return { entries, isTruncated: false }
  }

  async put(bucket: string, key: string, upload: Upload, o: Description & Condition) {
    this.#check(bucket, key, o)
    const content = await readAll(upload)
    return this.#store(bucket, key, content, upload.etag(), o)
  }

  async delete(bucket: string, key: string): Promise<void> {
    this.#bucket(bucket).objects.delete(key)
  }

  async copy(
    source: { bucket: string; key: string; etag?: string },
    target: { bucket: string; key: string },
    o: { description?: Description } & Condition,
  ) {
    const found = this.#bucket(source.bucket).objects.get(source.key)
    if (!found) throw new PinGoError('OBJECT_MISSING', `There is no object ${source.key}.`)
    if (source.etag !== undefined && source.etag !== found.info.etag) throw failed()
    const description = o.description ?? found.info
    return this.#store(target.bucket, target.key, found.content, found.info.etag, { ...o, ...description })
  }

  async createUpload(bucket: string, key: string, { headers, metadata }: Description): Promise<{ id: string }> {
    const id = randomUUID()
    const description = { headers, metadata }
    this.#bucket(bucket).uploads.set(id, { id, key, startedAt: this.#clock(), description, parts: new Map() })
    return { id }
  }

  async listUploads(bucket: string): Promise<PendingUpload[]> {
    return [...this.#bucket(bucket).uploads.values()]
      .map(({ id, key, startedAt }) => ({ id, key, startedAt }))
      .sort((a, b) => byKey(a, b) || a.startedAt - b.startedAt)
  }

  async putPart(bucket: string, key: string, id: string, number: number, upload: Upload) {
    this.#upload(bucket, key, id)
    const content = await readAll(upload)
    const part = { number, bytes: content.byteLength, etag: upload.etag(), modifiedAt: this.#clock(), content }
    this.#upload(bucket, key, id).parts.set(number, part)
    return { etag: part.etag, modifiedAt: part.modifiedAt }
  }

  async listParts(bucket: string, key: string, id: string): Promise<Part[]> {
    return [...this.#upload(bucket, key, id).parts.values()]
      .map(({ content: _, ...part }) => part)
      .sort(({ number: a }, { number: b }) => a - b)
  }

  async completeUpload(
    bucket: string,
    key: string,
    id: string,
    o: { parts: { number: number; etag: string }[]; etag: string } & Condition,
  ) {
    const pending = this.#upload(bucket, key, id)
    const contents = o.parts.map(({ number, etag }) => {
      const part = pending.parts.get(number)
      if (part?.etag !== etag) throw new PinGoError('PART_MISSING', `Part ${number} is not there.`)
      return part.content
    })
    const stored = this.#store(bucket, key, Buffer.concat(contents), o.etag, { ...o, ...pending.description })
    this.#bucket(bucket).uploads.delete(id)
    return stored
  }

  async abortUpload(bucket: string, key: string, id: string): Promise<void> {
    this.#upload(bucket, key, id)
    this.#bucket(bucket).uploads.delete(id)
  }

  #bucket(name: string): Contents {
    const found = this.#buckets.get(name)
    if (!found) throw new PinGoError('BUCKET_MISSING', `There is no bucket ${name}.`)
    return found
  }

  #upload(bucket: string, key: string, id: string): Pending {
    const found = this.#bucket(bucket).uploads.get(id)
    if (found?.key !== key) throw new PinGoError('UPLOAD_MISSING', 'There is no such upload.')
    return found
  }

  #check(bucket: string, key: string, { ifAbsent, ifMatch }: Condition): void {
    const found = this.#bucket(bucket).objects.get(key)
    if (ifAbsent && found) throw failed()
    if (ifMatch !== undefined && found?.info.etag !== ifMatch) throw failed()
  }

  #store(bucket: string, key: string, content: Uint8Array, etag: string, o: Description & Condition) {
    this.#check(bucket, key, o)
    const info = {
      bytes: content.byteLength,
      etag,
      modifiedAt: this.#clock(),
      headers: { ...o.headers },
      metadata: { ...o.metadata },
    }
    this.#bucket(bucket).objects.set(key, { info, content })
    return { etag, modifiedAt: info.modifiedAt }
  }
}

const failed = () => new PinGoError('PRECONDITION_FAILED', 'The object is not as the condition says.')

async function readAll(upload: Upload): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of upload.stream) parts.push(part)
  return Buffer.concat(parts)
}

/** An upload of bytes in memory. */
export function uploadOf(bytes: Uint8Array): Upload {
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.byteLength; at += 100_000) yield bytes.subarray(at, at + 100_000)
  }
  return { bytes: bytes.byteLength, stream: stream(), etag: () => createHash('md5').update(bytes).digest('hex') }
}
