import { dirname, join } from 'node:path'
import { readProc } from './proc-file.ts'

/** Limits above this are none: cgroup v1 says 'no limit' as the largest number of pages. */
const NO_LIMIT_BYTES = 2 ** 60
/** Levels from a process's cgroup up to the root, at most. */
const MAX_DEPTH = 32

/** What the cgroups of this process limit it to, the tightest level of each. */
export interface Cgroup {
  /** Cores by the CPU quota; undefined without one. */
  quotaCores?: number | undefined
  /** CPU time that all in the limited cgroup took, ms. */
  usedCpuMs?(): number | undefined
  memoryLimitBytes?: number | undefined
  /** Memory in use below the limit that cannot be given back at once. */
  usedMemoryBytes?(): number | undefined
}

export interface CgroupPaths {
  proc?: string
  /** Where cgroups are mounted. */
  cgroups?: string
}

/**
 * Finds the limits of cgroups v1 and v2 that hold for this process: its own level and all above it, as far as they are seen (in a
 * container the path of the host is often not: then the mount itself is the container's level). Never throws.
 */
export function readCgroup({ proc = '/proc', cgroups = '/sys/fs/cgroup' }: CgroupPaths = {}): Cgroup {
  const paths = new Map<string, string>()
  for (const line of (readProc(join(proc, 'self', 'cgroup')) ?? '').split('\n').slice(0, 64)) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path !== undefined) for (const controller of controllers!.split(',')) paths.set(controller, path)
  }
  const found: Cgroup = {}
  const cpu = (quotaCores: number, usedCpuMs: () => number | undefined): void => {
    if (quotaCores > 0 && quotaCores < (found.quotaCores ?? Number.POSITIVE_INFINITY))
      Object.assign(found, { quotaCores, usedCpuMs })
  }
  const memory = (memoryLimitBytes: number, usedMemoryBytes: () => number | undefined): void => {
    if (memoryLimitBytes > 0 && memoryLimitBytes < (found.memoryLimitBytes ?? NO_LIMIT_BYTES))
      Object.assign(found, { memoryLimitBytes, usedMemoryBytes })
  }
  const unified = paths.get('')
  if (unified !== undefined)
    for (const mount of [cgroups, join(cgroups, 'unified')])
      for (const folder of levels(mount, unified)) {
        const [quota, period] = (readProc(join(folder, 'cpu.max')) ?? '').trim().split(' ').map(Number)
        cpu(quota! / period!, () => scaled(field(join(folder, 'cpu.stat'), 'usage_usec'), 1e-3))
        memory(number(join(folder, 'memory.max')) ?? 0, () => used(folder, 'memory.current', 'inactive_file'))
      }
  for (const mount of ['cpu', 'cpu,cpuacct'])
    for (const folder of levels(join(cgroups, mount), paths.get('cpu'))) {
      const quota = number(join(folder, 'cpu.cfs_quota_us')) ?? 0
      const period = number(join(folder, 'cpu.cfs_period_us')) ?? 0
      const account = folder.replace(join(cgroups, mount), join(cgroups, 'cpuacct'))
      cpu(quota / period, () =>
        scaled(number(join(folder, 'cpuacct.usage')) ?? number(join(account, 'cpuacct.usage')), 1e-6),
      )
    }
  for (const folder of levels(join(cgroups, 'memory'), paths.get('memory')))
    memory(number(join(folder, 'memory.limit_in_bytes')) ?? 0, () =>
      used(folder, 'memory.usage_in_bytes', 'total_inactive_file'),
    )
  return found
}

/** Folders of a cgroup and those above it, down from the mount: in a container only the mount may be there. */
function levels(mount: string, path: string | undefined): string[] {
  if (path === undefined || path.split('/').includes('..')) return []
  const folders = [mount]
  for (
    let folder = join(mount, path), i = 0;
    folder.length > mount.length && i < MAX_DEPTH;
    folder = dirname(folder), i++
  )
    folders.push(folder)
  return folders
}

/** Memory that is in use and not just the cache of files, which goes when it is needed. */
function used(folder: string, file: string, cached: string): number | undefined {
  const bytes = number(join(folder, file))
  return bytes === undefined ? undefined : Math.max(0, bytes - (field(join(folder, 'memory.stat'), cached) ?? 0))
}

const scaled = (value: number | undefined, factor: number): number | undefined =>
  value === undefined ? undefined : value * factor

function field(file: string, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(readProc(file) ?? '')?.[1]
  return value === undefined ? undefined : Number(value)
}

function number(file: string): number | undefined {
  const text = readProc(file)?.trim()
  const value = Number(text)
  return text && Number.isFinite(value) ? value : undefined
}
