import type { Allowance } from './view.ts'

/** What the owner of the device chose. */
export interface OwnerWishes {
  /** Part of one core, 0.05 to 1. */
  share: number
  /** While the page is not seen. */
  whenHidden: 'pause' | 'slow' | 'go-on'
  onBattery: 'pause' | 'go-on'
  /** On a connection that is metered, or whose owner asked to save data. */
  onMetered: 'pause' | 'go-on'
}

/** What the browser tells of the device; absent what it does not. */
export interface Signs {
  isHidden: boolean
  onBattery?: boolean
  /** 0 to 1. */
  batteryShare?: number
  isMetered?: boolean
}

/** Part of the chosen share while the page is hidden and it is to go slow. */
const HIDDEN_PART = 0.25
/** Below it a battery is its owner's alone, whatever was chosen. */
const LOW_BATTERY = 0.2

/** How much may be taken now; a reason to pause names what ends it. */
export function decide(wishes: OwnerWishes, signs: Signs): Allowance {
  const { share } = wishes
  const { isHidden, onBattery, batteryShare, isMetered } = signs
  const pause = (reason: 'battery' | 'metered' | 'hidden', sentence: string): Allowance => ({
    share,
    pause: { reason, sentence },
  })
  if (onBattery && batteryShare !== undefined && batteryShare < LOW_BATTERY)
    return pause('battery', 'The battery is low. It goes on when the device is charging.')
  if (onBattery && wishes.onBattery === 'pause')
    return pause('battery', 'The device runs on its battery. It goes on when it is charging.')
  if (isMetered && wishes.onMetered === 'pause')
    return pause('metered', 'The connection is metered, or saves data. It goes on with another one.')
  if (isHidden && wishes.whenHidden === 'pause')
    return pause('hidden', 'The page is not in view. It goes on when you come back to it.')
  return { share: isHidden && wishes.whenHidden === 'slow' ? HIDDEN_PART * share : share }
}
