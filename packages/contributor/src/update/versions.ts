import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PinGoError } from '@pingo/wire'
import { z } from 'zod'
import { compareVersions } from './decide.ts'
import { PathSchema, VersionSchema } from './release.ts'

/** A new version that was started so often without coming up is given up. */
export const MAX_STARTS = 2
const MAX_FAILED = 20
const MAX_STATE_BYTES = 16 << 10
const STATE_FILE = 'state.json'
const LOCK_FILE = 'update.lock'
export const STAGING = '.staging-'

const StateSchema = z.strictObject({
  format: z.literal(1),
  /** What starts; absent: what the owner installed. */
  current: z.strictObject({ version: VersionSchema, entry: PathSchema }).optional(),
  /** What ran before it, and came up. */
  previous: z.strictObject({ version: VersionSchema, entry: PathSchema }).optional(),
  /** Whether `current` came up once. */
  isProven: z.boolean(),
  /** Starts of `current` that are not known to have come up. */
  starts: z.int().min(0).max(MAX_STARTS),
  newest: VersionSchema.optional(),
  failed: z.array(VersionSchema).max(MAX_FAILED),
})
export type State = z.infer<typeof StateSchema>
export type Installed = NonNullable<State['current']>

export const EMPTY: State = { format: 1, isProven: true, starts: 0, failed: [] }

/** A valid release named this version: nothing older is taken from now on. */
export const seen = (state: State, version: string): State =>
  state.newest && compareVersions(state.newest, version) >= 0 ? state : { ...state, newest: version }

/** The version that starts next; the last that came up is kept to fall back to. */
export const switched = (state: State, next: Installed): State => ({
  ...state,
  current: next,
  previous: state.isProven && state.current?.version !== next.version ? state.current : state.previous,
  isProven: false,
  starts: 0,
})

/** What to start, with `base` as the version that the owner installed: undefined for that one. A version that did not come up twice is left. */
export function nextStart(state: State, base: string): { state: State; run: Installed | undefined } {
  const { current } = state
  if (!current || compareVersions(current.version, base) <= 0) return { state, run: undefined }
  if (state.isProven) return { state, run: current }
  if (state.starts < MAX_STARTS) return { state: { ...state, starts: state.starts + 1 }, run: current }
  return nextStart(
    {
      ...state,
      current: state.previous,
      previous: undefined,
      isProven: true,
      starts: 0,
      failed: [...state.failed, current.version].slice(-MAX_FAILED),
    },
    base,
  )
}

/** `version` came up. */
export const proven = (state: State, version: string): State =>
  state.current?.version === version && !state.isProven ? { ...state, isProven: true, starts: 0 } : state

/** The versions of a contributor's home: each in its folder, and one file that says which starts. Writing that file is the switch. */
export class Versions {
  readonly folder: string

  constructor(home: string) {
    this.folder = join(home, 'versions')
  }

  /** @throws PinGoError UPDATE_STATE_UNREADABLE */
  async read(): Promise<State> {
    const file = join(this.folder, STATE_FILE)
    try {
      const bytes = await readFile(file)
      if (bytes.byteLength > MAX_STATE_BYTES) throw new Error('too long')
      return StateSchema.parse(JSON.parse(bytes.toString('utf8')))
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY
      throw new PinGoError('UPDATE_STATE_UNREADABLE', `${file} is damaged.`, {
        hint: 'Remove the folder it is in: the version that you installed starts then.',
        cause,
      })
    }
  }

  /** Changes the state at once: who reads it sees the old or the new one, after a crash too. */
  async change(to: (state: State) => State): Promise<State> {
    const before = await this.read()
    const after = to(before)
    if (after === before) return after
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const draft = join(this.folder, `${STATE_FILE}.${randomBytes(6).toString('hex')}`)
    try {
      const file = await open(draft, 'wx', 0o600)
      try {
        await file.writeFile(JSON.stringify(StateSchema.parse(after)))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(draft, join(this.folder, STATE_FILE))
    } finally {
      await rm(draft, { force: true })
    }
    return after
  }

  folderOf(version: string): string {
    return join(this.folder, VersionSchema.parse(version))
  }

  /** The file that starts a version; undefined when it is not whole. */
  entryOf({ version, entry }: Installed): string | undefined {
    const file = join(this.folderOf(version), ...entry.split('/'))
    return existsSync(file) ? file : undefined
  }

  /** Only one process at a time installs; the lock ends with the process. @throws PinGoError UPDATE_RUNNING */
  async lock(): Promise<Disposable> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const lock = new DatabaseSync(join(this.folder, LOCK_FILE), { timeout: 0 })
    try {
      lock.exec('BEGIN EXCLUSIVE')
    } catch (cause) {
      lock.close()
      throw new PinGoError('UPDATE_RUNNING', 'Another process installs an update here.', { cause })
    }
    return { [Symbol.dispose]: () => lock.close() }
  }

  /** Removes what was begun and not ended, and versions that are neither current nor previous. Only under the lock. */
  async tidy(keep: readonly string[]): Promise<void> {
    for (const name of await readdir(this.folder)) {
      const isVersion = VersionSchema.safeParse(name).success
      if (name.startsWith(STAGING) || (isVersion && !keep.includes(name)))
        await rm(join(this.folder, name), { recursive: true, force: true })
    }
  }
}
