import { useEffect, useReducer } from 'react'
import { fetchStorage } from '../core/api.ts'
import { startPoller } from '../core/poller.ts'
import { reason } from '../core/reason.ts'
import { initialStorageState, type StorageState, storageReducer } from '../core/storage-state.ts'

/** The fog node's part in the storage network, polled while the page is looked at. `epoch`: read anew when it changes. */
export function useStorage(epoch: number): StorageState {
  const [state, dispatch] = useReducer(storageReducer, initialStorageState)

  // Dependencies: a changed epoch is a reason to read anew.
  useEffect(
    () =>
      startPoller({
        poll: async (signal) => {
          try {
            dispatch({ type: 'polled', ...(await fetchStorage(signal)) })
          } catch (error) {
            if (!signal.aborted) dispatch({ type: 'failed', error: reason(error) })
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
    [epoch],
  )
  return state
}
