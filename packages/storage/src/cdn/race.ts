import { type CID, isPinGoError, matchesCid, PinGoError } from '@pingo/wire'
import type { Arrivals } from './follow.ts'
import type { BlockHolder } from './port.ts'
import type { Scores } from './scores.ts'
import type { Timing } from './timing.ts'

/** Holders asked for one block at once. */
const MAX_RACERS = 3

interface Event {
  /** What ended: a racer, the wait for more holders, the first one's time. */
  kind: 'came' | 'failed' | 'holders' | 'nobody' | 'late'
  racer?: Racer
  bytes?: Uint8Array
  holders?: BlockHolder[]
  holder?: BlockHolder
}
interface Racer {
  end: Promise<Event>
}

/**
 * Gets a block from whoever has it first: the likeliest holder is asked, the next at once when that one fails or lies, and beside it when it
 * takes longer than it should (hedged requests; Dean & Barroso 2013, "The Tail at Scale"). The others are told to stop.
 * @param o.arrivals told of what comes, for who reads it as it comes
 * @param batches further holders are looked for only when they are needed
 * @throws PinGoError BLOCK_MISSING when all were asked; BLOCK_UNREACHABLE when some of them did not answer; or the signal's reason
 */
export async function race(
  cid: CID,
  batches: AsyncIterable<BlockHolder[]>,
  o: { signal: AbortSignal; scores: Scores; timing: Timing; arrivals?: Arrivals },
): Promise<Uint8Array> {
  const { scores, timing, arrivals } = o
  const stop = new AbortController()
  const signal = AbortSignal.any([o.signal, stop.signal])
  const aborted = new Promise<never>((_, reject) => {
    o.signal.addEventListener('abort', () => reject(o.signal.reason), { once: true, signal: stop.signal })
  })
  aborted.catch(() => undefined)
  const more = batches[Symbol.asyncIterator]()
  const running = new Set<Racer>()
  const reasons: string[] = []
  let left: BlockHolder[] = []
  let looking: Promise<Event> | undefined
  let isExhausted = false
  let isLate = false
  let isUnsure = false
  let late: { promise: Promise<Event>; cancel(): void } | undefined

  const ask = async (racer: Racer, holder: BlockHolder): Promise<Event> => {
    const ended = scores.asked(holder)
    try {
      const onProgress = arrivals && ((came: Uint8Array, total: number) => arrivals.note(racer, came, total))
      const bytes = await holder.get(cid, { signal, onProgress })
      if (matchesCid(cid, bytes)) {
        ended('came')
        return { kind: 'came', racer, bytes }
      }
      ended('lied')
      reasons.push(`${holder.id} sent wrong bytes`)
    } catch (error) {
      if (signal.aborted) ended('stopped')
      else if (isPinGoError(error, 'BLOCK_MISMATCH') || isPinGoError(error, 'BLOCK_CORRUPT')) ended('lied')
      else if (isPinGoError(error, 'BLOCK_MISSING')) ended('lacks')
      else {
        ended('failed')
        isUnsure = true
      }
      reasons.push(isPinGoError(error) ? error.message : `${holder.id} failed`)
    }
    arrivals?.drop(racer)
    return { kind: 'failed', racer }
  }
  const wait = (holder: BlockHolder) => {
    const { promise, resolve } = Promise.withResolvers<Event>()
    const cancel = timing.after(scores.hedgeMs(holder), () => resolve({ kind: 'late', holder }))
    late = { promise, cancel }
  }
  const start = (holder: BlockHolder) => {
    const racer = {} as Racer
    racer.end = ask(racer, holder)
    running.add(racer)
    isLate = false
    late?.cancel()
    late = undefined
    if (running.size < MAX_RACERS) wait(holder)
  }
  const look = async (): Promise<Event> => {
    const { done, value } = await more.next()
    return done ? { kind: 'nobody' } : { kind: 'holders', holders: value }
  }

  try {
    o.signal.throwIfAborted()
    for (;;) {
      const wantsOne = () => running.size === 0 || isLate
      while (left.length > 0 && wantsOne()) start(left.shift()!)
      if (wantsOne() && !isExhausted) looking ??= look()
      if (running.size === 0 && !looking) throw nobody(cid, reasons, isUnsure)
      const events = [...running].map(({ end }) => end)
      if (looking) events.push(looking)
      if (late && !isLate) events.push(late.promise)
      const event = await Promise.race([...events, aborted])
      if (event.kind === 'came') return event.bytes!
      if (event.kind === 'failed') running.delete(event.racer!)
      if (event.kind === 'late') {
        isLate = scores.mayHedge()
        if (!isLate) wait(event.holder!)
      }
      if (event.kind === 'holders' || event.kind === 'nobody') looking = undefined
      if (event.kind === 'nobody') isExhausted = true
      if (event.kind === 'holders') left = scores.rank([...left, ...event.holders!])
    }
  } finally {
    late?.cancel()
    stop.abort()
    looking?.catch(() => undefined)
    // a search that is on its way ends by its signal; nobody waits for it
    if (!looking) void more.return?.()
  }
}

function nobody(cid: CID, reasons: string[], isUnsure: boolean): PinGoError {
  const why = reasons.length > 0 ? ` (${reasons.slice(-4).join(' ')})` : ''
  if (!isUnsure)
    return new PinGoError('BLOCK_MISSING', `No node that answers has block ${cid}${why}.`, {
      hint: 'Check the address; or those that hold it are down: try again later.',
    })
  return new PinGoError('BLOCK_UNREACHABLE', `Block ${cid} cannot be had now${why}.`, {
    hint: 'Nodes that may have it do not answer: try again later.',
  })
}
