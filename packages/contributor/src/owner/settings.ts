import { z } from 'zod'

/** Share of a machine's CPU that other programs take, at which a contributor gives way: BOINC's default. */
export const PAUSE_AT_SHARE = 0.25

const Share = z.number().min(0).max(1)
const Bytes = z.int().min(0)
/** Minutes of a week that begins on Monday at 00:00 by the machine's own clock, [from, to). */
const WeekSpan = z.strictObject({ from: z.int().min(0).max(10_080), to: z.int().min(0).max(10_080) })

/**
 * What an owner lends and when, every field resolved. Files and commands hold a part of it (settings-file.ts says how it is written there);
 * it may change at any moment while the contributor runs.
 */
export const OwnerSettingsSchema = z.strictObject({
  name: z.string().min(1).max(100),
  /** Cores lent in all, from 0.05. */
  cores: z.number().min(0.05).max(4096),
  memoryBytes: Bytes,
  diskBytes: Bytes,
  keepFreeBytes: Bytes,
  /** Jobs side by side at most; 0: one for each core or part of one. */
  slices: z.int().min(0).max(256),
  /** `idle`: gives way to the owner's programs. `always`: only limits count (a machine of its own, a test network). */
  when: z.enum(['idle', 'always']),
  pauseAtShare: Share,
  /** Works only when there was no input for so long, ms; 0: input does not matter. */
  inputIdleMs: z.number().min(0),
  /** When it may work; empty: at any time. */
  schedule: z.array(WeekSpan).max(200),
  onBattery: z.boolean(),
  /** On battery, not below this share of its charge. */
  leastBatteryShare: Share,
  /** Pauses above it, °C; 0: no limit. */
  maxTemperatureC: z.number().min(0).max(150),
  onMetered: z.boolean(),
  /** Bytes per second each way; 0: no limit. */
  bytesPerSecond: z.number().min(0),
  /** Bytes a month both ways; 0: no limit. */
  monthlyBytes: z.number().min(0),
  /** Pauses while a program of such a name runs. */
  applications: z.array(z.string().min(1).max(100)).max(100),
  /** `auto`: native in the best isolation there is, WebAssembly where there is none and the fog node is not this machine's own. */
  isolation: z.enum(['auto', 'native', 'wasm']),
})
export type OwnerSettings = z.infer<typeof OwnerSettingsSchema>
