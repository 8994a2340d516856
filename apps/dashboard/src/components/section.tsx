import { type ReactNode, useId } from 'react'

interface Props {
  title: string
  /** At the right of the title: a count, a switch. */
  aside?: ReactNode
  children: ReactNode
  className?: string
}

/** A titled part of a page. */
export function Section({ title, aside, children, className }: Props) {
  const id = useId()
  return (
    <section className={className === undefined ? 'section' : `section ${className}`} aria-labelledby={id}>
      <div className="section-head">
        <h2 id={id}>{title}</h2>
        {aside !== undefined && <div className="section-aside">{aside}</div>}
      </div>
      {children}
    </section>
  )
}
