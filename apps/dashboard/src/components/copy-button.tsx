import { useEffect, useState } from 'react'
import { copyText } from '../core/copy.ts'

const SAID_MS = 1_600

/** Copies `text`; `what` names it for those who cannot see the icon. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [outcome, setOutcome] = useState<'copied' | 'failed'>()

  useEffect(() => {
    if (outcome === undefined) return
    const timer = setTimeout(() => setOutcome(undefined), SAID_MS)
    return () => clearTimeout(timer)
  }, [outcome])

  const said = outcome === 'copied' ? 'Copied' : outcome === 'failed' ? 'Not copied: select the text instead' : ''
  return (
    <button
      type="button"
      className="copy"
      data-outcome={outcome}
      aria-label={`Copy ${what}`}
      title={said || `Copy ${what}`}
      onClick={async () => setOutcome((await copyText(text)) ? 'copied' : 'failed')}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.5">
        {outcome === 'copied' ? (
          <path d="M3.5 8.5l3 3 6-7" strokeLinecap="round" strokeLinejoin="round" />
        ) : outcome === 'failed' ? (
          <path d="M4.5 4.5l7 7m0-7l-7 7" strokeLinecap="round" />
        ) : (
          <>
            <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
            <path d="M10.5 3.2v-.2a1 1 0 0 0-1-1H3.500a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h.2" />
          </>
        )}
      </svg>
      <span className="visually-hidden" role="status">
        {said}
      </span>
    </button>
  )
}
