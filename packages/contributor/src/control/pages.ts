import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
}
const MAX_PAGES_BYTES = 64 * 2 ** 20
/** How the pages know that a contributor serves them: they show this machine, and ask for no network. */
const MARK = '<meta name="pingo-node" content="contributor" />'

export interface Page {
  file: string
  type: string
  etag: string
  body?: Buffer
}

/**
 * The owner's pages by URL path. Only files that are there at the start are ever served: no path of a request reaches the disk. Their
 * bytes are read when they are asked for, since a page is seldom looked at; an absent folder gives no pages.
 */
export function findPages(folder: string): Map<string, Page> {
  const pages = new Map<string, Page>()
  let files: string[]
  try {
    files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  } catch {
    return pages
  }
  let total = 0
  for (const file of files) {
    const path = `/${relative(folder, file).split(sep).join('/')}`
    const bytes = readFileSync(file)
    total += bytes.byteLength
    if (total > MAX_PAGES_BYTES) break
    const isIndex = path === '/index.html'
    const body = isIndex ? Buffer.from(bytes.toString('utf8').replace('<head>', `<head>\n    ${MARK}`)) : undefined
    const etag = `"${createHash('sha256')
      .update(body ?? bytes)
      .digest('base64url')
      .slice(0, 22)}"`
    const page: Page = { file, type: TYPES[extname(file)] ?? 'application/octet-stream', etag, ...(body && { body }) }
    pages.set(path, page)
    if (isIndex) pages.set('/', page)
  }
  return pages
}
