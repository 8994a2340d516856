import { useEffect, useReducer } from 'react'
import { fetchOverview } from '../core/api.ts'
import { initialNetworkState, type NetworkState, networkReducer } from '../core/network-state.ts'
import { startPoller } from '../core/poller.ts'
import { reason } from '../core/reason.ts'

/** A notice that nobody closed goes by itself. */
const NOTICE_MS = 12_000

/** The fog node's network and jobs, polled while the page is looked at. */
export function useNetwork(): NetworkState & { dismissNotice: () => void } {
  const [state, dispatch] = useReducer(networkReducer, initialNetworkState)

  useEffect(
    () =>
      startPoller({
        poll: async (signal) => {
          try {
            const overview = await fetchOverview(signal)
            dispatch({ type: 'polled', overview, at: Date.now() })
          } catch (error) {
            if (!signal.aborted) dispatch({ type: 'failed', error: reason(error), at: Date.now() })
            throw error
          }
        },
        hidden: () => document.hidden,
        onVisibility: (listener) => {
          document.addEventListener('visibilitychange', listener)
          return () => document.removeEventListener('visibilitychange', listener)
        },
        setTimer: (action, ms) => {
          const timer = setTimeout(action, ms)
          return () => clearTimeout(timer)
        },
      }),
    [],
  )

  const notice = state.notice
  useEffect(() => {
    if (notice === undefined) return
    const timer = setTimeout(() => dispatch({ type: 'notice-read' }), NOTICE_MS)
    return () => clearTimeout(timer)
  }, [notice])

  return { ...state, dismissNotice: () => dispatch({ type: 'notice-read' }) }
}
