import type { StorageView } from '@pingo/wire'
import { plural, whole } from '../core/format.ts'
import { healthBars } from '../core/storage-state.ts'
import { Empty } from './empty.tsx'
import { Section } from './section.tsx'

/** Stripes in this node's care by how many shards they lack. */
export function StorageHealth({ storage: { care, repairs } }: { storage: StorageView }) {
  const bars = healthBars(care.stripesByMissing)
  const most = Math.max(1, ...bars.map(({ stripes }) => stripes))
  const total = bars.reduce((sum, { stripes }) => sum + stripes, 0)
  const aside =
    repairs.lost > 0 ? `${plural(repairs.lost, 'stripe')} seen with too few shards` : plural(total, 'stripe')
  return (
    <Section title="Health" aside={total > 0 ? aside : undefined}>
      <div className="panel">
        {total === 0 ? (
          <Empty title="Nothing checked yet">
            <p className="muted">The first in rank of an object's caretakers checks it each day, and tells here.</p>
          </Empty>
        ) : (
          <dl className="health">
            {bars.map(({ missing, stripes }) => (
              <div key={missing} className="health-row">
                <dt>{missing === 0 ? 'whole' : `${plural(missing, 'shard')} missing`}</dt>
                <dd>
                  <span
                    className="health-bar"
                    data-need={missing > 1 ? 'repair' : undefined}
                    style={{ width: `${(stripes / most) * 100}%` }}
                    aria-hidden="true"
                  />
                  <span className="health-count">{whole(stripes)}</span>
                </dd>
              </div>
            ))}
          </dl>
        )}
      </div>
    </Section>
  )
}
