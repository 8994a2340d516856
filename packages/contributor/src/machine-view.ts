import type { MachineSlice, MachineView, Offer } from '@pingo/wire'
import type { Connection } from './connection.ts'
import type { DiskStatus } from './disk.ts'
import type { Governor } from './governor.ts'
import type { OwnerSettings } from './owner/settings.ts'
import type { OwnerWatch } from './owner/verdict.ts'
import type { Slice } from './slice.ts'
import { VERSION } from './version.ts'

/** Gathers what a contributor tells its owner. */
export function machineView(o: {
  peerId: string
  startedAt: number
  settings: OwnerSettings
  offer: Offer
  isLeaving: boolean
  connection: Pick<Connection, 'current' | 'address' | 'reason'>
  slices: readonly Slice[]
  governor: Governor
  watch: OwnerWatch
  disk: DiskStatus
  /** Of this month, bytes. */
  volume: { sent: number; received: number }
  credit: MachineView['credit']
  forecast: MachineView['forecast']
  capacity: MachineView['capacity']
}): MachineView {
  const { settings, watch, governor, disk } = o
  const slices = o.slices.map((slice) => sliceView(slice, governor))
  const { pause } = watch.verdict
  const { current, address, reason } = o.connection
  const connected = current !== undefined
  const isWorking = slices.some(({ state }) => state !== 'idle' && state !== 'paused')
  const engines = slices.reduce((sum, { rssBytes }) => sum + rssBytes, 0)
  const isolation = o.slices.find(({ engine }) => engine)?.engine?.isolation
  const {
    othersCores,
    pressure,
    idleMs,
    onBattery,
    batteryShare,
    temperatureC,
    metered,
    freeMemoryBytes,
    application,
  } = watch.readings
  return {
    peerId: o.peerId,
    name: settings.name,
    version: VERSION,
    pid: process.pid,
    startedAt: o.startedAt,
    fog: { connected, address, reason },
    state: o.isLeaving ? 'leaving' : pause ? 'paused' : !connected ? 'offline' : isWorking ? 'working' : 'idle',
    pause,
    offer: o.offer,
    allowedCores: governor.allowedCores,
    slices,
    isolation,
    used: {
      cores: governor.used.cores,
      rssBytes: process.memoryUsage.rss() + engines,
      diskBytes: disk.usedBytes,
      diskQuotaBytes: disk.quotaBytes,
      sentBytes: o.volume.sent,
      receivedBytes: o.volume.received,
      monthlyBytes: settings.monthlyBytes || undefined,
    },
    owner: {
      othersCores,
      pressure,
      idleMs,
      onBattery,
      batteryShare,
      temperatureC,
      metered,
      freeMemoryBytes,
      application,
    },
    slowed: watch.slowed,
    credit: o.credit,
    forecast: o.forecast,
    capacity: o.capacity,
  }
}

function sliceView(slice: Slice, governor: Governor): MachineSlice {
  const { lease, progress, startedAt } = slice.run ?? {}
  const { state, steps = 0, samples = 0, loss } = slice.report()
  const seconds = progress && startedAt !== undefined ? (Date.now() - startedAt) / 1000 : 0
  return {
    index: slice.index,
    cores: slice.offer.cores,
    memoryBytes: slice.offer.memoryBytes,
    state,
    job: lease?.job,
    jobName: lease?.jobName,
    round: lease?.round,
    steps,
    samples,
    loss: loss !== undefined && Number.isFinite(loss) ? loss : undefined,
    samplesPerSecond: seconds > 0 ? samples / seconds : 0,
    usedCores: governor.used.coresOf(slice.index),
    rssBytes: slice.engine?.residentBytes() ?? 0,
  }
}
