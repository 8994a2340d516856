import { weekMinute } from './schedule.ts'
import type { OwnerSettings } from './settings.ts'

const WEEK_MINUTES = 10_080
const DAY_MINUTES = 1_440
/** A week and a day: the next opening is within it, if there is one. */
const DAYS_AHEAD = 8

/** Whether a schedule lets it work at a moment. An empty one always does; a span whose end is before its start goes over the week's end. */
export function isOpen(schedule: OwnerSettings['schedule'], at: number): boolean {
  if (schedule.length === 0) return true
  const minute = weekMinute(at)
  return schedule.some(({ from, to }) =>
    from < to ? minute >= from && minute < to : from > to && (minute >= from || minute < to),
  )
}

/** When a schedule opens next after a moment, ms since epoch; undefined when it never does. Clocks that are set forward or back are minded. */
export function nextOpening(schedule: OwnerSettings['schedule'], at: number): number | undefined {
  const today = new Date(at)
  const monday = today.getDate() - ((today.getDay() + 6) % 7)
  const starts = schedule
    .filter(({ from, to }) => from !== to)
    .flatMap(({ from }) =>
      [0, 1].map((week) => {
        const minute = (from % WEEK_MINUTES) + week * WEEK_MINUTES
        // by the fields of the local calendar: a day of 23 or 25 hours is one too
        const day = monday + Math.floor(minute / DAY_MINUTES)
        return new Date(today.getFullYear(), today.getMonth(), day, 0, minute % DAY_MINUTES).getTime()
      }),
    )
    .filter((time) => time > at && time < at + DAYS_AHEAD * DAY_MINUTES * 60_000)
  return starts.length > 0 ? Math.min(...starts) : undefined
}
