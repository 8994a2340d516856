import type { Pause } from '@pingo/wire'
import type { OwnerSettings } from './settings.ts'
import type { Slowed } from './week.ts'

/** What sensors say at one moment; absent what cannot be read on this machine. */
export interface Readings {
  /** ms since epoch. */
  at: number
  /** Cores that this process may use: the machine's, or its cgroup's quota. */
  capacityCores: number
  /** Cores that programs which are not PinGo's kept busy since the last reading. */
  othersCores?: number | undefined
  /** Cores that PinGo's own processes kept busy since the last reading. */
  ownCores?: number | undefined
  /** Tasks of the owner's that waited for a CPU at this moment, at most. */
  waiting?: number | undefined
  /** Part of the time since the last reading in which something runnable waited for a CPU (PSI), 0 … 1. */
  pressure?: number | undefined
  /** Time since the last key or pointer input, ms. */
  idleMs?: number | undefined
  onBattery?: boolean | undefined
  batteryShare?: number | undefined
  temperatureC?: number | undefined
  metered?: boolean | undefined
  freeMemoryBytes?: number | undefined
  /** The machine's memory, or its cgroup's limit. */
  totalMemoryBytes?: number | undefined
  /** What PinGo's own processes take of it. */
  ownMemoryBytes?: number | undefined
  /** Part of the time since the last reading in which something waited for memory (PSI), 0 … 1. */
  memoryPressure?: number | undefined
  /** Of those that pause it, one that runs. */
  application?: string | undefined
  /** Bytes sent and received this month. */
  monthBytes?: number | undefined
  isDiskLow?: boolean | undefined
}

/** What may be done now. */
export interface Verdict {
  /** Cores that may be used, 0 while paused. */
  cores: number
  /** Bytes that all slices together may take; less than lent while the owner needs memory. */
  memoryBytes: number
  /** There exactly when `cores` is 0. */
  pause?: Pause | undefined
}

/** Watches owner and machine; `onChange` comes with every verdict that differs from the last. */
export interface OwnerWatch {
  readonly verdict: Verdict
  readonly readings: Readings
  /** How much the owner's programs were slowed by this contributor this week, at most. */
  readonly slowed: Slowed
  onChange(listener: (verdict: Verdict) => void): void
  /** Settings that changed; they hold from the next look, which is at once. */
  change(settings: OwnerSettings): void
  /** The owner's own word: pause until told otherwise, or until a time (ms since epoch). */
  hold(until?: number): void
  resume(): void
  /** Looks often while something runs, seldom while nothing does. */
  working(isWorking: boolean): void
  close(): void
}
