import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { brotliCompressSync } from 'node:zlib'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
}
/** Larger files are read from the disk when they are asked for, and compressed where a file of the same name with `.br` lies beside them. */
const MAX_HELD_BYTES = 1 << 20
/** Only what the fog node itself serves may run or load in its pages. */
export const CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
/** On the page that contributes, WebAssembly may be compiled too, in its workers above all; JavaScript from strings still may not. */
const CONTRIBUTING_POLICY = `${CONTENT_SECURITY_POLICY}; script-src 'self' 'wasm-unsafe-eval'`
const CONTRIBUTE = '/contribute'

export interface Page {
  /** What is sent, and what is sent to who takes brotli, where there is that. */
  body(): Buffer | Readable
  brotli: (() => Buffer | Readable) | undefined
  type: string
  etag: string
  immutable: boolean
  policy: string
}

/**
 * Reads a folder of static pages into memory, by URL path. Only files that are there at the start are ever served: no path of a
 * request reaches the disk. An absent folder gives no pages.
 */
export function readPages(folder: string): Map<string, Page> {
  const pages = new Map<string, Page>()
  let files: string[]
  try {
    files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  } catch {
    return pages
  }
  const there = new Set(files)
  for (const file of files) {
    const path = `/${relative(folder, file).split(sep).join('/')}`
    const content = readFileSync(file)
    const page: Page = {
      ...bodiesOf(file, content, there),
      type: TYPES[extname(file)] ?? 'application/octet-stream',
      etag: `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`,
      immutable: path.startsWith('/assets/'),
      policy: /^\/(assets\/)?contribute[./]/.test(path) ? CONTRIBUTING_POLICY : CONTENT_SECURITY_POLICY,
    }
    pages.set(path, page)
    if (path === '/index.html') pages.set('/', page)
    if (path === `${CONTRIBUTE}.html`) pages.set(CONTRIBUTE, page)
  }
  return pages
}

function bodiesOf(file: string, content: Buffer, there: ReadonlySet<string>): Pick<Page, 'body' | 'brotli'> {
  if (content.byteLength <= MAX_HELD_BYTES) {
    const brotli = brotliCompressSync(content)
    return { body: () => content, brotli: () => brotli }
  }
  const compressed = `${file}.br`
  return {
    body: () => createReadStream(file),
    brotli: there.has(compressed) ? () => createReadStream(compressed) : undefined,
  }
}
