import { PinGoError, sha256 } from '@pingo/wire'
import type { Release } from './release.ts'

/** What is known of this machine when a release is looked at. */
export interface Here {
  /** The version that runs. */
  running: string
  /** The newest version that a valid release ever named here. */
  newest?: string
  /** Versions that did not start here. */
  failed: readonly string[]
  /** Such as linux-x64. */
  platform: string
  /** Absent where the contributor was never started. */
  peerId?: string
  /** Milliseconds since epoch. */
  now: number
}

/** current: nothing to do; later: not this machine's turn; ready: may be installed. */
export type Decision = { state: 'current' | 'later' | 'ready'; sentence: string }

/** Negative when `a` is older than `b`. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number))
  const at = [0, 1, 2].find((part) => x![part] !== y![part])
  return at === undefined ? 0 : x![at]! - y![at]!
}

/** Where a machine stands in the row of those that get a version, 0 to 1: another place for each version, so that not always the same go first. */
export function place(peerId: string, version: string): number {
  const hash = sha256(Buffer.from(`pingo/update/${version}/${peerId}`))
  return Buffer.from(hash).readUIntBE(0, 6) / 2 ** 48
}

/**
 * What to do with a release whose signatures are good.
 * @throws PinGoError UPDATE_EXPIRED, UPDATE_OLDER, UPDATE_FAILED_BEFORE, UPDATE_TOO_FAR, UPDATE_PLATFORM_UNKNOWN
 */
export function decide(release: Release, here: Here): Decision {
  const { version } = release
  if (here.now >= release.expires)
    throw new PinGoError('UPDATE_EXPIRED', `What the source offers (${version}) has expired; it is refused.`, {
      hint: 'The source is no longer kept, or somebody holds newer versions back. Check the clock of this machine too.',
    })
  const known = [here.running, ...(here.newest ? [here.newest] : [])]
  if (known.some((each) => compareVersions(version, each) < 0))
    throw new PinGoError('UPDATE_OLDER', `The source offers ${version}, older than what is known here; it is refused.`)
  if (version === here.running) return { state: 'current', sentence: `${version} is the newest version.` }
  if (here.failed.includes(version))
    throw new PinGoError(
      'UPDATE_FAILED_BEFORE',
      `${version} did not start here before; the next version is waited for.`,
    )
  if (compareVersions(here.running, release.minVersion) < 0)
    throw new PinGoError('UPDATE_TOO_FAR', `${version} cannot follow ${here.running} directly.`, {
      hint: `Install ${release.minVersion} or newer as you installed this one.`,
    })
  if (!release.platforms.includes(here.platform))
    throw new PinGoError('UPDATE_PLATFORM_UNKNOWN', `${version} is not made for ${here.platform}.`)
  if (here.now < release.notBefore)
    return { state: 'later', sentence: `${version} comes on ${new Date(release.notBefore).toISOString()}.` }
  if ((here.peerId === undefined ? 1 : place(here.peerId, version)) >= release.share && release.share < 1)
    return {
      state: 'later',
      sentence: `${version} goes to ${Number((release.share * 100).toFixed(2))} % of the machines first; this one's turn comes.`,
    }
  return { state: 'ready', sentence: `${version} can be installed.` }
}
