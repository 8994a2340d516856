import type { ContributorView, Share } from '@pingo/wire'
import { percent, plural, rate, whole } from '../core/format.ts'
import { Section } from './section.tsx'
import { Swatch } from './swatch.tsx'

interface Props {
  shares: readonly Share[]
  colours: ReadonlyMap<string, number>
  contributors: readonly ContributorView[]
}

const SHOWN = 12

/** Who did how much of the job. */
export function Shares({ shares, colours, contributors }: Props) {
  const total = shares.reduce((sum, share) => sum + share.samples, 0)
  if (total === 0) return null
  const most = Math.max(...shares.map((share) => share.samples))
  const now = new Map(contributors.map((contributor) => [contributor.id, contributor]))
  const ordered = [...shares].sort((a, b) => b.samples - a.samples)
  const rest = ordered.slice(SHOWN)
  return (
    <Section title="Who did what" aside={plural(shares.length, 'contributor')}>
      <ul className="panel shares">
        {ordered.slice(0, SHOWN).map((share) => {
          const speed = now.get(share.contributor)?.samplesPerSecond ?? 0
          return (
            <li key={share.contributor} className="share">
              <span className="share-name" title={share.contributor}>
                <Swatch index={colours.get(share.contributor)} /> {share.name}
              </span>
              <span className="share-track" aria-hidden="true">
                <span
                  className={`share-fill colour-${colours.get(share.contributor) ?? 0}`}
                  style={{ width: `${(share.samples / most) * 100}%` }}
                />
              </span>
              <span className="share-part">{percent(share.samples / total)}</span>
              <span className="share-samples">{whole(share.samples)} samples</span>
              <span className="share-updates muted">
                {plural(share.updates, 'update')}
                {speed > 0 && <> · {rate(speed)}</>}
              </span>
            </li>
          )
        })}
        {rest.length > 0 && (
          <li className="share share-rest muted">
            and {plural(rest.length, 'other')} with{' '}
            {percent(rest.reduce((sum, share) => sum + share.samples, 0) / total)} together
          </li>
        )}
      </ul>
    </Section>
  )
}
