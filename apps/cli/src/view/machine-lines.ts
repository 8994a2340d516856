import type { MachineSlice, MachineView, Pause } from '@pingo/wire'
import { bytes, count, duration, figure, shortId, whole } from '../format.ts'
import type { Colours } from '../output.ts'
import { bar } from './curve.ts'

const BAR_WIDTH = 20
/** Slices that are listed one by one. */
const MAX_LISTED = 8

interface Look {
  now: number
  /** Columns. */
  width: number
  colour: Colours
}

/** A contributor as its owner sees it, in lines no wider than the terminal. */
export function machineLines(view: MachineView, { now, width, colour }: Look): string[] {
  const lines: string[] = []
  const put = (name: string, text: string, paint: (text: string) => string = (same) => same) =>
    lines.push(`${colour.dim(name.padEnd(10))} ${paint(cut(text, width - 11))}`)
  const working = view.slices.filter(({ state }) => state !== 'idle' && state !== 'paused').length
  const state =
    view.state === 'working' ? `working in ${working} of ${plural(view.slices.length, 'slice')}` : view.state
  const paintState = view.state === 'working' || view.state === 'idle' ? colour.green : colour.yellow
  const title = cut(view.name, Math.max(10, width - 45))
  lines.push(`${colour.bold(title)}  ${paintState(state)}  ${colour.dim(`for ${duration(now - view.startedAt)}`)}`)

  if (view.pause) put('paused', pauseSentence(view.pause, now), colour.yellow)
  for (const notice of view.notices ?? []) put('notice', notice, colour.yellow)
  if (!view.fog.connected) put('fog node', view.fog.reason ?? 'not connected', colour.yellow)
  else put('fog node', shortAddress(view.fog.address))
  const part = view.offer.cores > 0 ? view.used.cores / view.offer.cores : 0
  put(
    'CPU',
    `${bar(Math.min(1, part), BAR_WIDTH)} ${cores(view.used.cores)} used, ${cores(view.allowedCores)} allowed, ${cores(view.offer.cores)} lent`,
  )
  put(
    'memory',
    `${bytes(view.used.rssBytes)} used of ${bytes(view.offer.memoryBytes)}; disk ${bytes(view.used.diskBytes)} of ${bytes(view.used.diskQuotaBytes)}`,
  )
  const { monthlyBytes } = view.used
  const traffic = view.used.sentBytes + view.used.receivedBytes
  put('network', `${bytes(traffic)} this month${monthlyBytes ? ` of ${bytes(monthlyBytes)}` : ''}`)
  for (const slice of view.slices.slice(0, MAX_LISTED)) put(`slice ${slice.index + 1}`, sliceText(slice))
  if (view.slices.length > MAX_LISTED) put('', `… and ${view.slices.length - MAX_LISTED} more`)
  const owner = ownerText(view)
  if (owner) put('you', owner)
  const { credit } = view
  put(
    'earned',
    `${count(credit.samplesIncluded)} samples in trained models, ${plural(credit.leases, 'lease')}, ${duration(credit.cpuSeconds * 1000)} of CPU`,
  )
  if (view.capacity)
    put(
      'credited',
      `${view.capacity.creditedCores.toFixed(2)} of ${cores(view.capacity.claimedCores)} shown in ${plural(view.capacity.challenges, 'challenge')}`,
    )
  const forecast = forecastText(view)
  if (forecast) put('forecast', forecast)
  if (view.isolation) put('isolation', view.isolation.sentence)
  return lines
}

function sliceText(slice: MachineSlice): string {
  if (!slice.job) return slice.state
  return [
    slice.jobName ?? shortId(slice.job),
    slice.state,
    slice.round === undefined ? '' : `round ${slice.round + 1}`,
    `${count(slice.samplesPerSecond)} samples/s`,
    slice.loss === undefined ? '' : `loss ${figure(slice.loss)}`,
    cores(slice.usedCores),
  ]
    .filter(Boolean)
    .join('  ')
}

/** What the sensors say of the owner's side. */
function ownerText({ owner, slowed }: MachineView): string {
  return [
    owner.othersCores === undefined ? '' : `your programs use ${cores(owner.othersCores)}`,
    owner.temperatureC === undefined ? '' : `${Math.round(owner.temperatureC)} °C`,
    owner.onBattery
      ? `on battery${owner.batteryShare === undefined ? '' : ` (${Math.round(owner.batteryShare * 100)} %)`}`
      : '',
    slowed?.lentMs ? `slowed ${percent(slowed.share)} at most in the ${duration(slowed.lentMs)} lent this week` : '',
  ]
    .filter(Boolean)
    .join(', ')
}

function forecastText({ forecast }: MachineView): string | undefined {
  if (!forecast || forecast.survival.length === 0) return undefined
  const chances = forecast.survival.map(
    ({ minutes, probability }) => `${Math.round(probability * 100)} % in ${duration(minutes * 60_000)}`,
  )
  return `still here: ${chances.join(', ')}`
}

/** Why it does not work and what ends that, and for how long it has been so. */
export const pauseSentence = ({ sentence, since }: Pause, now = Date.now()): string =>
  now - since > 1000 ? `${sentence} (for ${duration(now - since)})` : sentence

const cores = (n: number): string => `${n.toFixed(2)} ${n === 1 ? 'core' : 'cores'}`
const plural = (n: number, word: string): string => `${whole(n)} ${n === 1 ? word : `${word}s`}`
const percent = (share: number): string => `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`
const cut = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text
/** A multiaddr without the long id at its end. */
const shortAddress = (address = ''): string => address.replace(/\/p2p\/\w*?(\w{8})$/, ' …$1')
