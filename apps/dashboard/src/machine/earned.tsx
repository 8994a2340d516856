import type { Earnings, LeaseRecord } from '@pingo/wire'
import { DataTable } from '../components/data-table.tsx'
import { Empty } from '../components/empty.tsx'
import { Section } from '../components/section.tsx'
import { StateChip } from '../components/state-chip.tsx'
import { compact, duration, plural, whole } from '../core/format.ts'
import { longAgo } from './now.tsx'

const DAYS = 30
const DAY_MS = 86_400_000
const BAR = 10
const HEIGHT = 80

/** What counted, by day, and what was run. */
export function Earned({ earnings, leases }: { earnings: Earnings; leases: LeaseRecord[] }) {
  const { total } = earnings
  return (
    <>
      <Section
        title="Earned"
        aside={`${compact(total.samplesIncluded)} samples · ${duration(total.cpuSeconds * 1000)} of CPU`}
      >
        <div className="panel machine-earned">
          {total.leases === 0 ? (
            <Empty title="Nothing has counted yet">
              <p className="muted">Samples count when the round that has them is committed.</p>
            </Empty>
          ) : (
            <Days earnings={earnings} />
          )}
        </div>
      </Section>
      {leases.length > 0 && (
        <Section title="What was run" aside={`the last ${plural(leases.length, 'lease')}`}>
          <Leases leases={leases} />
        </Section>
      )}
    </>
  )
}

/** Samples of each of the last days. */
function Days({ earnings }: { earnings: Earnings }) {
  const sums = new Map(earnings.days.map(({ day, samplesIncluded }) => [day, samplesIncluded]))
  const days = Array.from({ length: DAYS }, (_, n) =>
    new Date(Date.now() - (DAYS - 1 - n) * DAY_MS).toISOString().slice(0, 10),
  )
  const peak = Math.max(1, ...days.map((day) => sums.get(day) ?? 0))
  return (
    <>
      <svg
        className="machine-days"
        viewBox={`0 0 ${DAYS * BAR} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Samples in trained models on each of the last ${DAYS} days, ${compact(peak)} at most`}
      >
        {days.map((day, n) => {
          const samples = sums.get(day) ?? 0
          const height = samples > 0 ? Math.max(2, (samples / peak) * HEIGHT) : 1
          return (
            <rect
              key={day}
              x={n * BAR + 1}
              y={HEIGHT - height}
              width={BAR - 2}
              height={height}
              fill={samples > 0 ? 'var(--accent)' : 'var(--line-strong)'}
            >
              <title>{`${day}: ${whole(samples)} samples`}</title>
            </rect>
          )
        })}
      </svg>
      <p className="muted machine-axis">
        <span>{days[0]}</span>
        <span>most in a day: {compact(peak)} samples</span>
        <span>today (UTC)</span>
      </p>
    </>
  )
}

function Leases({ leases }: { leases: LeaseRecord[] }) {
  const now = Date.now()
  return (
    <DataTable
      caption="Leases that were run here"
      rows={leases}
      rowKey={(lease) => lease.lease}
      page={10}
      columns={[
        { key: 'job', label: 'Job', heading: true, cell: (lease) => lease.jobName ?? lease.job },
        { key: 'fog', label: 'For', cell: (lease) => <span title={lease.fog}>…{lease.fog.slice(-8)}</span> },
        {
          key: 'outcome',
          label: 'Outcome',
          cell: (lease) => (
            <span title={lease.why}>
              <StateChip state={lease.outcome} />
            </span>
          ),
        },
        { key: 'round', label: 'Round', numeric: true, cell: (lease) => lease.round + 1 },
        { key: 'samples', label: 'Samples', numeric: true, cell: (lease) => whole(lease.samples) },
        { key: 'time', label: 'Took', numeric: true, cell: (lease) => duration(lease.endedAt - lease.startedAt) },
        { key: 'ended', label: 'Ended', numeric: true, cell: (lease) => longAgo(Math.max(0, now - lease.endedAt)) },
      ]}
    />
  )
}
