import type { BrowserView } from '@pingo/contributor/browser'
import { Identifier } from '../components/identifier.tsx'
import { Stat } from '../components/stat.tsx'
import { loss, NONE, plural, speed, whole } from '../core/format.ts'
import type { Ledger } from './use-ledger.ts'

/** What runs, for whom, how fast, and what it has earned. */
export function Facts({ view, ledger }: { view: BrowserView; ledger: Ledger | undefined }) {
  return (
    <div className="panel">
      <dl className="contribute-stats">
        <Stat label="Speed" value={speed(view.samplesPerSecond)} unit="samples/s" note="of the last seconds" />
        <Stat
          label="Samples handed in"
          value={whole(view.samplesAccepted)}
          note={`in ${plural(view.leases, 'lease')}`}
        />
        <Stat label="Samples credited" value={ledger ? whole(ledger.samples) : NONE} note="in all, in the ledger" />
      </dl>
      <dl className="facts">
        <div>
          <dt>Job</dt>
          <dd>{view.jobName ?? view.job ?? NONE}</dd>
        </div>
        <div>
          <dt>Round, loss</dt>
          <dd>
            {view.round === undefined ? NONE : whole(view.round + 1)}, {view.job === undefined ? NONE : loss(view.loss)}
          </dd>
        </div>
        <div>
          <dt>Steps of this lease</dt>
          <dd>{view.job === undefined ? NONE : whole(view.steps)}</dd>
        </div>
        <div>
          <dt>For the fog node</dt>
          <dd>{view.fog === undefined ? NONE : <Identifier id={view.fog} what="fog node id" />}</dd>
        </div>
        <div>
          <dt>As</dt>
          <dd>
            <Identifier id={view.peerId} what="this browser's id" />
          </dd>
        </div>
        <div>
          <dt>Shown in challenges</dt>
          <dd>{view.capacity === undefined ? NONE : `${(view.capacity.creditedFlops / 1e9).toFixed(1)} GFLOP/s`}</dd>
        </div>
        <div>
          <dt>Runs in</dt>
          <dd>{view.runtime === undefined ? NONE : view.runtime}</dd>
        </div>
      </dl>
      {!view.isKept && (
        <p className="facts-note">
          This window keeps nothing: when it is closed, the next visit is another contributor, with a credit of its own.
        </p>
      )}
    </div>
  )
}
