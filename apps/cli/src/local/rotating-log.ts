import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'

const MAX_BYTES = 2 << 20
const FILES = 5

/** A log that never takes more than 10 MB: `name.log`, and older ones as `name.1.log` … `name.4.log`. */
export class RotatingLog {
  readonly #folder: string
  readonly #name: string
  readonly #maxBytes: number
  #file: number
  #bytes: number

  constructor(folder: string, name: string, maxBytes = MAX_BYTES) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.#folder = folder
    this.#name = name
    this.#maxBytes = maxBytes
    this.#file = openSync(this.#path(0), 'a', 0o600)
    this.#bytes = fstatSync(this.#file).size
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    try {
      if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) this.#rotate()
      writeSync(this.#file, line)
      this.#bytes += bytes
    } catch {
      // a full disk must not end the contributor
    }
  }

  close(): void {
    closeSync(this.#file)
  }

  #rotate(): void {
    closeSync(this.#file)
    rmSync(this.#path(FILES - 1), { force: true })
    for (let n = FILES - 2; n >= 0; n--) {
      try {
        renameSync(this.#path(n), this.#path(n + 1))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    this.#file = openSync(this.#path(0), 'a', 0o600)
    this.#bytes = 0
  }

  #path(n: number): string {
    return join(this.#folder, n === 0 ? `${this.#name}.log` : `${this.#name}.${n}.log`)
  }
}

/** What happens goes to a log in the home; on stderr too when verbose. */
export function createFileLogger(folder: string, name: string, verbose = false): Logger {
  const file = new RotatingLog(folder, name)
  const write = (line: string) => {
    file.write(line)
    if (verbose) process.stderr.write(line)
  }
  return pino({ level: 'info', base: undefined }, { write })
}
