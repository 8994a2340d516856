/** PinGo's word mark: geometric strokes, the dot of the i sends a ping. */
export function Wordmark() {
  return (
    <svg className="wordmark" viewBox="0 0 96 32" role="img" aria-label="PinGo" fill="none">
      <g stroke="currentColor" strokeWidth="3" strokeLinecap="round" strokeLinejoin="round">
        <path d="M4 27V7h6.2a5.9 5.9 0 0 1 0 11.8H4" />
        <path d="M24.5 27V14.4" />
        <path d="M33 27V14.4M33 19.6a5.6 5.6 0 0 1 11.2 0V27" />
        <path d="M69 10.4A10 10 0 1 0 71.6 17.6H63.4" />
        <circle cx="85.2" cy="20.4" r="6.6" />
      </g>
      <circle cx="24.5" cy="8" r="2.1" fill="var(--accent)" />
      <g stroke="var(--accent)" strokeWidth="1.5" strokeLinecap="round">
        <path d="M28.3 4.9a5 5 0 0 1 0 6.2" />
        <path d="M31.1 2.7a8.6 8.6 0 0 1 0 10.6" opacity="0.5" />
      </g>
    </svg>
  )
}
