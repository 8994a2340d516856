import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { findEndpoint } from '@pingo/client/local'
import type { MachineInspection } from '@pingo/contributor'
import {
  type ControlClient,
  findContributor,
  type Machine,
  type OwnerSettings,
  readMachine,
  readSettingsWords,
  resolveSettings,
} from '@pingo/contributor/local'
import { sentence } from '@pingo/wire'
import { bytes, duration } from '../../format.ts'
import { serviceFile } from '../../local/service-files.ts'

const CONNECT_MS = 5_000
const MOST_CLOCK_MS = 5_000
const LEAST_NODE = 24

export interface Check {
  name: string
  state: 'ok' | 'warn' | 'fail'
  /** What was found, and what to do where something is wrong. */
  sentence: string
}

const check = (name: string, state: Check['state'], text: string): Check => ({ name, state, sentence: text })

/** All that a contributor needs, looked at one by one. None of them throws. */
export async function checkAll(o: { home: string; fog?: string[] | undefined; version: string }): Promise<Check[]> {
  const machine = await readMachine(o.home)
  const running = await findContributor(o.home).catch(() => undefined)
  const settings = await readSettingsWords(o.home, machine).then(
    (words) => resolveSettings(words, machine),
    (error: unknown) => sentence(error),
  )
  const held = typeof settings === 'string' ? resolveSettings({}, machine) : settings
  const { inspectMachine } = await import('@pingo/contributor')
  const found = await inspectMachine(held)
  return [
    typeof settings === 'string'
      ? check('settings', 'fail', settings)
      : check('settings', 'ok', 'The settings can be taken.'),
    running
      ? check('contributor', 'ok', `It runs (process ${running.pid}).`)
      : check('contributor', 'warn', 'None runs. Start it with `pingo contribute`.'),
    await fogCheck(running, o.fog),
    diskCheck(held, machine),
    memoryCheck(held, machine),
    isolationCheck(found),
    sensorCheck(found),
    await clockCheck(),
    versionCheck(o.version),
    serviceCheck(),
  ]
}

async function fogCheck(running: ControlClient | undefined, given: string[] | undefined): Promise<Check> {
  const fix = 'Check that it runs, that the address is whole, and that its port is open.'
  try {
    if (running && !given) {
      const { fog } = await running.view()
      return fog.connected
        ? check('fog node', 'ok', `Connected to ${fog.address ?? 'it'}.`)
        : check('fog node', 'fail', `${fog.reason ?? 'Not connected.'} ${fix}`)
    }
    const addresses = given ?? (await findEndpoint()).multiaddrs ?? []
    if (addresses.length === 0)
      return check('fog node', 'fail', 'None is known. Name one by --fog MULTIADDR, as `pingo fog` prints it.')
    for (const address of addresses)
      if (await answers(address)) return check('fog node', 'ok', `${address} can be reached.`)
    return check('fog node', 'fail', `None of ${addresses.join(', ')} can be reached. ${fix}`)
  } catch (error) {
    return check('fog node', 'fail', sentence(error))
  }
}

/** Whether something listens at a multiaddr of TCP. */
function answers(address: string): Promise<boolean> {
  const match = /^\/(?:ip4|ip6|dns4|dns6|dns)\/([^/]+)\/tcp\/(\d+)/.exec(address)
  if (!match) return Promise.resolve(false)
  return new Promise((resolve) => {
    const socket = connect({ host: match[1]!, port: Number(match[2]), timeout: CONNECT_MS })
    const end = (reached: boolean) => {
      socket.destroy()
      resolve(reached)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
    socket.once('timeout', () => end(false))
  })
}

function diskCheck({ diskBytes, keepFreeBytes }: OwnerSettings, { freeDiskBytes }: Machine): Check {
  const text = `${bytes(freeDiskBytes)} are free for it; ${bytes(diskBytes)} are lent, ${bytes(keepFreeBytes)} stay free.`
  if (freeDiskBytes < keepFreeBytes)
    return check('disk', 'fail', `${text} Nothing is stored until there is more space: free some, or lower keepFree.`)
  if (freeDiskBytes < diskBytes + keepFreeBytes)
    return check('disk', 'warn', `${text} Less than lent can be used: free some space, or lower disk.`)
  return check('disk', 'ok', text)
}

function memoryCheck({ memoryBytes }: OwnerSettings, { freeMemoryBytes }: Machine): Check {
  const text = `${bytes(freeMemoryBytes)} are free; ${bytes(memoryBytes)} are lent.`
  return freeMemoryBytes < memoryBytes
    ? check('memory', 'warn', `${text} While your programs need it, fewer jobs run.`)
    : check('memory', 'ok', text)
}

function isolationCheck({ isolation }: MachineInspection): Check {
  if (typeof isolation === 'string') return check('isolation', 'fail', `No engine starts: ${isolation}`)
  const isWalled = isolation.tier === 'sandbox' || isolation.tier === 'namespaces' || isolation.tier === 'wasm'
  const fix = process.platform === 'linux' ? ' Installing bubblewrap gives more.' : ''
  return isWalled
    ? check('isolation', 'ok', isolation.sentence)
    : check('isolation', 'warn', `${isolation.sentence}${fix}`)
}

function sensorCheck({ readings }: MachineInspection): Check {
  const known: [name: string, value: unknown][] = [
    ['CPU load', readings.othersCores],
    ['pressure', readings.pressure],
    ['free memory', readings.freeMemoryBytes],
    ['input', readings.idleMs],
    ['battery', readings.onBattery],
    ['temperature', readings.temperatureC],
    ['metered network', readings.metered],
  ]
  const names = (isRead: boolean) => known.filter(([, value]) => (value !== undefined) === isRead).map(([name]) => name)
  const [read, missing] = [names(true), names(false)]
  const text = `Can be read: ${read.join(', ') || 'nothing'}.${missing.length > 0 ? ` Not here: ${missing.join(', ')}.` : ''}`
  return readings.othersCores === undefined
    ? check('sensors', 'fail', `${text} Without the load of your programs it cannot give way to them: use a schedule.`)
    : check('sensors', 'ok', text)
}

/** Against the fog node of this machine, where one is known: receipts and schedules go by the clock. */
async function clockCheck(): Promise<Check> {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const here = `It is ${new Date().toLocaleTimeString()} in ${zone}`
  try {
    const { url } = await findEndpoint()
    const before = Date.now()
    const response = await fetch(new URL('/v1/network', url), { signal: AbortSignal.timeout(CONNECT_MS) })
    await response.body?.cancel()
    const there = Date.parse(response.headers.get('date') ?? '')
    const apart = Math.max(0, Math.abs(there + 500 - (before + Date.now()) / 2) - 500)
    if (Number.isFinite(apart))
      return apart > MOST_CLOCK_MS
        ? check(
            'clock',
            'warn',
            `${here}; the fog node's clock is ${duration(apart)} apart. Set the clock by the network.`,
          )
        : check('clock', 'ok', `${here}; the fog node's clock agrees.`)
  } catch {
    // no fog node's gateway is known here, or its certificate is for clients that pin it
  }
  return check('clock', 'ok', `${here}; it was compared with nothing.`)
}

function versionCheck(version: string): Check {
  const isFit = Number(process.versions.node.split('.')[0]) >= LEAST_NODE
  const text = `PinGo ${version} on Node ${process.versions.node}, ${process.platform}-${process.arch}.`
  return isFit ? check('version', 'ok', text) : check('version', 'fail', `${text} It needs Node ${LEAST_NODE}.`)
}

function serviceCheck(): Check {
  const file = serviceFile()
  if (!file) return check('service', 'warn', 'Services are not known on this system.')
  return existsSync(file)
    ? check('service', 'ok', `Installed: ${file}`)
    : check('service', 'warn', 'Not installed; `pingo contribute install-service` starts it with your session.')
}
