import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, win32 } from 'node:path'
import { busValue, type Run } from './command.ts'

export interface ProgramPorts {
  run: Run
  platform: NodeJS.Platform
  proc?: string
}

/** Processes of one look, at most. */
const MAX_PROCESSES = 20_000
/** Of a command line only the program's name is read. */
const plain = (name: string): string =>
  win32
    .basename(basename(name.trim()))
    .toLowerCase()
    .replace(/\.exe$/, '')

/** Of some names of programs one that runs; processes in `except` are not meant. */
export async function runningApplication(
  wanted: readonly string[],
  { run, platform, proc = '/proc' }: ProgramPorts,
  except: readonly number[] = [],
): Promise<string | undefined> {
  if (wanted.length === 0) return undefined
  const byName = new Map(wanted.map((name) => [plain(name), name]))
  const names = platform === 'linux' ? linuxNames(proc, except) : await listed(run, platform)
  for (const name of names) {
    const found = byName.get(plain(name))
    if (found !== undefined) return found
  }
  return undefined
}

/** The kernel's short name and the first word of the command line, of each process. */
function* linuxNames(proc: string, except: readonly number[]): Generator<string> {
  let pids: string[] = []
  try {
    pids = readdirSync(proc).filter((name) => /^\d+$/.test(name) && !except.includes(Number(name)))
  } catch {
    // no processes are seen
  }
  for (const pid of pids.slice(0, MAX_PROCESSES)) {
    const short = read(join(proc, pid, 'comm'))
    if (short !== undefined) yield short
    const line = read(join(proc, pid, 'cmdline'))
    if (line) yield line.slice(0, line.indexOf('\0') < 0 ? undefined : line.indexOf('\0'))
  }
}

async function listed(run: Run, platform: NodeJS.Platform): Promise<string[]> {
  if (platform === 'win32')
    return ((await run('tasklist', ['/fo', 'csv', '/nh'])) ?? '')
      .split('\n')
      .map((line) => /^"([^"]+)"/.exec(line)?.[1] ?? '')
  return ((await run('ps', ['-axo', 'comm='])) ?? '').split('\n')
}

/** Whether the network is paid by volume, as NetworkManager says or guesses (Linux); undefined where nobody knows. */
export async function metered({ run, platform }: ProgramPorts): Promise<boolean | undefined> {
  if (platform !== 'linux') return undefined
  const name = 'org.freedesktop.NetworkManager'
  const args = ['--system', 'get-property', name, '/org/freedesktop/NetworkManager', name, 'Metered']
  // NM_METERED_YES 1, NO 2, GUESS_YES 3, GUESS_NO 4
  const value = Number(busValue(await run('busctl', args)) ?? 0)
  if (value >= 1 && value <= 4) return value % 2 === 1
  const said = /^GENERAL\.METERED:(yes|no)/m.exec(
    (await run('nmcli', ['-t', '-f', 'GENERAL.METERED', 'device', 'show'])) ?? '',
  )
  return said ? said[1] === 'yes' : undefined
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return undefined
  }
}
