import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PinGoError } from '@pingo/wire'
import { z } from 'zod'

/** Where a running contributor is found by its owner's commands; readable by its owner alone. */
export const CONTROL_FILE = 'control.json'
/** An empty database: whoever has its exclusive lock has the home. */
const LOCK_FILE = 'contributor.lock'
const SQLITE_BUSY = 5
const MAX_FILE_BYTES = 4_096
const ASK_MS = 2_000

export const ControlFileSchema = z.strictObject({
  url: z.string().regex(/^http:\/\/127\.0\.0\.1:\d{1,5}$/),
  token: z.string().min(32).max(200),
  pid: z.int().min(1),
})
export type ControlFile = z.infer<typeof ControlFileSchema>

/** The control file of a home as it stands: undefined when there is none or it cannot be taken. */
export async function readControlFile(home: string): Promise<ControlFile | undefined> {
  return (await read(join(home, CONTROL_FILE)))?.file
}

async function read(path: string): Promise<{ text: string; file: ControlFile | undefined } | undefined> {
  let text: string
  try {
    text = (await readFile(path)).subarray(0, MAX_FILE_BYTES).toString('utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return { text, file: ControlFileSchema.parse(JSON.parse(text)) }
  } catch {
    return { text, file: undefined }
  }
}

/**
 * Makes a home this process's own. The lock is the operating system's, by SQLite, so that it ends with the process, however that ends.
 * @returns how to give it back
 * @throws PinGoError CONTRIBUTOR_RUNNING
 */
export async function claimHome(home: string): Promise<() => void> {
  await mkdir(home, { recursive: true, mode: 0o700 })
  const lock = new DatabaseSync(join(home, LOCK_FILE), { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return () => lock.close()
  } catch (error) {
    lock.close()
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error
    const running = (await read(join(home, CONTROL_FILE)))?.file
    throw new PinGoError(
      'CONTRIBUTOR_RUNNING',
      `A contributor already runs in ${home}${running ? ` (process ${running.pid})` : ''}.`,
      {
        hint: 'See it with `pingo contribute status`, end it with `pingo contribute leave`, or give this one a --home of its own.',
      },
    )
  }
}

/** Writes down where this contributor is found. Only who has claimed the home may. */
export async function writeControlFile(home: string, mine: ControlFile): Promise<void> {
  const path = join(home, CONTROL_FILE)
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(temporary, `${JSON.stringify(mine)}\n`, { flag: 'wx', mode: 0o600 })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

export const removeControlFile = (home: string): Promise<void> => rm(join(home, CONTROL_FILE), { force: true })

/** Whether the process that wrote a control file still runs: it answers by its token, or is there and too busy to answer. */
export async function isLive({ url, token, pid }: ControlFile): Promise<boolean> {
  try {
    const response = await fetch(`${url}/v1/machine/ping`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ASK_MS),
    })
    await response.body?.cancel()
    return response.ok
  } catch (error) {
    return (error as Error).name === 'TimeoutError' && isThere(pid)
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
