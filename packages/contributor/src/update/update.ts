import { mkdtemp, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { compareVersions, type Decision, decide } from './decide.ts'
import { fetchFile, fetchManifest, sourceUrl } from './download.ts'
import type { ReleasePolicy } from './keys.ts'
import { filesFor, mustHaveKeys, openRelease, type Release } from './release.ts'
import { type Installed, nextStart, proven, STAGING, seen, switched, Versions } from './versions.ts'

/** Free on the disk beside what the update takes. */
const DISK_MARGIN_BYTES = 256 << 20

export interface UpdateOptions {
  home: string
  /** Address of the manifest. */
  source: string | undefined
  policy: ReleasePolicy
  /** The version that the owner installed. */
  base: string
  platform?: string
  peerId?: string
  /** Milliseconds since epoch. */
  now: number
  signal?: AbortSignal
}

export interface UpdateCheck {
  state: Decision['state']
  sentence: string
  running: string
  offered: string
}

/**
 * Looks whether there is a newer version, and remembers what was offered, so that nothing older is taken later.
 * @throws PinGoError UPDATES_OFF before anything is asked for, and whatever refuses a release
 */
export const checkUpdate = async (o: UpdateOptions): Promise<UpdateCheck> => (await look(o)).check

async function look(o: UpdateOptions): Promise<{ check: UpdateCheck; release: Release; platform: string }> {
  mustHaveKeys(o.policy)
  const versions = new Versions(o.home)
  const release = await openRelease(await fetchManifest(sourceUrl(o.source), o.signal), o.policy)
  const state = await versions.read()
  const installed = state.current && versions.entryOf(state.current) ? state.current.version : undefined
  const running = installed && compareVersions(installed, o.base) > 0 ? installed : o.base
  const platform = o.platform ?? `${process.platform}-${process.arch}`
  const { peerId, now } = o
  const decision = decide(release, { running, newest: state.newest, failed: state.failed, platform, peerId, now })
  await versions.change((before) => seen(before, release.version))
  return { check: { ...decision, running, offered: release.version }, release, platform }
}

export interface UpdateResult extends Omit<UpdateCheck, 'state'> {
  /** waiting: it lies here, and a lease is under way. installed: it starts next. */
  state: 'current' | 'later' | 'waiting' | 'installed'
}

/**
 * Installs a newer version where there is one. What runs is not touched: the new one starts next time.
 * @param o.canApply no lease is under way; asked before anything is fetched and again just before the switch
 * @param o.inUse the version that runs now, which stays on the disk
 */
export async function update(
  o: UpdateOptions & { canApply: () => boolean | Promise<boolean>; inUse?: string },
): Promise<UpdateResult> {
  const { check, release, platform } = await look(o)
  const { state, ...told } = check
  if (state !== 'ready') return { ...told, state }
  const waiting: UpdateResult = {
    ...told,
    state: 'waiting',
    sentence: `${release.version} waits: a lease is under way.`,
  }
  if (!(await o.canApply())) return waiting
  const versions = new Versions(o.home)
  using _ = await versions.lock()
  const { current, previous } = await versions.read()
  await versions.tidy([current?.version, previous?.version, o.inUse].filter((version) => version !== undefined))
  const staged = await stage(release, { ...o, platform, folder: versions.folder })
  try {
    if (!(await o.canApply())) return waiting
    const folder = versions.folderOf(release.version)
    await rm(folder, { recursive: true, force: true })
    await rename(staged, folder)
    await versions.change((before) => switched(before, { version: release.version, entry: release.entry }))
  } finally {
    await rm(staged, { recursive: true, force: true })
  }
  return { ...told, state: 'installed', sentence: `${release.version} is installed; it starts next time.` }
}

/** Fetches all files of a release into a fresh folder, each verified; all or nothing. */
async function stage(
  release: Release,
  o: { source: string | undefined; platform: string; folder: string; signal?: AbortSignal },
): Promise<string> {
  const files = filesFor(release, o.platform)
  const needed = files.reduce((sum, { bytes }) => sum + bytes, 0)
  const { bavail, bsize } = await statfs(o.folder)
  if (bavail * bsize < needed + DISK_MARGIN_BYTES)
    throw new PinGoError('DISK_FULL', 'The disk has too little space for the update.', {
      hint: 'Free some space and try again.',
    })
  const folder = await mkdtemp(join(o.folder, STAGING))
  try {
    const source = sourceUrl(o.source)
    for (const file of files) await fetchFile(source, file, folder, o.signal)
    return folder
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/**
 * The file to start instead of the version that the owner installed (`base`), if any; counts the start. Whatever is wrong with the
 * installed versions, `base` starts: an update must not keep a contributor from working.
 */
export async function startInstalled(home: string, base: string, policy: ReleasePolicy): Promise<string | undefined> {
  if (policy.keys.length === 0) return undefined
  const versions = new Versions(home)
  try {
    let run: Installed | undefined
    await versions.change((state) => {
      const next = nextStart(state, base)
      run = next.run
      return next.state
    })
    return run && versions.entryOf(run)
  } catch {
    return undefined
  }
}

/** The file of the newest installed version that came up, where that is newer than `base`: it knows the release keys that hold now. */
export async function newestProven(home: string, base: string, policy: ReleasePolicy): Promise<string | undefined> {
  if (policy.keys.length === 0) return undefined
  const versions = new Versions(home)
  const { isProven, current, previous } = await versions.read()
  const run = isProven ? current : previous
  return run && compareVersions(run.version, base) > 0 ? versions.entryOf(run) : undefined
}

/** A version came up: it is what a later one falls back to. */
export const cameUp = async (home: string, version: string): Promise<void> => {
  await new Versions(home).change((state) => proven(state, version))
}
