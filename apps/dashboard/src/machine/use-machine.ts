import type { Earnings, LeaseRecord, MachineView, SettingsView } from '@pingo/wire'
import { useCallback, useEffect, useState } from 'react'
import { startPoller } from '../core/poller.ts'
import { type MachineApi, machineReason } from './api.ts'

/** Views between two looks at what changes seldom: history, earnings, settings. */
const SELDOM = 8

export interface Machine {
  view?: MachineView
  settings?: SettingsView
  leases: LeaseRecord[]
  earnings?: Earnings
  error?: string
}

/** What the contributor tells, polled; `act` does something and shows what became of it. */
export function useMachine(api: MachineApi): {
  machine: Machine
  act: (work: Promise<Partial<Machine>>) => Promise<boolean>
} {
  const [machine, setMachine] = useState<Machine>({ leases: [] })
  const take = useCallback((part: Partial<Machine>) => setMachine((before) => ({ ...before, ...part })), [])
  useEffect(() => {
    let turn = 0
    return startPoller({
      poll: async (signal) => {
        try {
          const view = await api.view(signal)
          take({ view, error: undefined })
          if (turn++ % SELDOM !== 0) return
          const [settings, { leases }, earnings] = await Promise.all([
            api.settings(signal),
            api.history(signal),
            api.earnings(signal),
          ])
          take({ settings, leases, earnings })
        } catch (error) {
          if (!signal.aborted) take({ error: machineReason(error) })
          throw error
        }
      },
      hidden: () => document.hidden,
      onVisibility: (listener) => {
        document.addEventListener('visibilitychange', listener)
        return () => document.removeEventListener('visibilitychange', listener)
      },
      setTimer: (action, ms) => {
        const timer = setTimeout(action, ms)
        return () => clearTimeout(timer)
      },
    })
  }, [api, take])
  const act = useCallback(
    async (work: Promise<Partial<Machine>>) => {
      try {
        take({ ...(await work), error: undefined })
        return true
      } catch (error) {
        take({ error: machineReason(error) })
        return false
      }
    },
    [take],
  )
  return { machine, act }
}
