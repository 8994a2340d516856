import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import type { Readings } from './verdict.ts'

const DAY_MS = 86_400_000
const DAYS = 7
/** The machine is full when this part of it is used. */
const FULL_SHARE = 0.95
/** A look that covers more time was held up; what happened meanwhile is not known well enough. */
const MOST_ELAPSED_MS = 5_000
const MAX_FILE_BYTES = 10_000

/** By day since epoch, ms: time in which the machine was lent, and how much of it the owner's programs were held up, at most. */
const WeekSchema = z.strictObject({
  days: z.array(z.strictObject({ day: z.int(), lentMs: z.number().min(0), slowedMs: z.number().min(0) })).max(DAYS),
})
export type Week = z.infer<typeof WeekSchema>

/** How much the owner was slowed, at most: part of the time in which the machine was lent, 0 … 1, and that time, ms. */
export interface Slowed {
  share: number
  lentMs: number
}

/**
 * Adds a look at a machine that is lent. While it is full, at most as much was taken from the owner as this contributor used, and at most as much as tasks of
 * the owner's waited; where waiting cannot be counted, at most as much again as they got. What was taken, of all that the owner's programs wanted, is the part
 * of this look's time by which they were slowed: a moment in which they did next to nothing weighs no more than its time.
 */
export function addLook(week: Week, r: Readings, elapsedMs: number): Week {
  const { othersCores, ownCores } = r
  if (othersCores === undefined || ownCores === undefined || !(elapsedMs > 0) || elapsedMs > MOST_ELAPSED_MS)
    return week
  const isFull = othersCores + ownCores >= FULL_SHARE * r.capacityCores
  const taken = isFull ? Math.min(ownCores, r.waiting ?? othersCores) : 0
  const slowedMs = taken > 0 ? (taken / (othersCores + taken)) * elapsedMs : 0
  const day = Math.floor(r.at / DAY_MS)
  const days = week.days.filter((other) => other.day > day - DAYS && other.day < day)
  const today = week.days.find((other) => other.day === day) ?? { day, lentMs: 0, slowedMs: 0 }
  return { days: [...days, { day, lentMs: today.lentMs + elapsedMs, slowedMs: today.slowedMs + slowedMs }] }
}

/** Of the week that was seen; time before that, or in which it did not run, is not counted for or against it. */
export function slowedIn({ days }: Week): Slowed {
  const lentMs = days.reduce((sum, day) => sum + day.lentMs, 0)
  const slowedMs = days.reduce((sum, day) => sum + day.slowedMs, 0)
  return { share: lentMs > 0 ? Math.min(1, slowedMs / lentMs) : 0, lentMs }
}

/** The week of an earlier run; an empty one where there is none, or none that can be read. */
export function readWeek(file: string): Week {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length <= MAX_FILE_BYTES) return WeekSchema.parse(JSON.parse(text))
  } catch {
    // it begins anew
  }
  return { days: [] }
}

/** Writes it whole or not at all; a disk that is full loses a few minutes of it. */
export function writeWeek(file: string, week: Week): void {
  const part = `${file}.${process.pid}.part`
  try {
    writeFileSync(part, JSON.stringify(week), { mode: 0o600 })
    renameSync(part, file)
  } catch {
    rmSync(part, { force: true })
  }
}
