import type { Share } from '@pingo/wire'
import { percent } from '../core/format.ts'
import { OTHERS } from '../core/palette.ts'

/** Who did what of one round, as one bar. */
export function StackedBar({ shares, colours }: { shares: readonly Share[]; colours: ReadonlyMap<string, number> }) {
  const total = shares.reduce((sum, share) => sum + share.samples, 0)
  if (total === 0) return <span className="muted">–</span>
  const colourOf = (share: Share) => colours.get(share.contributor) ?? OTHERS
  const ordered = [...shares].sort((a, b) => colourOf(a) - colourOf(b))
  const words = ordered.map((share) => `${share.name} ${percent(share.samples / total, 0)}`).join(', ')
  return (
    <span className="stack" role="img" aria-label={words} title={words}>
      {ordered.map((share) => (
        <span
          key={share.contributor}
          className={`colour-${colourOf(share)}`}
          style={{ width: `${(share.samples / total) * 100}%` }}
        />
      ))}
    </span>
  )
}
