import type { ReactNode } from 'react'

interface Props {
  label: string
  /** Undefined while it is not known yet: a grey bar of the same height stands there. */
  value: string | undefined
  unit?: string | undefined
  note?: ReactNode
  children?: ReactNode
}

/** One number with its name. */
export function Stat({ label, value, unit, note, children }: Props) {
  return (
    <div className="stat">
      <dt>{label}</dt>
      <dd>
        <span className="stat-value">
          {value === undefined ? <span className="skeleton stat-skeleton" /> : value}
          {value !== undefined && unit !== undefined && <span className="stat-unit"> {unit}</span>}
        </span>
        {children}
        <span className="stat-note">{note ?? '\u00a0'}</span>
      </dd>
    </div>
  )
}
