import { createHash } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { MAX_RELEASE_BYTES, type ReleaseFile } from './release.ts'

const BASE_MS = 30_000
/** Slower than this on the whole of a file is given up. */
const LEAST_BYTES_PER_SECOND = 16 << 10

/** @throws PinGoError UPDATE_SOURCE_INVALID */
export function sourceUrl(text: string | undefined): URL {
  if (text === undefined)
    throw new PinGoError('UPDATE_SOURCE_INVALID', 'Where new versions are is not known.', {
      hint: 'Name the manifest with --from https://….',
    })
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password) return url
  throw new PinGoError('UPDATE_SOURCE_INVALID', `'${text.slice(0, 200)}' is no address of a release.`, {
    hint: 'Name its manifest, such as https://example.org/pingo/release.cbor.',
  })
}

/** The signed manifest at `source`, unread. @throws PinGoError UPDATE_UNREACHABLE, UPDATE_TOO_LARGE */
export async function fetchManifest(source: URL, signal?: AbortSignal): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of body(source, MAX_RELEASE_BYTES, signal)) pieces.push(piece)
  return Buffer.concat(pieces)
}

/**
 * Fetches a file of a release from beside its manifest into `folder`, which is fresh: nothing is overwritten, no link is followed.
 * @throws PinGoError UPDATE_UNREACHABLE, UPDATE_TOO_LARGE, UPDATE_TAMPERED
 */
export async function fetchFile(source: URL, file: ReleaseFile, folder: string, signal?: AbortSignal): Promise<void> {
  const to = join(folder, ...file.path.split('/'))
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  const out = await open(to, 'wx', file.isExecutable ? 0o700 : 0o600)
  try {
    const hash = createHash('sha256')
    let written = 0
    for await (const piece of body(new URL(file.sha256, source), file.bytes, signal)) {
      hash.update(piece)
      await out.writeFile(piece)
      written += piece.byteLength
    }
    if (written !== file.bytes || hash.digest('hex') !== file.sha256)
      throw new PinGoError('UPDATE_TAMPERED', `${file.path} is not what was signed; the update is refused.`, {
        hint: 'Where it came from may be broken or hostile. What runs now goes on.',
      })
    await out.sync()
  } finally {
    await out.close()
  }
}

/** What is at `url`, as it comes: never more than `maxBytes`, never slower than it must be, from nowhere else. */
async function* body(url: URL, maxBytes: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const late = AbortSignal.timeout(BASE_MS + Math.ceil((maxBytes / LEAST_BYTES_PER_SECOND) * 1000))
  let got = 0
  try {
    const response = await fetch(url, {
      redirect: 'error',
      headers: { 'accept-encoding': 'identity' },
      signal: signal ? AbortSignal.any([signal, late]) : late,
    })
    if (!response.ok || !response.body) {
      await response.body?.cancel()
      throw new Error(`it answers ${response.status}`)
    }
    for await (const piece of response.body) {
      got += piece.byteLength
      if (got > maxBytes) throw new PinGoError('UPDATE_TOO_LARGE', `What is at ${url} is over ${maxBytes} bytes.`)
      yield piece
    }
  } catch (cause) {
    if (cause instanceof PinGoError) throw cause
    signal?.throwIfAborted()
    const why = ((cause as Error).cause as Error | undefined)?.message || (cause as Error).message
    throw new PinGoError('UPDATE_UNREACHABLE', `${url} cannot be read: ${why}.`, { cause })
  }
}
