import { clock } from '../core/format.ts'
import type { NetworkState } from '../core/network-state.ts'

/** Says that the fog node is gone, or back. Lies over the page, so that nothing on it moves. */
export function Toast({ state, dismiss }: { state: NetworkState; dismiss: () => void }) {
  const lost = state.connection === 'lost' && state.lostSince !== undefined ? state.lostSince : undefined
  const words =
    lost !== undefined ? (
      <>
        <strong>No answer from the fog node since {clock(lost)}.</strong> Trying again by itself
        {state.network ? '; the numbers are from before.' : '.'}
      </>
    ) : state.notice?.kind === 'restarted' ? (
      <>
        <strong>The fog node was restarted</strong> at {clock(state.notice.at)}. The page has caught up.
      </>
    ) : state.notice?.kind === 'recovered' ? (
      <>
        <strong>Connected again</strong> at {clock(state.notice.at)}. The page has caught up.
      </>
    ) : undefined

  return (
    <div className="toast-place" role="status" aria-live="polite">
      {words !== undefined && (
        <div className="toast" data-kind={lost === undefined ? 'good' : 'bad'}>
          <span>{words}</span>
          {lost === undefined && (
            <button type="button" className="toast-close" onClick={dismiss} aria-label="Close this notice">
              ×
            </button>
          )}
        </div>
      )}
    </div>
  )
}
