import { readdirSync, readFileSync } from 'node:fs'

/** Linux's clock ticks are hundredths of a second, whatever the kernel's own rate is. */
const TICK_MS = 10

/** The processes of a tree, its root first; those that end meanwhile are left out. Linux alone. */
export function processTree(root: number): number[] {
  const all: number[] = []
  const visit = (pid: number): void => {
    all.push(pid)
    for (const thread of listOf(`/proc/${pid}/task`))
      for (const child of textOf(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean))
        visit(Number(child))
  }
  visit(root)
  return all
}

/** CPU time of a tree so far, children that ended and were waited for included, ms. It falls when a process ends that nobody waits for. */
export function cpuMsOf(root: number): number {
  return sum(processTree(root), (pid) => {
    const fields = statOf(pid)
    // utime, stime, cutime, cstime
    return TICK_MS * [11, 12, 13, 14].reduce((total, i) => total + Number(fields[i] ?? 0), 0)
  })
}

/** Resident memory of a tree, bytes: pages that processes share are counted for each. */
export const rssOf = (root: number): number =>
  sum(processTree(root), (pid) => 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0))

/** Fields of a process after its name, which is in brackets and may hold anything. */
function statOf(pid: number): string[] {
  const text = textOf(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function listOf(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

const sum = (pids: readonly number[], of: (pid: number) => number): number =>
  pids.reduce((total, pid) => total + of(pid), 0)
