import { readFile, rename, writeFile } from 'node:fs/promises'
import type { MachineView, Survival } from '@pingo/wire'
import { z } from 'zod'
import { Forecast, type ForecastState, type HourOfWeek, localHourOfWeek } from './forecast.ts'
import { AGES, BINS } from './hazard.ts'
import { SCORED_MINUTES, SCORED_WEEKS } from './score.ts'

/** What fog nodes are told and owners see, minutes. */
export const TOLD_MINUTES = [1, 2, 5, 15, 30, 60, 240]
export const OBSERVE_EVERY_MS = 60_000
const SAVE_EVERY_MS = 5 * 60_000
export const MAX_STATE_BYTES = 64 << 10

const Count = z.number().min(0)
const Share = z.number().min(0).max(1)
const StateSchema = z.strictObject({
  version: z.literal(1),
  counts: z.strictObject({ events: z.array(Count).length(BINS), minutes: z.array(Count).length(BINS) }),
  ages: z.strictObject({
    events: z.array(Count).length(AGES.length),
    expected: z.array(Count).length(AGES.length),
  }),
  day: Count,
  last: z.strictObject({ at: Count, available: z.boolean(), since: Count }).optional(),
  pending: z
    .array(z.strictObject({ at: Count, said: Share, base: Share, hasEnded: z.boolean() }))
    .max(4 * SCORED_MINUTES),
  observedMinutes: Count,
  score: z.strictObject({
    base: z.strictObject({ survived: Count, n: Count }),
    weeks: z
      .array(
        z.strictObject({
          week: Count,
          n: Count,
          squares: Count,
          baseSquares: Count,
          classes: z.array(z.tuple([Count, Count, Count])).length(10),
        }),
      )
      .max(SCORED_WEEKS),
  }),
})

/** A forecast that is kept in a file: read at the start, written each few minutes and at the end, so that a crash costs minutes of what was learnt. */
export class ForecastFile {
  readonly #file: string
  readonly #forecast: Forecast
  readonly #onFailure: (error: unknown) => void
  #observedAt = Number.NEGATIVE_INFINITY
  #savedAt: number
  #saving: Promise<void> = Promise.resolve()
  /** A write that waits for the one under way; it writes what is known when it begins. */
  #next: Promise<void> | undefined

  /** What cannot be read is begun anew: it is learnt again. */
  static async open(
    file: string,
    o: { now: number; hourOfWeek?: HourOfWeek; onFailure?: (error: unknown) => void },
  ): Promise<ForecastFile> {
    let state: ForecastState | undefined
    try {
      const text = await readFile(file, 'utf8')
      if (text.length <= MAX_STATE_BYTES) state = StateSchema.parse(JSON.parse(text)) as ForecastState
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') o.onFailure?.(error)
    }
    return new ForecastFile(file, new Forecast(state, o.hourOfWeek ?? localHourOfWeek), o.now, o.onFailure)
  }

  private constructor(
    file: string,
    forecast: Forecast,
    now: number,
    onFailure: (error: unknown) => void = () => undefined,
  ) {
    this.#file = file
    this.#forecast = forecast
    this.#savedAt = now
    this.#onFailure = onFailure
  }

  /** May be called as often as one likes: once a minute it is an observation. @returns true when it was */
  observe(at: number, available: boolean): boolean {
    if (at - this.#observedAt < OBSERVE_EVERY_MS && at >= this.#observedAt) return false
    this.#observedAt = at
    this.#forecast.observe(at, available)
    if (at - this.#savedAt >= SAVE_EVERY_MS || at < this.#savedAt) {
      this.#savedAt = at
      void this.save()
    }
    return true
  }

  /** For fog nodes: probability that this machine still works in so many minutes. */
  survival(at: number): Survival {
    const probabilities = this.#forecast.survival(at, TOLD_MINUTES)
    return TOLD_MINUTES.map((minutes, i) => ({ minutes, probability: Math.round(probabilities[i]! * 1e4) / 1e4 }))
  }

  /** For the owner. */
  view(at: number): NonNullable<MachineView['forecast']> {
    const score = this.#forecast.score()
    return {
      survival: this.survival(at),
      ...(score && { brier: score.brier, brierOfBaseRate: score.brierOfBaseRate }),
      observedHours: this.#forecast.observedHours,
    }
  }

  score = () => this.#forecast.score()

  /** Writes what was learnt; whole or not at all. */
  save(): Promise<void> {
    this.#next ??= this.#saving = this.#saving.then(() => this.#write())
    return this.#next
  }

  async #write(): Promise<void> {
    this.#next = undefined
    try {
      const text = JSON.stringify(this.#forecast.state, (_, value) =>
        typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value,
      )
      await writeFile(`${this.#file}.new`, text, { mode: 0o600, flush: true })
      await rename(`${this.#file}.new`, this.#file)
    } catch (error) {
      this.#onFailure(error)
    }
  }
}
