import { z } from 'zod'

const Time = z.number().min(0)

/** Why a contributor does not work for others at the moment; as fine as BOINC's list, and for each a sentence that says what ends it. */
export const PauseReasonSchema = z.enum([
  'starting',
  'owner',
  'cpu-busy',
  'pressure',
  'user-active',
  'application',
  'schedule',
  'battery',
  'temperature',
  'memory-low',
  'disk-low',
  'metered',
  'data-cap',
  'forecast',
  'benchmark',
  'updating',
  'sleeping',
  'leaving',
  'hidden',
])
export type PauseReason = z.infer<typeof PauseReasonSchema>

export const PauseSchema = z.strictObject({
  reason: PauseReasonSchema,
  /** Since when, ms since epoch. */
  since: Time,
  /** When it ends or is looked at again, ms since epoch, where that is known. */
  until: Time.optional(),
  /** Why, and what ends it: one sentence for people. */
  sentence: z.string().max(500),
})
export type Pause = z.infer<typeof PauseSchema>
