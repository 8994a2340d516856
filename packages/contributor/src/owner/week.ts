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

/** By day since epoch: CPU time that the owner's programs got, and at most did not get because of this contributor, ms. */
const WeekSchema = z.strictObject({
  days: z.array(z.strictObject({ day: z.int(), gotMs: z.number().min(0), takenMs: z.number().min(0) })).max(DAYS),
})
export type Week = z.infer<typeof WeekSchema>

/**
 * Adds a look to the week. While the machine is full, at most as much was taken from the owner as this contributor used, and at most as
 * much as tasks of the owner's waited; where waiting cannot be counted, at most as much again as they got.
 */
export function addLook(week: Week, r: Readings, elapsedMs: number): Week {
  const { othersCores, ownCores } = r
  if (othersCores === undefined || ownCores === undefined || !(elapsedMs > 0) || elapsedMs > MOST_ELAPSED_MS)
    return week
  const isFull = othersCores + ownCores >= FULL_SHARE * r.capacityCores
  const takenMs = isFull ? Math.min(ownCores, r.waiting ?? othersCores) * elapsedMs : 0
  const gotMs = othersCores * elapsedMs
  const day = Math.floor(r.at / DAY_MS)
  const days = week.days.filter((other) => other.day > day - DAYS && other.day < day)
  const today = week.days.find((other) => other.day === day) ?? { day, gotMs: 0, takenMs: 0 }
  return { days: [...days, { day, gotMs: today.gotMs + gotMs, takenMs: today.takenMs + takenMs }] }
}

/** Part of the CPU time that the owner's programs wanted and did not get, at most, 0 … 1. */
export function slowedIn({ days }: Week): number {
  const got = days.reduce((sum, day) => sum + day.gotMs, 0)
  const taken = days.reduce((sum, day) => sum + day.takenMs, 0)
  return taken > 0 ? taken / (got + taken) : 0
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
