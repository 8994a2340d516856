import { isShareLink, type OpenShare, openShareLink, type Source, shareLink } from '@pingo/storage'
import { type Identity, PinGoError } from '@pingo/wire'
import type { Target } from './find.ts'
import type { Objects } from './objects.ts'
import { shown } from './path-names.ts'

/** A link is good for this long unless its owner says otherwise. */
export const LINK_MS = 7 * 24 * 3_600_000
/** Fog nodes that a link names: whoever opens it may know none. */
export const LINK_FOGS = 3

/** A link to one private file. @throws PinGoError SHARE_PUBLIC, SHARE_FOLDER, LINK_TOO_LARGE */
export async function linkTo(
  target: Target,
  o: { objects: Objects; owner: Identity; fogs: Source[]; until: number; password?: string },
): Promise<string> {
  if (target.kind !== 'file')
    throw new PinGoError('SHARE_FOLDER', `'${shown(target.name)}' is a folder; a link leads to one file.`, {
      hint: 'Put an archive of it (tar, zip) and share that.',
    })
  const parts = target.extents.map((extent) => {
    const key = o.objects.keyOf(extent)
    if (key) return { id: extent.id, key, bytes: extent.bytes }
    throw new PinGoError('SHARE_PUBLIC', `'${shown(target.name)}' is public.`, {
      hint: `Whoever has its CID can read it: ${extent.id}`,
    })
  })
  const fogs = o.fogs.map(({ url, pin }) => (pin === undefined ? { url } : { url, pin }))
  const shared = { parts, name: target.name, bytes: target.bytes, fogs }
  return await shareLink(o.owner, shared, { until: o.until, password: o.password })
}

/** What a link leads to; undefined when the text is none. @throws PinGoError LINK_INVALID, LINK_EXPIRED, LINK_PASSWORD_MISSING … */
export async function openLink(
  text: string,
  o: { objects: Objects; now: number; password?: string },
): Promise<{ target: Target; link: OpenShare } | undefined> {
  if (!isShareLink(text)) return undefined
  const link = await openShareLink(text, { now: o.now, password: o.password })
  const extents = link.parts.map(({ id, key, bytes }) => o.objects.extentOf(id, key, bytes))
  return { target: { kind: 'file', name: link.name, extents, bytes: link.bytes }, link }
}
