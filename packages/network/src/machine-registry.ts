import { randomBytes } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'

/**
 * Which processes of this machine are PinGo's nodes. A contributor gives way to its owner's programs, and other nodes of the same person
 * are none of them: a fog node beside it, a second contributor. Each node leaves a small file in a folder of the temporary files that
 * only this user can read; the file goes when the node ends, and one that a crash left is known by its process's start time.
 */

/** Files looked at, at most: more are none that PinGo left. */
const MAX_NODES = 1_000
/** Longest file, bytes. */
const MAX_ENTRY_BYTES = 100

export interface RegistryOptions {
  /** Where the files are; for tests. */
  folder?: string
  /** Root of the process file system; for tests. */
  proc?: string
}

/** The folder of this user's registrations. */
export const registryFolder = (): string =>
  join(tmpdir(), `pingo-nodes-${process.getuid?.() ?? userInfo().username.replace(/\W/g, '_')}`)

/**
 * Says that this process is a node, until the function that it returns is called or the process exits. A process may be several nodes.
 * Never throws: where the folder cannot be used, other nodes take this process for one of their owner's programs.
 */
export function registerNode(o: RegistryOptions = {}): () => void {
  const folder = o.folder ?? registryFolder()
  const file = join(folder, `${process.pid}-${randomBytes(4).toString('hex')}`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (!isOurs(folder)) return () => {}
    writeFileSync(file, String(startOf(process.pid, o.proc) ?? ''), { mode: 0o600, flag: 'wx' })
  } catch {
    return () => {}
  }
  const remove = (): void => {
    process.off('exit', remove)
    try {
      rmSync(file, { force: true })
    } catch {
      // a stale file is known by its start time
    }
  }
  process.on('exit', remove)
  return remove
}

/** Process ids of this user's nodes that run now. Never throws. */
export function nodesOfMachine(o: RegistryOptions = {}): number[] {
  const folder = o.folder ?? registryFolder()
  const pids = new Set<number>()
  try {
    if (!isOurs(folder)) return []
    for (const name of readdirSync(folder).slice(0, MAX_NODES)) {
      const pid = Number(/^(\d{1,10})-[0-9a-f]{8}$/.exec(name)?.[1])
      if (pid > 0 && isSame(pid, join(folder, name), o.proc)) pids.add(pid)
    }
  } catch {
    // no folder, no nodes
  }
  return [...pids]
}

/** A folder of this user's own, no link: nobody else can say which processes are not counted. */
function isOurs(folder: string): boolean {
  const stat = lstatSync(folder)
  if (!stat.isDirectory()) return false
  return process.getuid === undefined || (stat.uid === process.getuid() && (stat.mode & 0o022) === 0)
}

/** The process that left the file, and not a later one with its id. */
function isSame(pid: number, file: string, proc?: string): boolean {
  try {
    if (lstatSync(file).size > MAX_ENTRY_BYTES) return false
    const start = readFileSync(file, 'utf8').trim()
    if (start !== '') return String(startOf(pid, proc)) === start
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** When a process began, ticks since boot; undefined where that cannot be read (Linux alone says it for nothing). */
function startOf(pid: number, proc = '/proc'): number | undefined {
  try {
    const text = readFileSync(join(proc, String(pid), 'stat'), 'latin1')
    // the name in parentheses may hold anything, blanks and parentheses too: fields count from the last of them (proc(5))
    const start = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19])
    return Number.isFinite(start) ? start : undefined
  } catch {
    return undefined
  }
}
