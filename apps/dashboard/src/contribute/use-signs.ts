import type { Signs } from '@pingo/contributor/browser'
import { useEffect, useState } from 'react'

interface Battery extends EventTarget {
  charging: boolean
  /** 0 to 1. */
  level: number
}
interface Connection extends EventTarget {
  saveData?: boolean
  type?: string
}
/** What not every browser has. */
type Device = Navigator & { getBattery?: () => Promise<Battery>; connection?: Connection }

const isMetered = ({ saveData, type }: Connection): boolean => saveData === true || type === 'cellular'

/** What the browser tells of the device, as it changes. */
export function useSigns(): Signs {
  const [signs, set] = useState<Signs>({ isHidden: document.hidden })
  useEffect(() => {
    const gone = new AbortController()
    const { signal } = gone
    const device = navigator as Device
    const tell = (change: Partial<Signs>) => !signal.aborted && set((before) => ({ ...before, ...change }))
    const look = () => tell({ isHidden: document.hidden })
    document.addEventListener('visibilitychange', look, { signal })
    look()
    const { connection } = device
    if (connection) {
      const change = () => tell({ isMetered: isMetered(connection) })
      connection.addEventListener('change', change, { signal })
      change()
    }
    device.getBattery?.().then(
      (battery) => {
        const change = () => tell({ onBattery: !battery.charging, batteryShare: battery.level })
        for (const event of ['chargingchange', 'levelchange']) battery.addEventListener(event, change, { signal })
        change()
      },
      () => undefined,
    )
    return () => gone.abort()
  }, [])
  return signs
}
