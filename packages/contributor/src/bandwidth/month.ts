import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { z } from 'zod'

const MIB = 1 << 20
/** What may be moved before the file is written again: as much as moves in this time, within bounds. */
const AHEAD_SECONDS = 10
const LEAST_AHEAD_BYTES = MIB
const MOST_AHEAD_BYTES = 256 * MIB
/** Months that are kept. */
const MAX_MONTHS = 13
const MAX_FILE_BYTES = 16 << 10

export type Direction = 'sent' | 'received'

const Bytes = z.int().min(0)
const FileSchema = z.strictObject({
  version: z.literal(1),
  months: z.record(z.string().regex(/^\d{4}-\d{2}$/), z.strictObject({ sent: Bytes, received: Bytes })),
  /** Bytes beyond `months` that may have been moved when this was written last: counted after a crash. */
  ahead: z.strictObject({ month: z.string(), bytes: Bytes }).optional(),
})
type Months = z.infer<typeof FileSchema>['months']

/**
 * Bytes moved by month of the machine's own calendar, durable and never less than what was moved: the file is written before what it says is used up,
 * and the room that it holds counts as used when it is found after a crash.
 */
export class MonthlyVolume {
  readonly #file: string | undefined
  readonly #now: () => number
  readonly #onFailure: (error: unknown) => void
  #months: Months = {}
  /** Bytes that may still be counted before the file is written. */
  #room = 0
  #writtenAt = Number.NEGATIVE_INFINITY
  #sinceWritten = 0
  #month = ''
  /** No more is written ahead than this: what a crash may cost of the owner's volume. */
  mostAheadBytes = MOST_AHEAD_BYTES

  /** @param file absent: nothing is kept */
  constructor(file: string | undefined, now: () => number, onFailure: (error: unknown) => void) {
    this.#file = file
    this.#now = now
    this.#onFailure = onFailure
    if (file !== undefined) this.#read(file)
  }

  get(): { sent: number; received: number } {
    return this.#months[this.#key()] ?? { sent: 0, received: 0 }
  }

  add(bytes: number, direction: Direction): void {
    const key = this.#key()
    if (bytes < 0 && key !== this.#month) return // it was counted for the month before
    if (key !== this.#month) {
      this.#month = key
      this.#room = 0
    }
    const month = (this.#months[key] ??= { sent: 0, received: 0 })
    month[direction] = Math.max(0, month[direction] + Math.ceil(bytes))
    this.#sinceWritten += bytes
    this.#room -= bytes
    if (this.#room < 0) this.#write(this.#ahead())
  }

  /** Writes what was moved, exactly. */
  close(): void {
    if (this.#month !== '') this.#write(0)
  }

  #ahead(): number {
    const seconds = Math.max(0.001, (this.#now() - this.#writtenAt) / 1000)
    const wanted = Math.max(LEAST_AHEAD_BYTES, (this.#sinceWritten / seconds) * AHEAD_SECONDS)
    return Math.floor(Math.min(wanted, MOST_AHEAD_BYTES, Math.max(LEAST_AHEAD_BYTES, this.mostAheadBytes)))
  }

  #key(): string {
    const date = new Date(this.#now())
    return `${String(date.getFullYear()).padStart(4, '0')}-${String(date.getMonth() + 1).padStart(2, '0')}`
  }

  #read(file: string): void {
    let text: string
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onFailure(error)
      return
    }
    try {
      if (text.length > MAX_FILE_BYTES) throw new Error('it is too long')
      const { months, ahead } = FileSchema.parse(JSON.parse(text))
      this.#months = months
      if (!ahead) return
      const month = (months[ahead.month] ??= { sent: 0, received: 0 })
      month.received += ahead.bytes
    } catch (error) {
      this.#onFailure(error)
    }
  }

  #write(ahead: number): void {
    const kept = Object.entries(this.#months).sort(([a], [b]) => (a < b ? -1 : 1))
    this.#months = Object.fromEntries(kept.slice(-MAX_MONTHS))
    this.#room = ahead
    this.#sinceWritten = 0
    this.#writtenAt = this.#now()
    if (this.#file === undefined) return
    const state = {
      version: 1,
      months: this.#months,
      ...(ahead > 0 ? { ahead: { month: this.#month, bytes: ahead } } : {}),
    }
    try {
      const temporary = `${this.#file}.new`
      const handle = openSync(temporary, 'w', 0o600)
      try {
        writeSync(handle, JSON.stringify(state))
        fsyncSync(handle)
      } finally {
        closeSync(handle)
      }
      renameSync(temporary, this.#file)
    } catch (error) {
      this.#onFailure(error)
    }
  }
}
