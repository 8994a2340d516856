/** Between two successful polls. */
export const POLL_MS = 1_500
/** After a failed one: quick, so that a restarted fog node is found again at once, then calmer. */
export const RETRY_MS = [500, 1_000, 2_000, 3_000] as const

/** What the poller needs of its surroundings; in the page, the document and the window's timers. */
export interface PollerPorts {
  /** One poll. Rejects when it failed; must end when the signal aborts. */
  poll(signal: AbortSignal): Promise<void>
  hidden(): boolean
  /** Calls back when the page is shown or hidden; returns how to stop listening. */
  onVisibility(listener: () => void): () => void
  setTimer(action: () => void, ms: number): () => void
}

/** Polls for ever: never twice at a time, not while hidden, at once when shown again. Returns how to stop. */
export function startPoller(ports: PollerPorts): () => void {
  const stopped = new AbortController()
  let cancelTimer: (() => void) | undefined
  let running = false
  let failures = 0

  const schedule = (ms: number) => {
    cancelTimer?.()
    cancelTimer = ports.setTimer(run, ms)
  }
  const run = async () => {
    cancelTimer?.()
    cancelTimer = undefined
    if (running || stopped.signal.aborted || ports.hidden()) return
    running = true
    try {
      await ports.poll(stopped.signal)
      failures = 0
    } catch {
      failures++
    }
    running = false
    if (stopped.signal.aborted) return
    schedule(failures === 0 ? POLL_MS : (RETRY_MS[Math.min(failures, RETRY_MS.length) - 1] ?? POLL_MS))
  }
  const stopListening = ports.onVisibility(() => {
    if (ports.hidden()) cancelTimer?.()
    else void run()
  })
  void run()
  return () => {
    stopped.abort()
    cancelTimer?.()
    stopListening()
  }
}
