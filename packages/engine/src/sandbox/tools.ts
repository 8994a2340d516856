import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/** Programs of the system that keep a process apart; absent what is not installed. */
export interface Tools {
  bwrap?: string | undefined
  unshare?: string | undefined
  setpriv?: string | undefined
  prlimit?: string | undefined
  chrt?: string | undefined
}

const NAMES = ['bwrap', 'unshare', 'setpriv', 'prlimit', 'chrt'] as const
const USUAL = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']

/** Looks for them on the path. */
export function findTools(path = process.env.PATH ?? ''): Tools {
  const folders = [...path.split(delimiter).filter(isAbsolute), ...USUAL]
  return Object.fromEntries(
    NAMES.map((name) => [name, folders.map((folder) => join(folder, name)).find(isExecutable)]),
  ) as Tools
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
