import { statSync } from 'node:fs'
import { join } from 'node:path'
import { nodesOfMachine, registryFolder } from '@pingo/network'
import type { Logger } from 'pino'
import { type Load, loadSensor } from './cpu.ts'
import { type GateState, newGate, stepGate } from './gate.ts'
import { LEAST_CALM_MS } from './gate-state.ts'
import type { OwnerSettings } from './settings.ts'
import { type SlowReadings, slowSensors } from './slow.ts'
import type { OwnerWatch, Readings, Verdict } from './verdict.ts'
import { addLook, readWeek, slowedIn, writeWeek } from './week.ts'

const LOOK_WORKING_MS = 200
const LOOK_IDLE_MS = 1_000
const REGISTRY_MS = 10_000
/** A contributor that pauses uses less for its connection and its looks. */
const LEAST_USE_CORES = 0.2
const WRITE_WEEK_MS = 300_000

export interface WatchOptions {
  settings: OwnerSettings
  /** Root processes of this contributor. */
  own: () => number[]
  /** Milliseconds since epoch. */
  clock?: () => number
  /** Bytes sent and received this month. */
  month?: () => number
  isDiskLow?: () => boolean
  logger?: Logger
  /** CPU time of this contributor's processes, ms: needed where there is no /proc. */
  ownCpuMs?: () => number
  /** Folder of this contributor: how much the owner was slowed this week is kept in `owner-week.json` there. */
  home?: string
  /** For tests and simulations: what the quick sensors and the slow ones say. */
  load?: () => Load
  slow?: (settings: OwnerSettings) => SlowReadings
}

/** Starts to watch owner and machine: five times a second while something runs, once a second while nothing does. */
export function watchOwner(o: WatchOptions): OwnerWatch {
  const clock = o.clock ?? Date.now
  const load =
    o.load ??
    loadSensor({
      own: o.own,
      nodes: registeredNodes(clock),
      ...(o.ownCpuMs && { ownCpuMs: o.ownCpuMs }),
    })
  const slow = o.slow ?? slowSensors({ clock, own: o.own })
  const weekFile = o.home === undefined ? undefined : join(o.home, 'owner-week.json')
  let week = weekFile === undefined ? { days: [] } : readWeek(weekFile)
  let writtenAt = clock()
  const listeners: ((verdict: Verdict) => void)[] = []
  let { settings } = o
  let state: GateState = newGate(clock())
  let readings: Readings
  let verdict: Verdict
  let isWorking = true
  let isClosed = false
  let timer: NodeJS.Timeout | undefined

  const look = (): void => {
    readings = {
      at: clock(),
      ...slow(settings),
      ...load(),
      monthBytes: o.month?.(),
      isDiskLow: o.isDiskLow?.(),
    }
    const next = stepGate(state, readings, settings)
    // what is still used just after a pause began counts too
    if (!next.verdict.pause || (readings.ownCores ?? 0) > LEAST_USE_CORES)
      week = addLook(week, readings, readings.at - (state.at ?? readings.at))
    if (weekFile !== undefined && Math.abs(readings.at - writtenAt) >= WRITE_WEEK_MS) {
      writtenAt = readings.at
      writeWeek(weekFile, week)
    }
    const isNews = verdict === undefined || differs(verdict, next.verdict)
    if (verdict !== undefined && verdict.pause?.reason !== next.verdict.pause?.reason)
      o.logger?.info(
        { pause: next.verdict.pause?.reason, cores: next.verdict.cores },
        next.verdict.pause?.sentence ?? 'goes on',
      )
    state = next.state
    verdict = next.verdict
    if (isNews) for (const listener of listeners) listener(verdict)
  }
  const plan = (): void => {
    clearTimeout(timer)
    if (isClosed) return
    timer = setTimeout(
      () => {
        try {
          look()
        } catch (error) {
          o.logger?.error({ err: error }, 'a look at the owner failed')
        }
        plan()
      },
      isWorking ? LOOK_WORKING_MS : LOOK_IDLE_MS,
    ).unref()
  }
  /** The owner's own doing takes effect at once, and is not held up by what was before. */
  const atOnce = (): void => {
    if (isClosed) return
    state = { ...state, changes: [], cpu: { ...state.cpu, calmMs: LEAST_CALM_MS } }
    look()
    plan()
  }
  look()
  plan()

  return {
    get verdict() {
      return verdict
    },
    get readings() {
      return readings
    },
    get slowed() {
      return slowedIn(week)
    },
    onChange: (listener) => void listeners.push(listener),
    change(changed) {
      settings = changed
      atOnce()
    },
    hold(until) {
      state = { ...state, hold: { since: clock(), until } }
      atOnce()
    },
    resume() {
      state = { ...state, hold: undefined }
      atOnce()
    },
    working(is) {
      if (is === isWorking) return
      isWorking = is
      plan()
    },
    close() {
      if (isClosed) return
      isClosed = true
      clearTimeout(timer)
      if (weekFile !== undefined) writeWeek(weekFile, week)
    },
  }
}

/** What a listener has to know: figures in sentences change with every look. */
const differs = (a: Verdict, b: Verdict): boolean =>
  a.cores !== b.cores ||
  a.memoryBytes !== b.memoryBytes ||
  a.pause?.reason !== b.pause?.reason ||
  a.pause?.until !== b.pause?.until

/** Nodes of this machine; the folder is read when it changed, and now and then since nodes may have crashed. */
function registeredNodes(clock: () => number): () => readonly number[] {
  const folder = registryFolder()
  let read = { at: Number.NEGATIVE_INFINITY, changed: -1, nodes: [] as number[] }
  return () => {
    let changed = 0
    try {
      changed = statSync(folder).mtimeMs
    } catch {
      // no node has registered
    }
    const at = clock()
    if (changed !== read.changed || Math.abs(at - read.at) > REGISTRY_MS)
      read = { at, changed, nodes: nodesOfMachine({ folder }) }
    return read.nodes
  }
}
