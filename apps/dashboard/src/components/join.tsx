import type { NetworkView } from '@pingo/wire'
import { joinCommand } from '../core/join.ts'
import { Command } from './command.tsx'
import { Section } from './section.tsx'

/** How another machine lends its cores to this fog node. */
export function Join({ fog }: { fog: NetworkView['fog'] }) {
  const join = joinCommand(fog.addresses, fog.id)
  return (
    <Section title="Add a machine">
      <div className="panel join">
        {join === undefined ? (
          <p className="muted">This fog node listens on no address yet.</p>
        ) : (
          <>
            <p className="muted">
              {join.reachable
                ? 'Run this on any machine that can reach this one. It lends idle cores only, and stops when its owner wants them.'
                : 'This fog node listens on its own machine only, so this works there. To let others join, start it on an address of the local network.'}
            </p>
            <Command text={join.text} what="the command that adds a machine" />
          </>
        )}
      </div>
    </Section>
  )
}
