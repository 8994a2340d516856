import { createHash } from 'node:crypto'
import type { CID } from '@pingo/wire'
import { type Entry, isSafeName } from '../files/folder.ts'

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.1rem; overflow-wrap: anywhere }
ul { list-style: none; padding: 0; margin: 0 }
li { display: flex; gap: 1rem; justify-content: space-between; padding: .5rem 0; border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
a { overflow-wrap: anywhere; min-width: 0 }
a:focus-visible { outline: 2px solid; outline-offset: 2px }
span { white-space: nowrap; font-variant-numeric: tabular-nums }
`

/** Nothing runs in a listing, and nothing is loaded. */
export const LISTING_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/**
 * A directory as a page without scripts, for light and dark and any width.
 * @param o.path below the root, decoded names
 */
export function listingPage(o: {
  root: CID
  path: readonly string[]
  entries: readonly Entry[]
  isWhole: boolean
}): string {
  const title = `/ipfs/${[o.root, ...o.path].join('/')}`
  const items = o.entries.map(({ name, cid, dagBytes }) => {
    const text = escapeHtml(name || '(no name)')
    const href = isSafeName(name) ? pathTo(o.root, [...o.path, name]) : `/ipfs/${cid}`
    return `<li><a href="${escapeHtml(href)}">${text}</a><span>${sizeText(dagBytes)}</span></li>`
  })
  const up =
    o.path.length > 0
      ? `<li><a href="${escapeHtml(pathTo(o.root, o.path.slice(0, -1)))}">Parent directory</a></li>`
      : ''
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
<main>
<h1>${escapeHtml(title)}</h1>
${items.length === 0 ? '<p>This directory is empty.</p>' : ''}${o.isWhole ? '' : `<p>Only the first ${items.length} entries are shown.</p>`}
<ul>
${up}${items.join('\n')}
</ul>
</main>
</html>
`
}

const pathTo = (root: CID, path: readonly string[]): string =>
  `/ipfs/${[root, ...path.map((name) => encodeURIComponent(name.toWellFormed()))].join('/')}`

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => ESCAPES[c]!)

function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${(bytes / 2 ** (10 * power)).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}
