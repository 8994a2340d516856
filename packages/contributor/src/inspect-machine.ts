import { setTimeout as sleep } from 'node:timers/promises'
import { Engine } from '@pingo/engine'
import { type IsolationView, sentence } from '@pingo/wire'
import type { OwnerSettings } from './owner/settings.ts'
import type { Readings } from './owner/verdict.ts'
import { watchOwner } from './owner/watch.ts'

const LOOK_MS = 1_500

/** What a contributor would find on this machine. */
export interface MachineInspection {
  /** How jobs would be kept apart; a sentence when no engine starts. */
  isolation: IsolationView | string
  readings: Readings
}

/** Starts an engine as for a lease, and the sensors for a moment. */
export async function inspectMachine(settings: OwnerSettings): Promise<MachineInspection> {
  const watch = watchOwner({ settings, own: () => [process.pid] })
  try {
    const [isolation] = await Promise.all([isolationHere(settings), sleep(LOOK_MS)])
    return { isolation, readings: watch.readings }
  } finally {
    watch.close()
  }
}

async function isolationHere(settings: OwnerSettings): Promise<IsolationView | string> {
  try {
    const engine = await Engine.start({ threads: 1, niceness: 19, isolation: settings.isolation })
    try {
      return engine.isolation
    } finally {
      await engine.close()
    }
  } catch (error) {
    return sentence(error)
  }
}
