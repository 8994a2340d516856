/** A weekly schedule as owners write it: 'mon-fri 18:00-08:00, sat-sun'. Times are the machine's own; a range that ends before it begins goes on into the next day. */

/** Minutes of a week that begins on Monday at 00:00, [from, to). */
export interface WeekSpan {
  from: number
  to: number
}

const DAY = 24 * 60
const WEEK = 7 * DAY
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const NAMES = new Map([
  ['daily', 'mon-sun'],
  ['weekdays', 'mon-fri'],
  ['weekends', 'sat-sun'],
])
const PART = /^(?:([a-z]+)(?:-([a-z]+))?)?(?: ?(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2}))?$/
const MAX_PARTS = 100

/** The spans of a schedule, merged and in order; none for 'always' and for a whole week. Undefined when it is no schedule. */
export function parseSchedule(text: string): WeekSpan[] | undefined {
  const plain = text.trim().toLowerCase()
  if (plain === 'always') return []
  const parts = plain.split(/ *, */)
  if (parts.length > MAX_PARTS) return undefined
  const spans: WeekSpan[] = []
  for (const part of parts) {
    const found = parsePart(part.replace(/^[a-z]+/, (word) => NAMES.get(word) ?? word))
    if (!found) return undefined
    spans.push(...found)
  }
  const merged = mergeSpans(spans)
  return merged.length === 1 && merged[0]!.from === 0 && merged[0]!.to === WEEK ? [] : merged
}

function parsePart(part: string): WeekSpan[] | undefined {
  const match = part === '' ? null : PART.exec(part)
  if (!match) return undefined
  const [first, last] = [match[1] ?? 'mon', match[2] ?? match[1] ?? 'sun'].map(dayOf)
  if (first === undefined || last === undefined) return undefined
  const [from, to] = match[3] === undefined ? [0, DAY] : [minute(match[3], match[4]!), minute(match[5]!, match[6]!)]
  if (from === undefined || to === undefined || from === DAY || from === to) return undefined
  const days = Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, index) => (first + index) % 7)
  return days.flatMap((day) => inWeek(day * DAY + from, day * DAY + (to > from ? to : to + DAY)))
}

/** 'mon', 'monday', 'Mo'. */
function dayOf(name: string): number | undefined {
  const index = DAYS.findIndex((day) => name.length >= 2 && (day.startsWith(name) || name.startsWith(day)))
  return index < 0 ? undefined : index
}

function minute(hours: string, minutes: string): number | undefined {
  const [h, m] = [Number(hours), Number(minutes)]
  return m < 60 && h * 60 + m <= DAY ? h * 60 + m : undefined
}

/** A span that goes over the week's end is two. */
const inWeek = (from: number, to: number): WeekSpan[] =>
  to <= WEEK
    ? [{ from, to }]
    : [
        { from, to: WEEK },
        { from: 0, to: to - WEEK },
      ]

function mergeSpans(spans: readonly WeekSpan[]): WeekSpan[] {
  const merged: WeekSpan[] = []
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last && span.from <= last.to) last.to = Math.max(last.to, span.to)
    else merged.push({ ...span })
  }
  return merged
}

/** Takes merged spans; `parseSchedule` gives them back. */
export function printSchedule(spans: readonly WeekSpan[]): string {
  if (spans.length === 0) return 'always'
  const daysByClock = new Map<string, number[]>()
  for (const [day, clock] of aroundTheWeek(spans).flatMap(pieces))
    daysByClock.set(clock, [...(daysByClock.get(clock) ?? []), day])
  return [...daysByClock]
    .flatMap(([clock, days]) => dayRanges(days).map((range) => [range, clock].filter(Boolean).join(' ')))
    .join(', ')
}

/** The night from Sunday to Monday is one span again. */
function aroundTheWeek(spans: readonly WeekSpan[]): WeekSpan[] {
  const [first, last] = [spans[0]!, spans.at(-1)!]
  if (spans.length < 2 || first.from !== 0 || last.to !== WEEK) return [...spans]
  return [...spans.slice(1, -1), { from: last.from, to: WEEK + first.to }]
}

/** A span as days with a range of the clock; whole days have none. */
function pieces({ from, to }: WeekSpan): [day: number, clock: string][] {
  const result: [number, string][] = []
  for (let at = from; at < to; ) {
    const midnight = (Math.floor(at / DAY) + 1) * DAY
    // a night is one piece, unless whole days follow
    const end = to - at < DAY ? to : Math.min(midnight, to)
    const clock = end - at === DAY ? '' : `${two(at % DAY)}-${end % DAY === 0 ? '24:00' : two(end % DAY)}`
    result.push([Math.floor(at / DAY) % 7, clock])
    at = end
  }
  return result
}

const two = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`

function dayRanges(days: number[]): string[] {
  const ranges: [number, number][] = []
  for (const day of [...days].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && last[1] === day - 1) last[1] = day
    else ranges.push([day, day])
  }
  return ranges.map(([from, to]) => (from === to ? DAYS[from]! : `${DAYS[from]}-${DAYS[to]}`))
}

/** Minute of the week of a moment (ms since epoch), by the machine's own clock. */
export function weekMinute(at: number): number {
  const date = new Date(at)
  return ((date.getDay() + 6) % 7) * DAY + date.getHours() * 60 + date.getMinutes()
}
