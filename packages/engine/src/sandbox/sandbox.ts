import { execFile, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { getuid } from 'node:process'
import type { IsolationView } from '@pingo/wire'
import { codeCache } from '../code-cache.ts'
import { bubblewrap, FILTER_FD, limited, namespaces, type Wrapper } from './command.ts'
import { type Sight, sights } from './files.ts'
import { type SeccompFilter, seccompFilter } from './seccomp.ts'
import { findTools, type Tools } from './tools.ts'

/** A program that does not answer within this much time, milliseconds, does not work here. */
const PROBE_TIMEOUT_MS = 20_000

/** How children are kept apart on this machine. */
export interface Sandbox {
  tier: Exclude<IsolationView['tier'], 'wasm'>
  /** What is active, for people. */
  sentence: string
  /** Comes before the program; absent where nothing can be had. */
  wrapper?: Wrapper | undefined
  /** What is to be written to {@link FILTER_FD}. */
  filter?: Uint8Array | undefined
}

export const BARE: Sandbox = {
  tier: 'process',
  sentence: 'A process of its own, with an empty environment in an empty folder.',
}

let found: Promise<Sandbox> | undefined

/** The best that works here, found once by trying. */
export function sandbox(): Promise<Sandbox> {
  found ??= process.platform === 'linux' ? firstThatWorks(candidates(findTools())) : Promise.resolve(BARE)
  return found
}

/** What might work with these tools, the best first. */
export function candidates(tools: Tools, more: readonly Sight[] = []): Sandbox[] {
  const list: Sandbox[] = []
  const filter = seccompFilter(process.arch)
  const limits = tools.prlimit ? ', no core dumps, no file may grow' : ''
  if (tools.bwrap) {
    const code = codeCache()
    const files = [...sights(process.execPath), { path: code, from: code }, ...more]
    for (const seccomp of filter ? [filter, undefined] : [undefined])
      for (const isOld of [false, true])
        list.push(walled(tools, bubblewrap(tools.bwrap, files, { isFiltered: !!seccomp, isOld }), seccomp))
  }
  if (tools.unshare)
    list.push({
      tier: 'namespaces',
      sentence: `Own user, process, network and IPC namespaces: no network${limits}. The files of this user are not kept from it.`,
      wrapper: limited(tools, namespaces(tools, getuid?.() === 0)),
    })
  const wrapper = limited(tools, undefined)
  if (wrapper)
    list.push({
      ...BARE,
      sentence: `${BARE.sentence.slice(0, -1)}${limits}. Network and files of this user are not kept from it.`,
      wrapper,
    })
  return list
}

const walled = (tools: Tools, wrapper: Wrapper, filter: SeccompFilter | undefined): Sandbox => ({
  tier: filter ? 'sandbox' : 'namespaces',
  sentence:
    'Bubblewrap: own namespaces, no network, no files but the program itself, read-only; no capabilities, no other processes' +
    `${tools.prlimit ? ', no core dumps' : ''}${filter ? `, ${filter.refused} kinds of system calls refused` : ''}.`,
  wrapper: limited(tools, wrapper),
  filter: filter?.bytes,
})

/** Runs Node in each, without a script. */
export async function firstThatWorks(list: readonly Sandbox[]): Promise<Sandbox> {
  for (const candidate of list) if (await works(candidate)) return candidate
  return BARE
}

function works({ wrapper, filter }: Sandbox): Promise<boolean> {
  return new Promise((resolve) => {
    const { file, args } = wrapper!
    const child = spawn(file, [...args, process.execPath, '--version'], {
      env: {},
      stdio: ['ignore', 'pipe', 'ignore', 'ignore', 'ignore', 'ignore', filter ? 'pipe' : 'ignore'],
      timeout: PROBE_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    if (filter) feed(child.stdio, filter)
    let said = ''
    child.stdout!.on('data', (piece: Buffer) => (said += piece.toString('latin1').slice(0, 100)))
    child.once('error', () => resolve(false))
    child.once('close', (code) => resolve(code === 0 && said.trim() === process.version))
  })
}

/** Hands the filter over. */
export function feed(stdio: ArrayLike<unknown>, filter: Uint8Array): void {
  const pipe = stdio[FILTER_FD] as Socket | undefined
  pipe?.on('error', () => {})
  pipe?.end(filter)
  pipe?.resume()
  pipe?.unref()
}

/**
 * Puts all threads of a process into the class that runs only where a CPU would idle (SCHED_IDLE); silent where that cannot be done. Its nice
 * value tells no more then, but a scheduler without the class goes by it.
 */
export function idleClass(pid: number, chrt = findTools().chrt): void {
  if (chrt) execFile(chrt, ['--all-tasks', '--idle', '--pid', '0', String(pid)], { env: {} }, () => {})
}

/**
 * Linux divides the CPU among sessions first where autogroups are on, as they are on most desktops (sched(7)): a nice value, and the idle class too, then count only
 * within a session. So a process that has a session of its own has that made nice as well. Silent where it shares the session of this process,
 * whose other programs are the owner's, and where it cannot be done.
 */
export function niceSession(pid: number, niceness: number, proc = '/proc'): void {
  try {
    const group = (of: string): string => readFileSync(join(proc, of, 'autogroup'), 'latin1').split(' ')[0]!
    if (group(String(pid)) !== group('self')) writeFileSync(join(proc, String(pid), 'autogroup'), String(niceness))
  } catch {
    // no autogroups here
  }
}
