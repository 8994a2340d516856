import { type FileNode, MAX_BLOCK_BYTES, MAX_FILE_BLOCKS, MAX_FILE_DEPTH, readNode } from '@pingo/storage/browser'
import { type CID, type FileRef, PinGoError, parseCid, SHA2_256 } from '@pingo/wire'

/** Blocks on their way at once; a browser opens six connections to one host, and the page needs some. */
const CONCURRENCY = 4
const ATTEMPTS = 3
const PAUSE_MS = 500

export interface WebFilesOptions {
  /** Where blocks come from: `<origin>/ipfs/<cid>`. */
  origin: string
  /** Largest file that is read: it is in memory whole. */
  maxBytes: number
  fetch?: typeof fetch
}

/** Files by CID from a gateway, every block verified; what was read before lies in the browser's own HTTP cache. */
export class WebFiles {
  readonly #o: WebFilesOptions
  readonly #fetch: typeof fetch
  #free = CONCURRENCY
  readonly #waiting: (() => void)[] = []

  constructor(o: WebFilesOptions) {
    this.#o = o
    this.#fetch = o.fetch ?? fetch.bind(globalThis)
  }

  /** @throws PinGoError FILE_TOO_LARGE, FILE_MALFORMED, FILE_SIZE_MISMATCH, FETCH_FAILED, or the signal's reason */
  async read(ref: FileRef, signal: AbortSignal): Promise<Uint8Array> {
    if (ref.bytes > this.#o.maxBytes)
      throw new PinGoError('FILE_TOO_LARGE', `A file of ${ref.bytes} bytes is more than this browser lends memory for.`)
    const out = new Uint8Array(ref.bytes)
    let blocks = 0
    const bring = async (cid: CID, at: number, bytes: number, depth: number): Promise<void> => {
      if ((blocks += 1) > MAX_FILE_BLOCKS || depth > MAX_FILE_DEPTH + 1)
        throw new PinGoError('FILE_MALFORMED', `The tree of ${ref.cid} is too deep or too wide.`)
      const node = readNode(cid, await this.#block(cid, signal))
      checkSize(ref, cid, node, bytes)
      out.set(node.data, at)
      let next = at + node.data.byteLength
      const children = node.children.map((child) => {
        const start = next
        next += child.bytes
        return bring(child.cid, start, child.bytes, depth + 1)
      })
      // all have ended when one has failed: nothing writes into what nobody waits for
      const settled = await Promise.allSettled(children)
      for (const one of settled) if (one.status === 'rejected') throw one.reason
    }
    await bring(parseCid(ref.cid), 0, ref.bytes, 1)
    return out
  }

  async #block(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    await this.#enter()
    try {
      for (let attempt = 1; ; attempt++) {
        signal.throwIfAborted()
        try {
          return await this.#attempt(cid, signal, attempt > 1)
        } catch (cause) {
          signal.throwIfAborted()
          if (attempt === ATTEMPTS)
            throw new PinGoError('FETCH_FAILED', `Block ${cid} did not come from the fog node.`, { cause })
          await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt))
        }
      }
    } finally {
      this.#leave()
    }
  }

  /** @param anew not from the browser's cache, which may hold what is damaged */
  async #attempt(cid: CID, signal: AbortSignal, anew: boolean): Promise<Uint8Array> {
    const response = await this.#fetch(`${this.#o.origin}/ipfs/${cid}?format=raw`, {
      headers: { accept: 'application/vnd.ipld.raw' },
      cache: anew ? 'reload' : 'default',
      credentials: 'omit',
      redirect: 'error',
      signal,
    })
    if (!response.ok) throw new PinGoError('SOURCE_REFUSED', `The fog node answers ${response.status}.`)
    const block = await readBounded(response, MAX_BLOCK_BYTES)
    if (!(await matches(cid, block)))
      throw new PinGoError('BLOCK_MISMATCH', `The fog node sent other bytes than those of block ${cid}.`)
    return block
  }

  async #enter(): Promise<void> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }
}

/** The body, or an error as soon as it is longer than it may be. */
export async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLong = () => new PinGoError('MESSAGE_TOO_LARGE', `An answer is longer than ${maxBytes} bytes.`)
  if (Number(response.headers.get('content-length')) > maxBytes) throw tooLong()
  const parts: Uint8Array[] = []
  let bytes = 0
  const reader = response.body?.getReader()
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    bytes += part.value.byteLength
    if (bytes > maxBytes) {
      await reader?.cancel()
      throw tooLong()
    }
    parts.push(part.value)
  }
  const body = new Uint8Array(bytes)
  let at = 0
  for (const part of parts) {
    body.set(part, at)
    at += part.byteLength
  }
  return body
}

async function matches(cid: CID, block: Uint8Array): Promise<boolean> {
  if (cid.multihash.code !== SHA2_256) return false
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', block as Uint8Array<ArrayBuffer>))
  return digest.length === cid.multihash.digest.length && digest.every((byte, i) => byte === cid.multihash.digest[i])
}

function checkSize(ref: FileRef, cid: CID, node: FileNode, bytes: number): void {
  if (node.bytes !== bytes)
    throw new PinGoError(
      'FILE_SIZE_MISMATCH',
      `Block ${cid} of file ${ref.cid} has ${node.bytes} bytes below it, ${bytes} were said.`,
    )
}
