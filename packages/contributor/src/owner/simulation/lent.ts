import { type OwnerSettings, PAUSE_AT_SHARE } from '../settings.ts'

/** What an owner lends in tests and simulations: four cores that give way, with no other limit. */
export const lent = (change: Partial<OwnerSettings> = {}): OwnerSettings => ({
  name: 'simulated',
  cores: 4,
  memoryBytes: 2 ** 33,
  diskBytes: 2 ** 30,
  keepFreeBytes: 0,
  slices: 0,
  when: 'idle',
  pauseAtShare: PAUSE_AT_SHARE,
  inputIdleMs: 0,
  schedule: [],
  onBattery: false,
  leastBatteryShare: 0,
  maxTemperatureC: 0,
  onMetered: false,
  bytesPerSecond: 0,
  monthlyBytes: 0,
  applications: [],
  isolation: 'auto',
  ...change,
})
