import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { readProc } from './proc-file.ts'

/** The kernel's unit of CPU time towards programs, ms: 100 Hz on every Linux that Node runs on (proc(5)). */
const TICK_MS = 10
const PAGE_BYTES = 4096
/** Processes of one look, at most: a tree that is deeper or wider is not followed further. */
const MAX_PROCESSES = 2_000
/** Children of threads other than the main one (workers that spawn), and the slow way without `children` files: looked for so often. */
const FULL_LOOK_MS = 5_000
const SCAN_MS = 1_000

/** What `/proc/PID/stat` says of a process. */
export interface ProcessStat {
  parent: number
  /** CPU time of the process itself, ms. */
  ownMs: number
  /** CPU time of children that ended and were waited for, with theirs, ms. */
  endedMs: number
  rssBytes: number
  /** Its main thread runs or waits for a CPU. */
  isRunnable: boolean
}

/** What a look at process trees found. */
export interface TreeLook {
  /** CPU time that the trees took since the clock began, ms: never falls. */
  cpuMs: number
  /** Memory of all processes below the roots of the first list, without the roots. */
  rssBytes: number
  runnable: number
}

/** Parses `/proc/PID/stat`; the name in parentheses may hold anything, so fields count from the last parenthesis (proc(5)). */
export function parseStat(text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [parent, user, system, endedUser, endedSystem, pages] = [1, 11, 12, 13, 14, 21].map((i) => Number(fields[i]))
  if (![parent, user, system, endedUser, endedSystem, pages].every((n) => Number.isFinite(n))) return undefined
  return {
    parent: parent!,
    ownMs: (user! + system!) * TICK_MS,
    endedMs: (endedUser! + endedSystem!) * TICK_MS,
    rssBytes: pages! * PAGE_BYTES,
    isRunnable: fields[0] === 'R',
  }
}

/**
 * A clock of the CPU time of process trees (Linux). A child that ends hands its time to its parent's account of ended children: what was
 * counted of it already is taken off, so that the end of a child looks neither like new work nor like a gap. Trees that are met for the
 * first time count from then on.
 */
export function treeClock(
  proc = '/proc',
): (mine: readonly number[], others: readonly number[], at: number) => TreeLook | undefined {
  let known = new Map<number, ProcessStat>()
  let knownRoots = new Set<number>()
  let cpuMs = 0
  let extra = new Map<number, number[]>()
  let fullAt = Number.NEGATIVE_INFINITY
  /** Whether the kernel lists children (CONFIG_PROC_CHILDREN): nearly all do. */
  let hasFiles: boolean | undefined

  const statOf = (pid: number): ProcessStat | undefined => {
    const text = readProc(join(proc, String(pid), 'stat'))
    return text === undefined ? undefined : parseStat(text)
  }

  return (mine, others, at) => {
    const roots = [...mine, ...others]
    const now = new Map<number, ProcessStat>()
    const fresh = new Set<number>()
    hasFiles ??= roots.some((pid) => readProc(childrenFile(proc, pid, pid)) !== undefined)
    const isFull = at - fullAt >= (hasFiles ? FULL_LOOK_MS : SCAN_MS) || at < fullAt
    if (isFull) fullAt = at
    if (isFull) extra = hasFiles ? new Map() : scan(proc)

    const visit = (pid: number, isFresh: boolean): void => {
      if (now.has(pid) || now.size >= MAX_PROCESSES) return
      const stat = statOf(pid)
      if (!stat) return
      now.set(pid, stat)
      if (isFresh && !known.has(pid)) fresh.add(pid)
      if (hasFiles) {
        const main = childrenOf(childrenFile(proc, pid, pid))
        if (isFull) extra.set(pid, byThreads(proc, pid))
        for (const child of main) visit(child, isFresh)
      }
      for (const child of extra.get(pid) ?? []) visit(child, isFresh)
    }
    for (const root of mine) visit(root, !knownRoots.has(root))
    let rssBytes = 0
    for (const [pid, stat] of now) if (!mine.includes(pid)) rssBytes += stat.rssBytes
    for (const root of others) visit(root, !knownRoots.has(root))
    if (now.size === 0) return undefined

    let own = 0
    let ended = 0
    for (const [pid, stat] of now) {
      const before = known.get(pid)
      if (before) {
        own += Math.max(0, stat.ownMs - before.ownMs)
        ended += Math.max(0, stat.endedMs - before.endedMs)
      } else if (!fresh.has(pid)) own += stat.ownMs + stat.endedMs
    }
    for (const [pid, before] of known) if (!now.has(pid)) ended -= before.ownMs + before.endedMs
    cpuMs += own + Math.max(0, ended)
    known = now
    knownRoots = new Set(roots.filter((root) => now.has(root)))
    const stats = [...now.values()]
    return {
      cpuMs,
      rssBytes,
      runnable: stats.filter((stat) => stat.isRunnable).length,
    }
  }
}

const childrenFile = (proc: string, pid: number, thread: number): string =>
  join(proc, String(pid), 'task', String(thread), 'children')

const childrenOf = (file: string): number[] =>
  (readProc(file) ?? '')
    .split(' ')
    .map(Number)
    .filter((pid) => pid > 0)

/** Children of all threads but the main one. */
function byThreads(proc: string, pid: number): number[] {
  try {
    return readdirSync(join(proc, String(pid), 'task'))
      .filter((thread) => thread !== String(pid))
      .flatMap((thread) => childrenOf(childrenFile(proc, pid, Number(thread))))
  } catch {
    return []
  }
}

/** Children by parent, by a look at every process. */
function scan(proc: string): Map<number, number[]> {
  const children = new Map<number, number[]>()
  try {
    for (const name of readdirSync(proc)) {
      if (!/^\d+$/.test(name)) continue
      const stat = parseStat(readProc(join(proc, name, 'stat')) ?? '')
      if (stat) children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(name)])
    }
  } catch {
    // what was found counts
  }
  return children
}
