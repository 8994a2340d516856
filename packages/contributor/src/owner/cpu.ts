import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import { join } from 'node:path'
import { type Cgroup, type CgroupPaths, readCgroup } from './cgroup.ts'
import { readProc } from './proc-file.ts'
import { treeClock } from './process-tree.ts'
import type { Readings } from './verdict.ts'

/** Quotas and the set of usable CPUs change seldom. */
const LIMITS_MS = 10_000
/** Two looks closer than this measure nothing: the kernel counts CPU time in steps of 10 ms. */
const LEAST_INTERVAL_MS = 40

export interface LoadPorts extends CgroupPaths {
  /** Milliseconds that only go forward. */
  monotonic?: () => number
  /** Root processes of this contributor's own trees. */
  own: () => readonly number[]
  /** Other nodes of PinGo on this machine. */
  nodes?: () => readonly number[]
  /** CPU time of PinGo's own processes, ms, where there is no /proc to read it from. */
  ownCpuMs?: () => number
  /** CPUs that this process may use. */
  parallelism?: () => number
}

/** What the quick sensors say: everything of `Readings` that may be read several times a second. */
export type Load = Pick<
  Readings,
  | 'capacityCores'
  | 'othersCores'
  | 'ownCores'
  | 'waiting'
  | 'pressure'
  | 'freeMemoryBytes'
  | 'totalMemoryBytes'
  | 'ownMemoryBytes'
  | 'memoryPressure'
>

/**
 * CPU load of everything that is not PinGo's, and memory. On Linux from /proc: busy time of the usable CPUs (with niced time: other
 * people's nice programs are the owner's too) less that of PinGo's process trees. Under a CPU quota the quota is the capacity, and the
 * cgroup's own use is what counts. Elsewhere from `os.cpus()`. The first look has no CPU figures: they need two.
 */
export function loadSensor(ports: LoadPorts): () => Load {
  const proc = ports.proc ?? '/proc'
  const monotonic = ports.monotonic ?? (() => performance.now())
  const parallelism = ports.parallelism ?? availableParallelism
  const tree = treeClock(proc)
  let limits: { at: number; cgroup: Cgroup; allowed: Set<number> | undefined } | undefined
  let last:
    | { at: number; source: string; busyMs: number; ownMs: number; stallUs?: number; memoryStallUs?: number }
    | undefined
  let rates: Partial<Load> = {}

  return () => {
    const at = monotonic()
    if (!limits || at - limits.at >= LIMITS_MS)
      limits = { at, cgroup: readCgroup(ports), allowed: allowedCpus(readProc(join(proc, 'self', 'status'))) }
    const { cgroup, allowed } = limits
    const capacityCores = Math.min(parallelism(), cgroup.quotaCores ?? Number.POSITIVE_INFINITY)

    const quotaMs = cgroup.usedCpuMs?.()
    const statMs = quotaMs === undefined ? busyOf(readProc(join(proc, 'stat')), allowed) : undefined
    const busyMs = quotaMs ?? statMs ?? busyOfOs()
    const look = tree(ports.own(), ports.nodes?.() ?? [], at)
    const ownMs = look?.cpuMs ?? ports.ownCpuMs?.() ?? processMs()
    const source = `${quotaMs !== undefined ? 'quota' : statMs !== undefined ? 'stat' : 'os'} ${look ? 'tree' : 'process'}`
    const stallUs = stall(readProc(join(proc, 'pressure', 'cpu')))
    const memoryStallUs = stall(readProc(join(proc, 'pressure', 'memory')))
    const elapsed = last ? at - last.at : 0
    if (last && last.source === source && elapsed >= LEAST_INTERVAL_MS && busyMs !== undefined) {
      const ownCores = Math.max(0, ownMs - last.ownMs) / elapsed
      const busyCores = Math.min(capacityCores, Math.max(0, busyMs - last.busyMs) / elapsed)
      rates = {
        ownCores,
        othersCores: Math.max(0, busyCores - ownCores),
        pressure: share(stallUs, last.stallUs, elapsed),
        memoryPressure: share(memoryStallUs, last.memoryStallUs, elapsed),
      }
    }
    if (busyMs === undefined) rates = {}
    if (!last || last.source !== source || elapsed >= LEAST_INTERVAL_MS)
      last = { at, source, busyMs: busyMs ?? 0, ownMs, stallUs, memoryStallUs }
    return {
      capacityCores,
      ...rates,
      waiting: waiting(readProc(join(proc, 'loadavg')), look?.runnable ?? 0, rates.ownCores ?? 0, capacityCores),
      ownMemoryBytes: look?.rssBytes,
      ...memory(readProc(join(proc, 'meminfo')), cgroup),
    }
  }
}

/** Busy time of the CPUs of `/proc/stat`, ms: all but idle, waiting for disks, and time stolen by the host (proc(5)). */
export function busyOf(text: string | undefined, allowed?: Set<number>): number | undefined {
  if (text === undefined) return undefined
  let ticks = 0
  let lines = 0
  // the lines of CPUs come first; what follows may be very long
  for (const line of text.slice(0, text.indexOf('\nintr')).split('\n')) {
    const [name, ...fields] = line.trim().split(/\s+/)
    const index = /^cpu(\d+)$/.exec(name ?? '')?.[1]
    if (index === undefined || (allowed && !allowed.has(Number(index)))) continue
    const [user, nice, system, , , irq, softirq] = fields.map(Number)
    ticks += user! + nice! + system! + (irq ?? 0) + (softirq ?? 0)
    lines += 1
  }
  return lines > 0 && Number.isFinite(ticks) ? ticks * 10 : undefined
}

function busyOfOs(): number | undefined {
  const all = cpus()
  if (all.length === 0) return undefined
  return all.reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0)
}

const processMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** CPUs that this process may run on: `Cpus_allowed_list` ('0-3,8'), undefined when it is not said. */
export function allowedCpus(status: string | undefined): Set<number> | undefined {
  const list = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(status ?? '')?.[1]
  if (list === undefined) return undefined
  const allowed = new Set<number>()
  for (const part of list.split(',')) {
    const [from, to = from] = part.split('-').map(Number)
    for (let cpu = from!; cpu <= to! && allowed.size < 8_192; cpu++) allowed.add(cpu)
  }
  return allowed.size > 0 ? allowed : undefined
}

/** Microseconds for which something waited, since the start (PSI, `some`). */
export const stall = (text: string | undefined): number | undefined => {
  const total = /^some .*total=(\d+)/m.exec(text ?? '')?.[1]
  return total === undefined ? undefined : Number(total)
}

const share = (now: number | undefined, before: number | undefined, elapsedMs: number): number | undefined =>
  now === undefined || before === undefined ? undefined : Math.min(1, Math.max(0, (now - before) / 1000 / elapsedMs))

/** Tasks that wait and may be the owner's: runnable ones beyond the CPUs, at most those that are not PinGo's. One is this look itself. */
function waiting(
  loadavg: string | undefined,
  runnable: number,
  ownCores: number,
  capacityCores: number,
): number | undefined {
  const running = /^\S+ \S+ \S+ (\d+)\//.exec(loadavg ?? '')?.[1]
  if (running === undefined) return undefined
  const others = Number(running) - Math.max(1, runnable, Math.floor(ownCores))
  return Math.max(0, Math.min(others, Number(running) - Math.ceil(capacityCores)))
}

function memory(meminfo: string | undefined, cgroup: Cgroup): Pick<Load, 'freeMemoryBytes' | 'totalMemoryBytes'> {
  const kib = (name: string): number | undefined => {
    const value = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo ?? '')?.[1]
    return value === undefined ? undefined : Number(value) * 1024
  }
  const total = kib('MemTotal') ?? totalmem()
  const free = kib('MemAvailable') ?? freemem()
  const limit = cgroup.memoryLimitBytes
  if (limit === undefined || limit >= total) return { freeMemoryBytes: free, totalMemoryBytes: total }
  const below = limit - (cgroup.usedMemoryBytes?.() ?? limit - free)
  return { freeMemoryBytes: Math.max(0, Math.min(free, below)), totalMemoryBytes: limit }
}
