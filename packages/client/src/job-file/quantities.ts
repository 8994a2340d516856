/** Durations, memory sizes and counts as people write them in a job file. */

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const UNIT_BYTES: Record<string, number> = {
  '': 1,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
}

export const DURATION = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)$/
const MEMORY = /^(\d{1,15}(?:\.\d{1,6})?)(Ki|Mi|Gi|Ti|k|M|G|T|)B?$/
export const MEMORY_FLOOR = /^\d{1,15}(?:\.\d{1,6})?(?:Ki|Mi|Gi|Ti|k|M|G|T|)B?(?:\.\.)?$/
export const COUNT_RANGE = /^(\d{1,5})\.\.(\d{1,5})?$/

/** '500ms', '4s', '20m', '1.5h', '2d' in milliseconds; undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  return match ? Number(match[1]) * UNIT_MS[match[2]!]! : undefined
}

/** '512Mi', '2GB', '1.5Gi', '4096' in bytes; undefined when it is none of these. */
export function parseBytes(text: string): number | undefined {
  const match = MEMORY.exec(text)
  return match ? Math.round(Number(match[1]) * UNIT_BYTES[match[2]!]!) : undefined
}

/** '4..200' or '2..' (no upper end) as [2, undefined]; undefined when it is neither. */
export function parseCountRange(text: string): { min: number; max: number | undefined } | undefined {
  const match = COUNT_RANGE.exec(text)
  return match ? { min: Number(match[1]), max: match[2] === undefined ? undefined : Number(match[2]) } : undefined
}
