import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { S3Error } from '../errors.ts'
import { type Crc64, crc32c, crc64nvme } from './crc.ts'

/** A checksum that goes along with a body. */
export interface Hasher {
  update(bytes: Uint8Array): void
  digest(): Buffer
}

function hasher<State>(
  first: State,
  step: (bytes: Uint8Array, state: State) => State,
  write: (state: State) => Buffer,
) {
  return (): Hasher => {
    let state = first
    return {
      update: (bytes) => {
        state = step(bytes, state)
      },
      digest: () => write(state),
    }
  }
}

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** The checksums of `x-amz-checksum-*` (AWS, "Checking object integrity"). */
const ALGORITHMS: Record<string, () => Hasher> = {
  crc32: hasher<number>(0, (bytes, state) => crc32(bytes, state), word),
  crc32c: hasher<number>(0, crc32c, word),
  crc64nvme: hasher<Crc64>({ low: 0, high: 0 }, crc64nvme, ({ low, high }) => Buffer.concat([word(high), word(low)])),
  sha1: () => createHash('sha1'),
  sha256: () => createHash('sha256'),
}

const PREFIX = 'x-amz-checksum-'

/** What is claimed of a body, and what comes of it. */
export class Checksums {
  /** Names are those of headers: x-amz-checksum-crc32, content-md5. */
  readonly #hashers = new Map<string, Hasher>()
  readonly #claims = new Map<string, string>()
  readonly #md5 = createHash('md5')
  #etag: string | undefined

  /**
   * @param header the request's headers
   * @throws S3Error InvalidDigest, InvalidRequest for a trailer that is no checksum
   */
  constructor(header: (name: string) => string) {
    const md5 = header('content-md5')
    if (md5 !== '') this.#claim('content-md5', md5, 16)
    for (const [algorithm, make] of Object.entries(ALGORITHMS)) {
      const value = header(PREFIX + algorithm)
      if (value === '') continue
      this.#hashers.set(PREFIX + algorithm, make())
      this.#claim(PREFIX + algorithm, value)
    }
    for (const trailer of header('x-amz-trailer').toLowerCase().split(',')) {
      const name = trailer.trim()
      if (name === '') continue
      const make = name.startsWith(PREFIX) ? ALGORITHMS[name.slice(PREFIX.length)] : undefined
      if (!make) throw new S3Error('InvalidRequest', `The trailer ${name.slice(0, 100)} is not known.`)
      if (!this.#hashers.has(name)) this.#hashers.set(name, make())
    }
  }

  update(bytes: Uint8Array): void {
    this.#md5.update(bytes)
    for (const hasher of this.#hashers.values()) hasher.update(bytes)
  }

  /** A checksum that came after the body. */
  trailer(name: string, value: string): void {
    if (!this.#hashers.has(name))
      throw new S3Error('InvalidRequest', `The trailer ${name.slice(0, 100)} was not announced.`)
    this.#claim(name, value)
  }

  /**
   * Compares what came with what was claimed.
   * @throws S3Error BadDigest; InvalidRequest when an announced trailer did not come
   */
  check(): void {
    const md5 = this.#md5.digest()
    this.#etag = md5.toString('hex')
    for (const [name, hasher] of this.#hashers) this.#compare(name, hasher.digest())
    if (this.#claims.has('content-md5')) this.#compare('content-md5', md5)
  }

  /** The MD5 in hex, after {@link check}. */
  etag(): string {
    if (this.#etag === undefined) throw new Error('The ETag is known when the body has ended.')
    return this.#etag
  }

  /** The checked `x-amz-checksum-*` as headers of the answer. */
  get headers(): Record<string, string> {
    return Object.fromEntries([...this.#claims].filter(([name]) => name.startsWith(PREFIX)))
  }

  #claim(name: string, value: string, bytes?: number): void {
    const found = Buffer.from(value, 'base64')
    if (found.toString('base64') !== value || (bytes !== undefined && found.byteLength !== bytes))
      throw new S3Error('InvalidDigest', `The ${name} that you sent is not valid.`)
    this.#claims.set(name, value)
  }

  #compare(name: string, digest: Buffer): void {
    const claim = this.#claims.get(name)
    if (claim === undefined) throw new S3Error('InvalidRequest', `The trailer ${name} did not come.`)
    if (claim !== digest.toString('base64')) throw new S3Error('BadDigest', `The ${name} does not match the body.`)
  }
}
