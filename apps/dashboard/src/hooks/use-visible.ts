import { useSyncExternalStore } from 'react'

function subscribe(listener: () => void): () => void {
  document.addEventListener('visibilitychange', listener)
  return () => document.removeEventListener('visibilitychange', listener)
}

/** Whether the page is looked at (its tab is not hidden). */
export const useVisible = (): boolean => useSyncExternalStore(subscribe, () => !document.hidden)
