import type { MachineSlice, MachineView } from '@pingo/wire'
import { DataTable } from '../components/data-table.tsx'
import { Section } from '../components/section.tsx'
import { Stat } from '../components/stat.tsx'
import { StateChip } from '../components/state-chip.tsx'
import { bytes, compact, duration, percent, plural, speed } from '../core/format.ts'

const HOUR = 60

interface Props {
  view: MachineView
  pause: (minutes?: number) => unknown
  resume: () => unknown
}

const WORDS: Record<MachineView['state'], string> = {
  idle: 'Ready, and waiting for work',
  working: 'Working for others',
  paused: 'Paused',
  offline: 'Not connected to a fog node',
  leaving: 'Leaving the network',
}

/** What it does now, why it does not, and the switch. */
export function Now({ view, pause, resume }: Props) {
  const isHeld = view.pause?.reason === 'owner'
  const { owner, used, credit } = view
  return (
    <>
      <div className="panel machine-now" data-state={view.state}>
        <div className="machine-words">
          <p className="machine-name muted">{view.name}</p>
          <p className="machine-state">{WORDS[view.state]}</p>
          <p className="machine-why">{view.pause?.sentence ?? view.fog.reason ?? '\u00a0'}</p>
        </div>
        <div className="machine-switch">
          {isHeld ? (
            <button type="button" className="button machine-button" data-kind="start" onClick={resume}>
              Go on
            </button>
          ) : (
            <>
              <button type="button" className="button machine-button" onClick={() => pause()}>
                Pause
              </button>
              <button type="button" className="button" onClick={() => pause(HOUR)}>
                for an hour
              </button>
            </>
          )}
        </div>
      </div>
      <dl className="panel stats machine-stats" aria-label="Now">
        <Stat
          label="CPU"
          value={used.cores.toFixed(2)}
          unit={`of ${view.offer.cores.toFixed(2)} cores`}
          note={`${view.allowedCores.toFixed(2)} allowed now`}
        >
          <Share part={used.cores / view.offer.cores} />
        </Stat>
        <Stat label="Memory" value={bytes(used.rssBytes)} note={`of ${bytes(view.offer.memoryBytes)} lent`} />
        <Stat label="Disk" value={bytes(used.diskBytes)} note={`of ${bytes(used.diskQuotaBytes)} lent`} />
        <Stat
          label="Your programs"
          value={owner.othersCores === undefined ? '–' : owner.othersCores.toFixed(2)}
          unit="cores"
          note={
            view.slowed?.lentMs
              ? `slowed ${percent(view.slowed.share, 2)} at most in the ${duration(view.slowed.lentMs)} lent this week`
              : undefined
          }
        />
        <Stat
          label="Earned"
          value={compact(credit.samplesIncluded)}
          unit="samples"
          note={`in trained models · ${plural(credit.leases, 'lease')}`}
        />
      </dl>
      <p className="muted machine-line">{factsOf(view).join(' · ')}</p>
      <Section title="What runs" aside={plural(view.slices.length, 'slice')}>
        <Slices slices={view.slices} />
      </Section>
    </>
  )
}

/** An SVG, since the page's policy allows no style in the markup. */
function Share({ part }: { part: number }) {
  const width = Math.max(0, Math.min(1, Number.isFinite(part) ? part : 0)) * 100
  return (
    <svg className="machine-share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect width="100" height="6" fill="var(--surface-2)" />
      <rect width={width} height="6" fill="var(--accent)" />
    </svg>
  )
}

function factsOf(view: MachineView): string[] {
  const { owner, used, forecast, capacity, isolation } = view
  const traffic = used.sentBytes + used.receivedBytes
  const quarter = forecast?.survival.find(({ minutes }) => minutes === 15)
  return [
    `${bytes(traffic)} of network traffic this month${used.monthlyBytes ? ` of ${bytes(used.monthlyBytes)}` : ''}`,
    owner.temperatureC === undefined ? '' : `${Math.round(owner.temperatureC)} °C`,
    owner.onBattery ? 'on battery' : '',
    quarter ? `${percent(quarter.probability, 0)} likely to go on for 15 minutes` : '',
    capacity ? `${capacity.creditedCores.toFixed(2)} cores shown to fog nodes` : '',
    isolation?.sentence ?? '',
  ].filter(Boolean)
}

function Slices({ slices }: { slices: MachineSlice[] }) {
  return (
    <DataTable
      caption="Slices"
      rows={slices}
      rowKey={(slice) => slice.index}
      columns={[
        {
          key: 'job',
          label: 'Job',
          heading: true,
          cell: (slice) => slice.jobName ?? slice.job ?? `Slice ${slice.index + 1}`,
        },
        { key: 'state', label: 'State', cell: (slice) => <StateChip state={slice.state} /> },
        {
          key: 'round',
          label: 'Round',
          numeric: true,
          empty: (slice) => slice.round === undefined,
          cell: (slice) => (slice.round ?? 0) + 1,
        },
        {
          key: 'speed',
          label: 'Samples/s',
          numeric: true,
          empty: (slice) => !slice.job,
          cell: (slice) => speed(slice.samplesPerSecond),
        },
        {
          key: 'loss',
          label: 'Loss',
          numeric: true,
          empty: (slice) => slice.loss === undefined,
          cell: (slice) => slice.loss?.toPrecision(4),
        },
        {
          key: 'cores',
          label: 'Cores',
          numeric: true,
          cell: (slice) => `${slice.usedCores.toFixed(2)} of ${slice.cores.toFixed(2)}`,
        },
        { key: 'memory', label: 'Memory', numeric: true, cell: (slice) => bytes(slice.rssBytes) },
      ]}
    />
  )
}

export const longAgo = (ms: number): string => `${duration(ms)} ago`
