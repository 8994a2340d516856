import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { busValue, type Run } from './command.ts'

export interface InputPorts {
  run: Run
  platform: NodeJS.Platform
  env: NodeJS.ProcessEnv
  /** ms since epoch. */
  clock: () => number
  /** Folder of terminals. */
  dev?: string
}

/** Whether there is a bus of the user's session to ask. */
const hasBus = ({ platform, env }: InputPorts): boolean =>
  platform === 'linux' && (env.DBUS_SESSION_BUS_ADDRESS !== undefined || env.XDG_RUNTIME_DIR !== undefined)

/**
 * Time since the last key or pointer input, ms, by whatever can tell: the sign of life that is the latest counts. Works without a display:
 * then terminals tell, over ssh too. Undefined where nothing does.
 */
export async function inputIdle(p: InputPorts): Promise<number | undefined> {
  const asked = await Promise.all([
    ...(hasBus(p) ? [mutterIdle(p)] : []),
    ...(p.platform === 'linux' ? [logindIdle(p)] : []),
    ...(p.env.DISPLAY !== undefined ? [xIdle(p)] : []),
    ...(p.platform === 'darwin' ? [macIdle(p)] : []),
  ])
  const told = [...asked, ...(p.platform === 'win32' ? [] : [terminalIdle(p.clock(), p.dev)])]
  const known = told.filter((ms): ms is number => ms !== undefined && Number.isFinite(ms) && ms >= 0)
  return known.length > 0 ? Math.min(...known) : undefined
}

/** GNOME, on Wayland too. */
async function mutterIdle({ run }: InputPorts): Promise<number | undefined> {
  const name = 'org.gnome.Mutter.IdleMonitor'
  const path = '/org/gnome/Mutter/IdleMonitor/Core'
  const value = busValue(await run('busctl', ['--user', 'call', name, path, name, 'GetIdletime']))
  if (value !== undefined) return Number(value)
  const args = ['call', '--session', '--dest', name, '--object-path', path, '--method', `${name}.GetIdletime`]
  const said = /^\(uint64 (\d+),\)/.exec((await run('gdbus', args)) ?? '')?.[1]
  return said === undefined ? undefined : Number(said)
}

/** systemd-logind: that all sessions are idle, since when. That one is not says nothing: some desktops never report idleness. */
async function logindIdle({ run, clock }: InputPorts): Promise<number | undefined> {
  const manager = ['org.freedesktop.login1', '/org/freedesktop/login1', 'org.freedesktop.login1.Manager']
  const text = await run('busctl', ['--system', 'get-property', ...manager, 'IdleHint', 'IdleSinceHint'])
  const [isIdle, sinceUs] = (text ?? '').split('\n').map(busValue)
  return isIdle === 'true' && Number(sinceUs) > 0 ? clock() - Number(sinceUs) / 1000 : undefined
}

async function xIdle({ run }: InputPorts): Promise<number | undefined> {
  const text = (await run('xprintidle', []))?.trim()
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

async function macIdle({ run }: InputPorts): Promise<number | undefined> {
  const text = await run('ioreg', ['-c', 'IOHIDSystem', '-d', '4', '-r', '-k', 'HIDIdleTime'])
  const ns = /"HIDIdleTime" = (\d+)/.exec(text ?? '')?.[1]
  return ns === undefined ? undefined : Number(ns) / 1e6
}

/** When something was last read from a terminal: the kernel notes it to within eight seconds. */
export function terminalIdle(now: number, dev = '/dev'): number | undefined {
  const files = [...list(join(dev, 'pts'), /^\d+$/).map((name) => join('pts', name)), ...list(dev, /^tty\d+$/)]
  let latest: number | undefined
  for (const file of files) {
    const { atimeMs, isTerminal } = lookAt(join(dev, file))
    if (isTerminal && atimeMs <= now) latest = Math.max(latest ?? 0, atimeMs)
  }
  return latest === undefined ? undefined : now - latest
}

function lookAt(file: string): { atimeMs: number; isTerminal: boolean } {
  try {
    const stat = statSync(file)
    return { atimeMs: stat.atimeMs, isTerminal: !stat.isDirectory() }
  } catch {
    return { atimeMs: 0, isTerminal: false }
  }
}

function list(folder: string, name: RegExp): string[] {
  try {
    return readdirSync(folder)
      .filter((entry) => name.test(entry))
      .slice(0, 500)
  } catch {
    return []
  }
}
