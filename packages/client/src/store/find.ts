import { parseName } from '@pingo/storage'
import { PinGoError, parseCid } from '@pingo/wire'
import type { Extent, Placed } from './entry.ts'
import type { StoreParts } from './parts.ts'
import { DEFAULT_BUCKET, type Place, parsePlace, pathOf, shown } from './path-names.ts'

/** A name as IPFS writes it. */
const NAME = /^(\/ipns\/|ipns:\/\/)?k51[a-z0-9]{59}$/

/** What a person named: bytes that can be read, or a folder of the index. */
export type Target =
  | { kind: 'file'; name: string; extents: Extent[]; bytes: number; entry?: Placed }
  | { kind: 'folder'; name: string; bucket: string; prefix: string }

/**
 * Finds what a CID, a path of the index (`bucket/key`, or a key of the default bucket) or a folder's path means.
 * A CID that the index does not know is taken for public data, and so is what a name (k51…) points to now.
 * @throws PinGoError ENTRY_UNKNOWN, OBJECT_MISSING
 */
export async function find(parts: StoreParts, text: string, signal?: AbortSignal): Promise<Target> {
  const path = text.replace(/^\/+/, '')
  for (const place of placesOf(path)) {
    const entry = parts.index.get(place)
    if (entry?.kind === 'file') return targetOf(entry)
  }
  for (const { bucket, key } of placesOf(path)) {
    const prefix = key === '' || key.endsWith('/') ? key : `${key}/`
    const isThere = parts.index.list(bucket, { prefix, limit: 1 }).entries.length > 0
    if (isThere) return { kind: 'folder', name: lastPart(key) || bucket, bucket, prefix }
  }
  const named = NAME.test(text) ? await parts.names.resolve(parseName(text), { signal }) : undefined
  if (named?.cid === undefined && !isCid(text)) throw unknown(text)
  const id = named?.cid ?? parseCid(text).toString()
  const [entry] = parts.index.byObject(id)
  if (entry && entry.extents.length === 1) return targetOf(entry)
  const extent = entry?.extents.find((extent) => extent.id === id)
  if (extent) return { kind: 'file', name: id, extents: [extent], bytes: extent.bytes }
  const { bytes } = await parts.objects.openPublic(id, signal)
  return { kind: 'file', name: id, extents: [{ id, bytes, storedBytes: 0 }], bytes }
}

/** An entry of the index by path or id. @throws PinGoError ENTRY_UNKNOWN */
export function findEntry({ index }: StoreParts, text: string): Placed {
  const entry = placesOf(text.replace(/^\/+/, ''))
    .map((place) => index.get(place))
    .find((entry) => entry !== undefined)
  if (entry) return entry
  const [holder] = isCid(text) ? index.byObject(parseCid(text).toString()) : []
  if (!holder) throw unknown(text)
  return holder
}

/** `bucket/key`, and else a key of the default bucket. */
export function placesOf(path: string): Place[] {
  const place = parsePlace(path)
  return path.includes('/') ? [place, { bucket: DEFAULT_BUCKET, key: path }] : [place, { bucket: path, key: '' }]
}

export const lastPart = (key: string): string => key.replace(/\/+$/, '').split('/').at(-1)!

export function isCid(text: string): boolean {
  try {
    parseCid(text)
    return true
  } catch {
    return false
  }
}

function targetOf(entry: Placed): Target {
  return { kind: 'file', name: lastPart(entry.key), extents: entry.extents, bytes: entry.bytes, entry }
}

const unknown = (text: string) =>
  new PinGoError('ENTRY_UNKNOWN', `Nothing is stored as '${shown(text)}'.`, {
    hint: `See \`pingo store ls\`. A path is written as ${pathOf({ bucket: DEFAULT_BUCKET, key: 'NAME' })}.`,
  })
