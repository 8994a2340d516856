import { readdirSync, statSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'

const HTML = 'text/html; charset=utf-8'
const TYPES: Record<string, string> = {
  '.html': HTML,
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
}
/** The owner's page; the others are a fog node's. */
const INDEX = 'machine.html'

export interface Page {
  file: string
  type: string
  etag: string
}

/**
 * The owner's page and what it loads, by URL path. Only files that are there at the start are ever served: no path of a request reaches
 * the disk. They are read when they are asked for, since the page is seldom looked at; an absent folder gives no pages.
 */
export function findPages(folder: string): Map<string, Page> {
  const pages = new Map<string, Page>()
  try {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name)
      const path = `/${relative(folder, file).split(sep).join('/')}`
      const type = TYPES[extname(file)]
      // what is in folders of the assets is another page's
      if (!entry.isFile() || !type || path.split('/').length > 3 || (type === HTML && path !== `/${INDEX}`)) continue
      const { size, mtimeMs } = statSync(file)
      pages.set(path === `/${INDEX}` ? '/' : path, { file, type, etag: `"${size}-${Math.round(mtimeMs)}"` })
    }
  } catch {
    // the pages are not built here
  }
  return pages
}
