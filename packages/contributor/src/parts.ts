import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Host, registerNode } from '@pingo/network'
import { type Hardware, type Identity, loadIdentity, sentence } from '@pingo/wire'
import type { Logger } from 'pino'
import { Bandwidth } from './bandwidth/bandwidth.ts'
import { benchmark } from './benchmark.ts'
import { ContributorDisk } from './disk.ts'
import { ForecastFile } from './forecast/forecast-file.ts'
import { History } from './history.ts'
import { readHardware } from './offer.ts'
import type { OwnerSettings } from './owner/settings.ts'
import type { OwnerWatch } from './owner/verdict.ts'
import { watchOwner } from './owner/watch.ts'

/** What a contributor is made of, beside its slices; all state is below its home. */
export interface Parts {
  identity: Identity
  hardware: Hardware
  /** Estimate of one thread's float32 throughput, FLOP/s. */
  flops: number
  host: Host
  disk: ContributorDisk
  history: History
  bandwidth: Bandwidth
  forecast: ForecastFile
  watch: OwnerWatch
  unregister: () => void
}

/** @throws PinGoError IDENTITY_UNREADABLE, DISK_FULL, STORE_IN_USE, ENGINE_START_FAILED, HISTORY_UNREADABLE */
export async function openParts(o: {
  home: string
  settings: OwnerSettings
  watch?: OwnerWatch
  logger: Logger
  onDiskChange: () => void
}): Promise<Parts> {
  const { home, settings, logger } = o
  await mkdir(home, { recursive: true, mode: 0o700 })
  const identity = await loadIdentity(join(home, 'identity.key'))
  const hardware = readHardware()
  const flops = await benchmark(join(home, 'benchmark.json'), hardware)
  const disk = await ContributorDisk.open(join(home, 'cache'), {
    quotaBytes: settings.diskBytes,
    keepFreeBytes: settings.keepFreeBytes,
    onChange: o.onDiskChange,
  })
  const history = History.open(join(home, 'history.sqlite'), {
    onFailure: (error) => logger.warn({ error: sentence(error) }, 'the history cannot be written'),
  })
  const bandwidth = new Bandwidth({
    file: join(home, 'bandwidth.json'),
    limits: settings,
    onCap: () => logger.warn({ monthlyBytes: settings.monthlyBytes }, "the month's data volume is used up"),
    onFailure: (error) => logger.warn({ error: sentence(error) }, 'the data volume cannot be kept'),
  })
  const forecast = await ForecastFile.open(join(home, 'forecast.json'), {
    now: Date.now(),
    onFailure: (error) => logger.warn({ error: sentence(error) }, 'the forecast cannot be kept'),
  })
  const host = await Host.start({ identity })
  const watch =
    o.watch ??
    watchOwner({
      settings,
      own: () => [process.pid],
      home,
      month: () => bandwidth.month(),
      isDiskLow: () => disk.isLow,
      logger,
    })
  // other nodes of this owner do not take it for one of the owner's programs
  const unregister = registerNode()
  return { identity, hardware, flops, host, disk, history, bandwidth, forecast, watch, unregister }
}

export async function closeParts({ host, disk, history, bandwidth, forecast, unregister }: Parts): Promise<void> {
  await host.stop()
  await disk.close()
  history.close()
  bandwidth.close()
  await forecast.save()
  unregister()
}
