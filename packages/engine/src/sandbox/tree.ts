import { readdirSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** The last in a line of processes that each started the next: the program in its wrappers. Without /proc, the process itself. */
export function innermost(pid: number): number {
  for (;;) {
    const [child] = childrenOf(pid)
    if (child === undefined) return pid
    pid = child
  }
}

/** Processes that a process has started and that live; reads the whole of /proc where the kernel keeps no such list. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    )
  } catch {
    return numbersIn('/proc').filter((other) => parentOf(other) === pid)
  }
}

/** Sets the nice value of all threads of a process: Linux has one for each. Silent where it is forbidden. */
export function reniceAll(pid: number, niceness: number): void {
  const tasks = process.platform === 'linux' ? numbersIn(`/proc/${pid}/task`) : []
  for (const task of tasks.length > 0 ? tasks : [pid])
    try {
      setPriority(task, niceness)
    } catch {
      // A thread that ended, or a system that forbids it; the engine works all the same.
    }
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

function numbersIn(folder: string): number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}
