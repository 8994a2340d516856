import { lstat, opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { checkKey } from './path-names.ts'

/** Folders within folders. */
const MAX_DEPTH = 100

/** What a folder holds, in a stable order: a file, an empty folder, or something that is not stored. */
export type Found =
  | { kind: 'file'; path: string; name: string; bytes: number; stamp: string }
  | { kind: 'folder'; path: string; name: string }
  | { kind: 'skipped'; path: string; name: string; why: string }

/** A file or folder, with the key that it gets. */
export interface LocalFile {
  isFolder: boolean
  bytes: number
  stamp: string
}

/** Looks at what a person named; a link is followed here, and only here. @throws PinGoError FILE_NOT_FOUND, FILE_UNREADABLE */
export async function look(path: string): Promise<LocalFile> {
  const info = await stat(path, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')
      throw new PinGoError('FILE_NOT_FOUND', `There is nothing at ${path}.`, { hint: 'Check the path.', cause })
    throw new PinGoError('FILE_UNREADABLE', `${path} cannot be read (${cause.code}).`, { cause })
  })
  if (!info.isFile() && !info.isDirectory())
    throw new PinGoError('FILE_UNREADABLE', `${path} is neither a file nor a folder.`, {
      hint: 'What a program writes is stored from a pipe: `… | pingo store put - --name NAME`.',
    })
  return { isFolder: info.isDirectory(), bytes: Number(info.size), stamp: stampOf(info) }
}

/**
 * All below a folder, parents before what they hold, by name. Symbolic links, sockets, pipes and devices are told as skipped: nothing
 * outside the folder is ever read. What cannot be read is told too and ends nothing.
 * @param name of the folder, which all names begin with
 */
export async function* walkFolder(folder: string, name: string, depth = 1): AsyncGenerator<Found> {
  const names: string[] = []
  try {
    for await (const { name } of await opendir(folder)) names.push(name)
  } catch (error) {
    yield { kind: 'skipped', path: folder, name, why: reason(error) }
    return
  }
  if (names.length === 0) yield { kind: 'folder', path: folder, name: `${name}/` }
  if (depth > MAX_DEPTH) {
    yield { kind: 'skipped', path: folder, name, why: `more than ${MAX_DEPTH} folders lie within each other` }
    return
  }
  names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const each of names) {
    const [path, key] = [join(folder, each), `${name}/${each}`]
    try {
      checkKey(key)
      const info = await lstat(path, { bigint: true })
      if (info.isSymbolicLink()) yield { kind: 'skipped', path, name: key, why: 'it is a symbolic link' }
      else if (info.isDirectory()) yield* walkFolder(path, key, depth + 1)
      else if (info.isFile()) yield { kind: 'file', path, name: key, bytes: Number(info.size), stamp: stampOf(info) }
      else yield { kind: 'skipped', path, name: key, why: 'it is not a regular file' }
    } catch (error) {
      yield { kind: 'skipped', path, name: key, why: reason(error) }
    }
  }
}

/** Changes when the file does, as far as the file system tells. */
const stampOf = (info: { size: bigint; mtimeNs: bigint; ino: bigint }) => `${info.size}:${info.mtimeNs}:${info.ino}`

const REASONS: Record<string, string> = {
  EACCES: 'you may not read it',
  EPERM: 'you may not read it',
  ENOENT: 'it is gone',
  EIO: 'the disk fails to read it',
}
export const reason = (error: unknown): string => {
  const { code = '', message } = error as NodeJS.ErrnoException
  return REASONS[code] ?? message.replace(/\.$/, '')
}
