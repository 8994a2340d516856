import { z } from 'zod'
import { EarningsSchema, LeaseRecordSchema, MachineViewSchema } from './machine.ts'

/**
 * The control API of a contributor, for its owner alone: on loopback, with a bearer token that stands in `control.json` of its home.
 *
 * `GET /v1/machine` → MachineView; `GET /v1/machine/events` → the same as server-sent events; `GET`/`PATCH /v1/machine/settings`;
 * `POST /v1/machine/pause|resume|leave`; `GET /v1/machine/history?limit=&before=`; `GET /v1/machine/earnings`.
 */

/** Longest body of a request. */
export const MAX_MACHINE_REQUEST_BYTES = 64 * 1024
export const MAX_HISTORY_PAGE = 1_000
/** A pause that is longer is until told otherwise: a month. */
const MAX_PAUSE_MINUTES = 44_640

export const SettingValueSchema = z.union([
  z.string().max(2000),
  z.number(),
  z.boolean(),
  z.array(z.string().max(100)).max(100),
])
export type SettingValue = z.infer<typeof SettingValueSchema>

/** Settings to change, in the owner's words: `{"cpu": "40%"}`; null takes one back to its default. */
export const SettingsChangeSchema = z.record(z.string().max(50), SettingValueSchema.nullable())
export type SettingsChange = z.infer<typeof SettingsChangeSchema>

export const SettingsViewSchema = z.strictObject({
  /** What was said. */
  said: z.record(z.string(), SettingValueSchema),
  /** What holds, all in words: said or by default. */
  settings: z.record(z.string(), SettingValueSchema),
  /** What they are measured against. */
  machine: z.strictObject({
    cores: z.number().min(0),
    memoryBytes: z.number().min(0),
    freeDiskBytes: z.number().min(0),
  }),
  file: z.string(),
  /** Why the file as it is now is not in force. */
  trouble: z.string().optional(),
})
export type SettingsView = z.infer<typeof SettingsViewSchema>

export const PauseRequestSchema = z.strictObject({ minutes: z.number().positive().max(MAX_PAUSE_MINUTES).optional() })
export type PauseRequest = z.infer<typeof PauseRequestSchema>

export const HistoryQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(MAX_HISTORY_PAGE).default(50),
  /** Only leases recorded before the one of this id: the last of the page before. */
  before: z.string().max(200).optional(),
})
export type HistoryQuery = z.infer<typeof HistoryQuerySchema>

export const HistoryViewSchema = z.strictObject({ leases: z.array(LeaseRecordSchema).max(MAX_HISTORY_PAGE) })
export type HistoryView = z.infer<typeof HistoryViewSchema>

/** What each path answers. */
export const MACHINE_ANSWERS = {
  view: MachineViewSchema,
  settings: SettingsViewSchema,
  history: HistoryViewSchema,
  earnings: EarningsSchema,
} as const
