import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { childrenOf } from './tree.ts'

/** Where the group of processes that need no limits is: the kernel allows none beside groups with limits. */
const MAIN = 'pingo-main'
/** Microseconds: the kernel's own default. */
const PERIOD_US = 100_000
const CONTROLLERS = ['cpu', 'memory', 'pids'] as const
/** Threads of a child: Node's, and room for those of runs. */
const MAX_TASKS = 512

export interface CgroupOptions {
  /** Where cgroup v2 is mounted, default /sys/fs/cgroup. */
  root?: string
  /** What the kernel says of this process's groups, default /proc/self/cgroup. */
  membership?: string
}

export interface CgroupLimits {
  /** Cores at most. */
  cores?: number | undefined
  memoryBytes?: number | undefined
}

/** A group of its own for one child. */
export interface Cgroup {
  readonly path: string
  /** Limits that the kernel took, of those that were wanted. */
  readonly active: readonly string[]
  /** Removes the group; its processes must be gone. */
  remove(): void
}

/**
 * This process's cgroup, when it was delegated to it (a systemd unit with `Delegate=yes`, systemd.resource-control(5)) and holds nobody else's
 * processes, made ready for groups below it; undefined where it was not. A terminal's group is writable too, but others live in it.
 */
export function claimCgroup(options: CgroupOptions = {}): string | undefined {
  const { root = '/sys/fs/cgroup', membership = '/proc/self/cgroup' } = options
  try {
    const within = /^0::(\/.*)$/m.exec(readFileSync(membership, 'latin1'))?.[1]
    if (within === undefined || within === '/') return undefined
    const own = join(root, within)
    // Claimed before, by this process: it was moved down then.
    const path = own.endsWith(`/${MAIN}`) ? own.slice(0, -MAIN.length - 1) : own
    const members = pidsIn(path)
    if (path === own && !isAllOurs(members)) return undefined
    if (members.length > 0) {
      if (!existsSync(join(path, MAIN))) mkdirSync(join(path, MAIN))
      for (const pid of members) writeFileSync(join(path, MAIN, 'cgroup.procs'), String(pid))
    }
    const offered = readFileSync(join(path, 'cgroup.controllers'), 'latin1').trim().split(' ')
    for (const name of CONTROLLERS)
      if (offered.includes(name)) attempt(() => writeFileSync(join(path, 'cgroup.subtree_control'), `+${name}`))
    return path
  } catch {
    return undefined
  }
}

/**
 * Puts a process, with all that it will start, into a new group below `parent`; undefined where the kernel does not allow it.
 * @param make makes a group: the kernel puts a file for each limit in a new folder
 */
export function enterCgroup(
  parent: string,
  pid: number,
  limits: CgroupLimits,
  make: (path: string) => void = mkdirSync,
): Cgroup | undefined {
  const path = join(parent, `pingo-engine-${pid}`)
  attempt(() => rmdirSync(path))
  try {
    make(path)
    const active: string[] = []
    const set = (file: string, value: string): void => {
      if (existsSync(join(path, file)) && attempt(() => writeFileSync(join(path, file), value))) active.push(file)
    }
    set('cpu.idle', '1')
    set('pids.max', String(MAX_TASKS))
    if (limits.cores !== undefined)
      set('cpu.max', `${Math.max(1_000, Math.round(limits.cores * PERIOD_US))} ${PERIOD_US}`)
    if (limits.memoryBytes !== undefined) {
      set('memory.max', String(Math.floor(limits.memoryBytes)))
      set('memory.swap.max', '0')
      set('memory.oom.group', '1')
    }
    writeFileSync(join(path, 'cgroup.procs'), String(pid))
    return { path, active, remove: () => void attempt(() => rmdirSync(path)) }
  } catch {
    attempt(() => rmdirSync(path))
    return undefined
  }
}

function pidsIn(path: string): number[] {
  return readFileSync(join(path, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean).map(Number)
}

/** Whether these are this process and what it started, directly or not. */
function isAllOurs(pids: readonly number[]): boolean {
  const ours = new Set([process.pid])
  for (const pid of ours) for (const child of childrenOf(pid)) ours.add(child)
  return pids.every((pid) => ours.has(pid))
}

function attempt(what: () => void): boolean {
  try {
    what()
    return true
  } catch {
    return false
  }
}
