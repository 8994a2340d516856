import type { Earnings, HistoryQuery, LeaseRecord, MachineView, SettingsChange, SettingsView } from '@pingo/wire'

/** What the control API needs of a contributor. */
export interface ControlPort {
  view(): MachineView
  settings(): SettingsView
  /** @throws PinGoError SETTINGS_INVALID */
  change(said: SettingsChange): Promise<SettingsView>
  /** Until a time (ms since epoch), or until told otherwise. */
  pause(until?: number): void
  resume(): void
  /** Begins to leave: work that was begun is handed in, then it ends. */
  leave(): void
  /** The newest first. */
  history(query: HistoryQuery): LeaseRecord[]
  earnings(): Earnings
}
