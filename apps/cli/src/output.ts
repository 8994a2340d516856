import { isPinGoError, PinGoError } from '@pingo/wire'
import pc from 'picocolors'
import { EXIT, Exit } from './exit.ts'

/** Paints text, or leaves it as it is. */
export type Colours = ReturnType<typeof pc.createColors>

/** Where a command's words go: results on stdout (with --json nothing else), all the rest on stderr. */
export class Output {
  readonly json: boolean
  /** Colours, when they are wanted where people read. */
  readonly colour: Colours

  constructor(o: { json?: boolean } = {}) {
    this.json = o.json ?? false
    this.colour = pc.createColors(pc.isColorSupported && (this.json ? process.stderr : process.stdout).isTTY === true)
  }

  /** Whether a view may be redrawn in place. */
  get live(): boolean {
    return !this.json && process.stdout.isTTY === true && process.env.TERM !== 'dumb'
  }

  /** A line of the result for people; on stderr when stdout is for programs. */
  say(text = ''): void {
    ;(this.json ? process.stderr : process.stdout).write(`${text}\n`)
  }

  /** A line beside the result. */
  note(text: string): void {
    process.stderr.write(`${text}\n`)
  }

  /** One JSON document, on one line: the result for programs. */
  emit(value: unknown): void {
    process.stdout.write(`${JSON.stringify(value)}\n`)
  }

  /** The result in the form that was asked for. */
  result(value: unknown, forPeople: () => void): void {
    if (this.json) this.emit(value)
    else forPeople()
  }

  /** Rows in columns as wide as they must be; the first row is the heading. */
  table(rows: string[][], right: number[] = []): void {
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
    rows.forEach((row, index) => {
      const cells = row.map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      const line = cells.join('  ').trimEnd()
      this.say(index === 0 ? this.colour.dim(line) : line)
    })
  }
}

/** What went wrong, as a person reads it: one sentence and the fix, never a stack unless PINGO_DEBUG asks for it. */
export function reportError(error: unknown, output: Output): number {
  if (error instanceof Exit) return error.code
  if (isAbort(error)) return EXIT.interrupted
  const colour = pc.createColors(pc.isColorSupported && process.stderr.isTTY === true)
  const known = knownError(error)
  process.stderr.write(`${colour.red('pingo:')} ${known.message}\n`)
  if (known.hint) process.stderr.write(`${known.hint}\n`)
  if (process.env.PINGO_DEBUG) process.stderr.write(`${(error as Error)?.stack ?? error}\n`)
  if (process.env.PINGO_DEBUG && (error as Error)?.cause)
    process.stderr.write(`${String((error as { cause: Error }).cause.stack)}\n`)
  if (output.json) output.emit({ error: known.toJSON() })
  return USAGE_CODES.test(known.code) ? EXIT.usage : EXIT.failed
}

const USAGE_CODES = /^(USAGE|JOB_FILE_|FOG_ADDRESS_INVALID|SETTINGS_INVALID|NETWORK_UNKNOWN|AMOUNT_INVALID|ADDRESS_)/

const isAbort = (error: unknown): boolean => (error as Error | undefined)?.name === 'AbortError'

const SYSTEM: Record<string, [code: string, message: string, hint: string]> = {
  ENOSPC: ['DISK_FULL', 'The disk is full', 'Free some space and try again.'],
  EDQUOT: ['DISK_FULL', 'Your disk quota is used up', 'Free some space and try again.'],
  EACCES: ['PERMISSION_DENIED', 'Permission denied', 'Check who owns it, or choose another place.'],
  EPERM: ['PERMISSION_DENIED', 'Not permitted', 'Check who owns it, or choose another place.'],
  EROFS: ['PERMISSION_DENIED', 'The file system is read-only', 'Choose another place.'],
  ENOENT: ['FILE_NOT_FOUND', 'No such file or folder', 'Check the path.'],
  EISDIR: ['FILE_UNREADABLE', 'This is a folder, not a file', 'Check the path.'],
  ENOTDIR: ['FILE_UNREADABLE', 'A part of this path is not a folder', 'Check the path.'],
  EADDRINUSE: [
    'PORT_IN_USE',
    'The port is already in use',
    'Choose another with --port, or --port 0 for any free one.',
  ],
  EMFILE: ['TOO_MANY_FILES', 'Too many files are open', 'Raise the limit with ulimit -n.'],
}

function knownError(error: unknown): PinGoError {
  if (isPinGoError(error)) return error
  const { code = '', path, message } = (error ?? {}) as NodeJS.ErrnoException
  const known = SYSTEM[code]
  if (known) return new PinGoError(known[0], `${known[1]}${path ? `: ${path}` : ''}.`, { hint: known[2] })
  return new PinGoError(
    'INTERNAL',
    message ? `Something unexpected happened: ${message.split('\n')[0]}` : String(error),
    {
      hint: 'Set PINGO_DEBUG=1 to see where; please report it.',
    },
  )
}
