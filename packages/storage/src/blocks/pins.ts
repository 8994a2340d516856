import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { diskError, isCode } from './disk.ts'
import { type CidLike, toCid } from './key.ts'

const MAX_KIND = 200
/** Lines beyond which the journal is written anew when most of them are of pins that ended. */
const COMPACT_LINES = 20_000
const COMPACT_FACTOR = 4

export interface Pin {
  root: string
  kind: string
}

/**
 * What must stay, as a journal of lines `+ kind root` and `- kind root`, synced before a pin counts. It is kept apart from the
 * index, because nothing else could tell what it says. A line that a crash cut off is dropped.
 */
export class Pins {
  readonly #file: string
  readonly #kinds = new Map<string, Set<string>>()
  #handle: number
  #lines = 0
  #live = 0

  /** Reads the journal, and writes it anew without what was unpinned. */
  constructor(file: string) {
    this.#file = file
    for (const line of readLines(file)) {
      const [sign, kind, root] = line.split(' ')
      if (!kind || !root) continue
      if (sign === '+') this.#set(decodeURIComponent(kind), root)
      else if (sign === '-') this.#unset(decodeURIComponent(kind), root)
    }
    this.#handle = this.#rewrite()
  }

  add(root: CidLike, kind: string): void {
    const text = toCid(root).toString()
    if (!kind || kind.length > MAX_KIND)
      throw new PinGoError('PIN_INVALID', `A pin's kind has 1 to ${MAX_KIND} characters.`)
    if (this.#kinds.get(kind)?.has(text)) return
    this.#append('+', kind, [text])
    fdatasyncSync(this.#handle)
    this.#set(kind, text)
  }

  remove(root: CidLike, kind: string | undefined): void {
    const text = toCid(root).toString()
    for (const [name, roots] of this.#kinds)
      if ((kind === undefined || name === kind) && roots.has(text)) {
        this.#append('-', name, [text])
        this.#unset(name, text)
      }
  }

  removeAll(kind: string): void {
    const roots = [...(this.#kinds.get(kind) ?? [])]
    this.#append('-', kind, roots)
    this.#live -= roots.length
    this.#kinds.delete(kind)
  }

  *list(): Generator<Pin> {
    for (const [kind, roots] of this.#kinds) for (const root of roots) yield { root, kind }
  }

  close(): void {
    closeSync(this.#handle)
  }

  #append(sign: '+' | '-', kind: string, roots: string[]): void {
    if (roots.length === 0) return
    try {
      if (this.#lines > Math.max(COMPACT_LINES, COMPACT_FACTOR * this.#live)) {
        const before = this.#handle
        this.#handle = this.#rewrite()
        closeSync(before)
      }
      writeSync(this.#handle, roots.map((root) => line(sign, kind, root)).join(''))
      this.#lines += roots.length
    } catch (error) {
      throw diskError(error, dirname(this.#file))
    }
  }

  #rewrite(): number {
    const temporary = `${this.#file}.new`
    const handle = openSync(temporary, 'w', 0o600)
    const pins = [...this.list()]
    writeSync(handle, pins.map(({ root, kind }) => line('+', kind, root)).join(''))
    fsyncSync(handle)
    renameSync(temporary, this.#file)
    syncFolder(dirname(this.#file))
    this.#lines = this.#live = pins.length
    return handle
  }

  #set(kind: string, root: string): void {
    const roots = this.#kinds.get(kind) ?? new Set()
    if (!roots.has(root)) this.#live += 1
    this.#kinds.set(kind, roots.add(root))
  }

  #unset(kind: string, root: string): void {
    const roots = this.#kinds.get(kind)
    if (roots?.delete(root)) this.#live -= 1
    if (roots?.size === 0) this.#kinds.delete(kind)
  }
}

/** Makes a rename durable. Windows has no such call, and its file system needs none. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, 'r')
  fsyncSync(handle)
  closeSync(handle)
}

const line = (sign: string, kind: string, root: string) => `${sign} ${encodeURIComponent(kind)} ${root}\n`

function readLines(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8').split('\n')
    lines.pop() // what follows the last line end was cut off
    return lines
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
}
