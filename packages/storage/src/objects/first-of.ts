import { pause } from './abort.ts'

export interface FirstOfOptions {
  signal?: AbortSignal
  /** Asks the next one as well when nobody answered for so long, ms. */
  hedgeMs: number
  /** Asked at once from the start, 1 by default. */
  atOnce?: number
}

/**
 * Asks one after another, in order, until one answers: the next at once when one fails, and beside the others when none answers in
 * time (hedged requests; Dean & Barroso 2013, "The Tail at Scale"). The others are told to stop.
 * @returns the first answer; undefined when all failed
 * @throws the signal's reason
 */
export async function firstOf<N, T>(
  asked: readonly N[],
  ask: (one: N, signal: AbortSignal) => Promise<T>,
  o: FirstOfOptions,
): Promise<{ value: T; from: N } | undefined> {
  o.signal?.throwIfAborted()
  const stop = new AbortController()
  const signal = o.signal ? AbortSignal.any([o.signal, stop.signal]) : stop.signal
  const left = [...asked]
  const running = new Set<Promise<Answer<N, T>>>()
  const start = () => {
    const from = left.shift()
    if (from === undefined) return
    const answer: Promise<Answer<N, T>> = ask(from, signal).then(
      (value) => ({ answer, found: { value, from } }),
      () => ({ answer, found: undefined }),
    )
    running.add(answer)
  }
  try {
    for (let n = 0; n < (o.atOnce ?? 1); n++) start()
    while (running.size > 0) {
      const timer = new AbortController()
      const late = left.length > 0 ? [pause(o.hedgeMs, timer.signal).catch(() => undefined)] : []
      const first = await Promise.race([...running, ...late])
      timer.abort()
      o.signal?.throwIfAborted()
      if (first?.found) return first.found
      if (first) running.delete(first.answer)
      start()
    }
    return undefined
  } finally {
    stop.abort()
  }
}

interface Answer<N, T> {
  answer: Promise<Answer<N, T>>
  found: { value: T; from: N } | undefined
}
