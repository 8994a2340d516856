import { useEffect } from 'react'

/** Keeps the screen on while `wanted` and the page is in view; without effect where a browser cannot, or a low battery forbids it. */
export function useWakeLock(wanted: boolean, isHidden: boolean): void {
  useEffect(() => {
    if (!wanted || isHidden || !('wakeLock' in navigator)) return
    const lock = navigator.wakeLock.request('screen').catch(() => undefined)
    return () => void lock.then((held) => held?.release()).catch(() => undefined)
  }, [wanted, isHidden])
}
