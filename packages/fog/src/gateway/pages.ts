import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import { brotliCompressSync } from 'node:zlib'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
}
/** Only what the fog node itself serves may run or load in its pages. */
export const CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export interface Page {
  body: Buffer
  brotli: Buffer
  type: string
  etag: string
  immutable: boolean
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
  for (const file of files) {
    const path = `/${relative(folder, file).split(sep).join('/')}`
    const body = readFileSync(file)
    const page: Page = {
      body,
      brotli: brotliCompressSync(body),
      type: TYPES[extname(file)] ?? 'application/octet-stream',
      etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
      immutable: path.startsWith('/assets/'),
    }
    pages.set(path, page)
    if (path === '/index.html') pages.set('/', page)
  }
  return pages
}
