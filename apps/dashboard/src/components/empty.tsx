import type { ReactNode } from 'react'

/** What stands where a list has nothing yet: what it is for, and how it fills. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  )
}
