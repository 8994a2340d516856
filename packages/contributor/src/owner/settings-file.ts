import { randomBytes } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { PinGoError, sentence } from '@pingo/wire'
import type { OwnerSettings } from './settings.ts'
import { type Machine, readWords, resolveSettings, type WordName, type Words, type WordValue } from './words.ts'

/** What an owner lends, written down in the contributor's home. */
export const SETTINGS_FILE = 'contributor.json'
const MAX_FILE_BYTES = 64 * 1024
/** Editors write in several strokes. */
const SETTLE_MS = 100
/** Where the file system tells nothing of changes (network disks), the file is looked at this often. */
const POLL_MS = 5_000

export interface SettingsFileOptions {
  machine: Machine
  /** For this run, before what the file says: options of the command. A later `change` of the same setting ends them. */
  overrides?: Words
  pollMs?: number
}

/** The owner's settings: a file that is watched, and written atomically. A file that cannot be taken leaves the settings as they were. */
export class SettingsFile {
  readonly path: string
  readonly #o: SettingsFileOptions
  readonly #listeners = new Set<(settings: OwnerSettings) => void>()
  #overrides: Words
  #words: Words = {}
  #settings: OwnerSettings
  #text: string | undefined
  #seen = ''
  #trouble: string | undefined
  #queue: Promise<unknown> = Promise.resolve()
  #watcher: FSWatcher | undefined
  #poll: NodeJS.Timeout | undefined
  #settle: NodeJS.Timeout | undefined

  /** @param home the contributor's folder. @throws PinGoError SETTINGS_INVALID */
  static async open(home: string, o: SettingsFileOptions): Promise<SettingsFile> {
    await mkdir(home, { recursive: true, mode: 0o700 })
    const file = new SettingsFile(join(home, SETTINGS_FILE), o)
    file.#take(await readText(file.path))
    file.#seen = await fingerprint(file.path)
    file.#watch()
    return file
  }

  private constructor(path: string, o: SettingsFileOptions) {
    this.path = path
    this.#o = o
    this.#overrides = { ...o.overrides }
    this.#settings = resolveSettings(this.#overrides, o.machine)
  }

  /** What holds: the file's words and this run's options, the rest by default. */
  get settings(): OwnerSettings {
    return this.#settings
  }

  get machine(): Machine {
    return this.#o.machine
  }

  /** What was said, in the file and for this run. */
  get words(): Words {
    return { ...this.#words, ...this.#overrides }
  }

  /** Why the file as it is now is not in force, for people. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Returns how to stop listening. */
  onChange(listener: (settings: OwnerSettings) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Writes settings down; they hold at once. `null` takes one back to its default. @throws PinGoError SETTINGS_INVALID */
  change(said: { [name in WordName]?: WordValue | null }): Promise<OwnerSettings> {
    const changed = this.#queue.then(async () => {
      const checked = readWords(said, this.#o.machine)
      // what somebody wrote by hand a moment ago is not lost
      const words = readFileWords(await readText(this.path), this.path, this.#o.machine)
      for (const [name, value] of Object.entries(checked) as [WordName, WordValue | null][]) {
        delete this.#overrides[name]
        if (value === null) delete words[name]
        else words[name] = value
      }
      const text = `${JSON.stringify(words, undefined, 2)}\n`
      await writeAtomic(this.path, text)
      this.#take(text)
      return this.#settings
    })
    this.#queue = changed.catch(() => undefined)
    return changed
  }

  /** Looks at the file now. Never throws: what is wrong with it is `trouble`. */
  reload(): Promise<void> {
    const done = this.#queue.then(async () => {
      try {
        const text = await readText(this.path)
        if (text !== this.#text) this.#take(text)
        else this.#trouble = undefined // it is again what holds
      } catch (error) {
        this.#trouble = `${sentence(error)} The settings from before hold.`
      }
    })
    this.#queue = done
    return done
  }

  close(): void {
    this.#watcher?.close()
    clearInterval(this.#poll)
    clearTimeout(this.#settle)
    this.#listeners.clear()
  }

  #take(text: string | undefined): void {
    const words = readFileWords(text, this.path, this.#o.machine)
    const settings = resolveSettings({ ...words, ...this.#overrides }, this.#o.machine)
    const isNew = JSON.stringify(settings) !== JSON.stringify(this.#settings)
    this.#words = words
    this.#text = text
    this.#settings = settings
    this.#trouble = undefined
    if (isNew) for (const listener of this.#listeners) listener(settings)
  }

  #watch(): void {
    const changed = () => {
      clearTimeout(this.#settle)
      this.#settle = setTimeout(() => void this.reload(), SETTLE_MS)
    }
    try {
      // of the folder: an editor that writes a new file in the place of the old one is seen too
      this.#watcher = watch(dirname(this.path), { persistent: false }, (_event, name) => {
        if (name === null || name === basename(this.path)) changed()
      }).on('error', () => this.#watcher?.close())
    } catch {
      // the look each few seconds must do
    }
    this.#poll = setInterval(async () => {
      const now = await fingerprint(this.path)
      if (now === this.#seen) return
      this.#seen = now
      changed()
    }, this.#o.pollMs ?? POLL_MS)
    this.#poll.unref()
  }
}

/** Settings as they stand in a home, without watching. @throws PinGoError SETTINGS_INVALID */
export async function readSettingsWords(home: string, machine: Machine): Promise<Words> {
  const path = join(home, SETTINGS_FILE)
  return readFileWords(await readText(path), path, machine)
}

function readFileWords(text: string | undefined, path: string, machine: Machine): Words {
  if (text === undefined) return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new PinGoError('SETTINGS_INVALID', `${path} is not JSON: ${(cause as Error).message}.`, {
      hint: 'It is written like {"cpu": "40%", "disk": "20GB", "schedule": "sat-sun"}.',
      cause,
    })
  }
  try {
    const words = readWords(value, machine)
    return Object.fromEntries(Object.entries(words).filter(([, said]) => said !== null)) as Words
  } catch (cause) {
    const { message, hint } = cause as PinGoError
    throw new PinGoError('SETTINGS_INVALID', `${path}: ${message}`, { hint, cause })
  }
}

/** @throws PinGoError SETTINGS_INVALID for what is too long */
async function readText(path: string): Promise<string | undefined> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_FILE_BYTES + 1), 0, MAX_FILE_BYTES + 1, 0)
    if (bytesRead > MAX_FILE_BYTES)
      throw new PinGoError('SETTINGS_INVALID', `${path} is longer than settings can be (${MAX_FILE_BYTES} bytes).`)
    return buffer.subarray(0, bytesRead).toString('utf8')
  } finally {
    await handle.close()
  }
}

/** Whole and synced, or not there. */
async function writeAtomic(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function fingerprint(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  return found ? `${found.ino} ${found.size} ${found.mtimeMs}` : 'none'
}
