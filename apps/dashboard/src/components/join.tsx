import type { JoinCommand } from '../core/join.ts'
import { Command } from './command.tsx'
import { Section } from './section.tsx'

/** How another machine lends its cores to this fog node. */
export function Join({ join }: { join: JoinCommand }) {
  return (
    <Section title="Add a machine">
      <div className="panel join">
        <p className="muted">
          {join.reachable
            ? 'Run this on any machine that can reach this one. It lends idle cores only, and stops when its owner wants them.'
            : 'This fog node listens on its own machine only, so this works there. Others can join one that was started with npx pingo fog --host 0.0.0.0.'}
        </p>
        <Command text={join.text} what="the command that adds a machine" />
        <p className="muted">
          Or without installing anything, on a phone too:{' '}
          <a className="text-link" href="/contribute">
            contribute in this browser
          </a>
          .
        </p>
      </div>
    </Section>
  )
}
