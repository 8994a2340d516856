import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** True where {@link residentBytesNow} works: /proc is read without starting a program. */
export const hasProc = process.platform === 'linux'

/** Resident memory of a process in bytes, from /proc; undefined when the process is gone. */
export function residentBytesNow(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}

/** Resident memory of a process in bytes on any system (`ps` on macOS, `tasklist` on Windows); undefined when it is gone. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  if (hasProc) return residentBytesNow(pid)
  try {
    if (process.platform === 'win32') {
      const { stdout } = await run('tasklist', ['/FI', `PID eq ${pid}`, '/FO', 'CSV', '/NH'], { windowsHide: true })
      const cell = /"([^"]*)"\s*$/.exec(stdout.trim())?.[1]?.replace(/\D/g, '')
      return cell ? Number(cell) * 1024 : undefined
    }
    const { stdout } = await run('ps', ['-o', 'rss=', '-p', String(pid)])
    return Number(stdout.trim()) * 1024
  } catch {
    return undefined
  }
}

/** Linux counts a process's CPU time in ticks of this many milliseconds (USER_HZ is 100 wherever Node runs). */
const TICK_MS = 10

/** CPU time of a process and of children that it has waited for, milliseconds; undefined when it is gone, or where there is no /proc. */
export function processorMs(pid: number): number | undefined {
  if (!hasProc) return undefined
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name of the program, which may hold spaces, is in brackets; utime, stime, cutime and cstime are fields 14 to 17 (proc_pid_stat(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    return Number.isFinite(ticks) ? ticks * TICK_MS : undefined
  } catch {
    return undefined
  }
}
