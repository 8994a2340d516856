import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** What is to be seen in a sandbox, at its own place: a file or folder, read-only, or a link. */
export type Sight = { path: string; from: string } | { path: string; link: string }

/** Folders of shared libraries. Where they are links, as /lib is to usr/lib, the links are to be seen. */
const LIBRARIES = [
  '/usr/lib',
  '/usr/lib64',
  '/usr/lib32',
  '/usr/local/lib',
  '/lib',
  '/lib64',
  '/nix/store',
  '/gnu/store',
]
/** How the loader finds them, and what the runtime asks about the processor. None holds anything of the user's. */
const LOADER = ['/etc/ld.so.cache', '/etc/ld-musl-x86_64.path', '/etc/ld-musl-aarch64.path']
const PROCESSOR = ['/sys/devices/system/cpu', '/proc/cpuinfo', '/proc/meminfo']
/** What the child loads, beside this package. */
const PACKAGES = ['@pingo/graph', 'onnxruntime-common', 'onnxruntime-node', 'onnxruntime-web']

/** All that the child needs to see: Node, the system's libraries, this package's sources and the runtime. */
export function sights(node: string, own = new URL('..', import.meta.url).pathname): Sight[] {
  const system = [...LIBRARIES, ...LOADER, ...PROCESSOR].flatMap((path) => seen(path))
  const real = realpathSync(node)
  const program =
    real === node
      ? [{ path: node, from: real }]
      : [
          { path: node, from: real },
          { path: real, from: real },
        ]
  const source = own.replace(/\/$/, '')
  const manifest = join(dirname(source), 'package.json')
  const search = createRequire(join(source, 'index.ts'))
  const packages = PACKAGES.flatMap((name) => {
    const folders = search.resolve.paths(name) ?? []
    const found = folders.map((folder) => join(folder, name)).find((folder) => existsSync(join(folder, 'package.json')))
    return found ? seen(found) : []
  })
  const all = [...system, ...program, { path: source, from: source }, { path: manifest, from: manifest }, ...packages]
  // What lies in a folder that is seen anyway is there already.
  return all.filter(({ path }, i) => !all.slice(0, i).some((other) => 'from' in other && isWithin(path, other.path)))
}

const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)

/** A path as it is: a link with what it leads to, or the thing itself. */
function seen(path: string): Sight[] {
  try {
    if (!lstatSync(path).isSymbolicLink()) return [{ path, from: path }]
    const real = realpathSync(path)
    const isListed = LIBRARIES.some((folder) => isWithin(real, folder))
    return [{ path, link: readlinkSync(path) }, ...(isListed ? [] : [{ path: real, from: real }])]
  } catch {
    return []
  }
}
