/** Time, as an argument: a test turns it by hand. */
export interface Timing {
  /** ms, of any beginning. */
  now(): number
  /** Calls back once. @returns ends it */
  after(ms: number, call: () => void): () => void
}

export const realTiming: Timing = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms)
    return () => clearTimeout(timer)
  },
}
