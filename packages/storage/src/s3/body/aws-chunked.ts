import { createHash } from 'node:crypto'
import { isSameSignature } from '../auth/authenticate.ts'
import type { ChunkSigner } from '../auth/canonical.ts'
import { S3Error } from '../errors.ts'
import { MAX_CHUNK_LINE_BYTES, MAX_TRAILER_BYTES } from '../limits.ts'

export interface ChunkedOptions {
  /** Bytes of all chunks together: x-amz-decoded-content-length. */
  bytes: number
  /** Checks the chunks' signatures, when they have any. */
  signer: ChunkSigner | undefined
  /** Whether trailers follow, and what to do with each. */
  trailer: ((name: string, value: string) => void) | undefined
}

/**
 * Decodes an `aws-chunked` body: `SIZE[;chunk-signature=HEX]CRLF DATA CRLF` for each chunk, an empty one, then the trailers. A
 * chunk's bytes are given before its signature is checked: nothing may be kept before the end.
 * @throws S3Error IncompleteBody, SignatureDoesNotMatch, and what `trailer` throws
 */
export async function* decodeChunks(source: AsyncIterator<Buffer>, o: ChunkedOptions): AsyncGenerator<Buffer> {
  const input = new Input(source)
  let left = o.bytes
  for (;;) {
    const line = await input.line(MAX_CHUNK_LINE_BYTES)
    const [, hex = '', signature] = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line) ?? []
    const size = Number.parseInt(hex, 16)
    if (Number.isNaN(size)) throw new S3Error('IncompleteBody', 'The length of a chunk cannot be read.')
    if (size > left) throw new S3Error('IncompleteBody', 'The chunks are longer than x-amz-decoded-content-length.')
    const hash = o.signer && createHash('sha256')
    for (let rest = size; rest > 0; ) {
      const bytes = await input.some(rest)
      hash?.update(bytes)
      rest -= bytes.byteLength
      yield bytes
    }
    left -= size
    if (hash) checkSignature(o.signer!.chunk(hash.digest('hex')), signature)
    if (size === 0) break
    if ((await input.line(2)) !== '') throw new S3Error('IncompleteBody', 'A chunk is longer than it says.')
  }
  if (left !== 0) throw new S3Error('IncompleteBody')
  await readTrailers(input, o)
}

async function readTrailers(input: Input, o: ChunkedOptions): Promise<void> {
  let [room, signed, signature] = [MAX_TRAILER_BYTES, '', '']
  for (let line: string; (line = await input.line(room)) !== ''; ) {
    room -= line.length
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (colon < 1 || !o.trailer) throw new S3Error('IncompleteBody', 'There is more after the last chunk.')
    if (name === 'x-amz-trailer-signature') {
      signature = value
      continue
    }
    signed += `${name}:${value}\n`
    o.trailer(name, value)
  }
  if (o.trailer && o.signer) checkSignature(o.signer.trailers(signed), signature)
  if (!(await input.isAtEnd())) throw new S3Error('IncompleteBody', 'There is more after the end of the body.')
}

function checkSignature(expected: string, claimed: string | undefined): void {
  if (!isSameSignature(expected, claimed ?? ''))
    throw new S3Error('SignatureDoesNotMatch', 'The signature of a chunk does not match.')
}

/** The bytes of a body by lines and lengths. */
class Input {
  readonly #source: AsyncIterator<Buffer>
  #buffer: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterator<Buffer>) {
    this.#source = source
  }

  /** Bytes, 1 to `max` of them. */
  async some(max: number): Promise<Buffer> {
    if (this.#buffer.byteLength === 0) await this.#more()
    const bytes = this.#buffer.subarray(0, max)
    this.#buffer = this.#buffer.subarray(bytes.byteLength)
    return bytes
  }

  /** Up to the next CRLF, which is taken too. */
  async line(maxBytes: number): Promise<string> {
    let end: number
    while ((end = this.#buffer.indexOf('\r\n')) < 0) {
      if (this.#buffer.byteLength > maxBytes + 1) throw new S3Error('IncompleteBody', 'A line of the body is too long.')
      await this.#more()
    }
    if (end > maxBytes) throw new S3Error('IncompleteBody', 'A line of the body is too long.')
    const text = this.#buffer.toString('latin1', 0, end)
    this.#buffer = this.#buffer.subarray(end + 2)
    return text
  }

  async isAtEnd(): Promise<boolean> {
    return this.#buffer.byteLength === 0 && (await this.#source.next()).done === true
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#source.next()
    if (done) throw new S3Error('IncompleteBody')
    this.#buffer = this.#buffer.byteLength === 0 ? value : Buffer.concat([this.#buffer, value])
  }
}
