import type { Sight } from './files.ts'
import type { Tools } from './tools.ts'

/** The descriptor by which bubblewrap gets its filter; those below are of the child's protocol. */
export const FILTER_FD = 6
/** Open files that a child may have. */
const MAX_OPEN_FILES = 512

/** A command line that ends where the program to be run begins. */
export interface Wrapper {
  file: string
  args: string[]
}

/**
 * Bubblewrap: own user, process, network, IPC, host-name and cgroup namespaces; a file system of `sights` alone, all of it read-only; no
 * capabilities, no way to namespaces of its own; ends with its parent.
 * @param options `isFiltered`: the bytes of a filter come by {@link FILTER_FD}; `isOld`: before 0.8, which cannot forbid namespaces in it
 */
export function bubblewrap(
  bwrap: string,
  sights: readonly Sight[],
  options: { isFiltered: boolean; isOld: boolean },
): Wrapper {
  const args = ['--unshare-all', '--unshare-user', '--die-with-parent', '--new-session']
  if (!options.isOld) args.push('--disable-userns')
  args.push('--cap-drop', 'ALL', '--hostname', 'pingo')
  for (const sight of sights)
    if ('link' in sight) args.push('--symlink', sight.link, sight.path)
    else args.push('--ro-bind-try', sight.from, sight.path)
  args.push('--dir', '/pingo-empty', '--chdir', '/pingo-empty', '--remount-ro', '/')
  if (options.isFiltered) args.push('--seccomp', String(FILTER_FD))
  return { file: bwrap, args: [...args, '--'] }
}

/** Namespaces alone, by util-linux: no network, no other processes' business; the files stay those of the user. */
export function namespaces({ unshare, setpriv }: Tools, isRoot: boolean): Wrapper {
  const args = [
    '--user',
    '--map-current-user',
    '--net',
    '--ipc',
    '--uts',
    '--pid',
    '--cgroup',
    '--fork',
    '--kill-child',
  ]
  const without = ['--no-new-privs', ...(isRoot ? ['--inh-caps=-all', '--bounding-set=-all'] : [])]
  return { file: unshare!, args: [...args, '--', ...(setpriv ? [setpriv, ...without, '--'] : [])] }
}

/** Limits that every tier may have: no core dumps, nothing written to files, few files open; and an end with the parent. */
export function limited({ prlimit, setpriv }: Tools, wrapper: Wrapper | undefined): Wrapper | undefined {
  const words: string[] = []
  if (prlimit) words.push(prlimit, '--core=0:0', '--fsize=0:0', `--nofile=${MAX_OPEN_FILES}:${MAX_OPEN_FILES}`)
  if (setpriv) words.push(setpriv, '--pdeathsig', 'KILL', '--')
  if (wrapper) words.push(wrapper.file, ...wrapper.args)
  const [file, ...args] = words
  return file === undefined ? undefined : { file, args }
}
