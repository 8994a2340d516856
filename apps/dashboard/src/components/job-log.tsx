import { clock } from '../core/format.ts'
import type { LogLine } from '../core/job-state.ts'
import { Section } from './section.tsx'

/** What happened, the latest first. */
export function JobLog({ lines }: { lines: readonly LogLine[] }) {
  if (lines.length === 0) return null
  return (
    <Section title="Log">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region must be reachable by keyboard. */}
      <ol className="panel log" tabIndex={0} aria-label="Log of the job, latest first">
        {[...lines].reverse().map((line) => (
          <li key={`${line.at} ${line.seq} ${line.message}`} className="log-line" data-level={line.level}>
            <time dateTime={new Date(line.at).toISOString()}>{clock(line.at)}</time>
            <span className="log-text">
              {line.level !== 'info' && <b>{line.level === 'warn' ? 'Warning: ' : 'Error: '}</b>}
              {line.message}
            </span>
          </li>
        ))}
      </ol>
    </Section>
  )
}
