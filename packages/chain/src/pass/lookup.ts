import { isPinGoError, PinGoError } from '@pingo/wire'
import type { Address } from '@ton/core'

/** What the chain says of a pass. */
export interface PassState {
  owner: Address
  collection: Address
  /** Seconds since 1970; 0 while it is not revoked (TEP-85). */
  revokedAt: number
  /** 0 where there is none any more: its owner has destroyed it. */
  level: number
  /** Epoch of the credit root that its level was proven by. */
  epoch: number
}

/** Where passes of one collection are read. */
export interface PassReader {
  readonly collection: Address
  /** The pass of an owner: computed here from the code of passes, never asked of anybody. */
  passOf(owner: Address): Address
  /** What the chain says of the contract there; undefined where there is none. */
  read(pass: Address, o: { signal: AbortSignal }): Promise<PassState | undefined>
}

/** Whether somebody may use the network, and why not. */
export type PassAnswer =
  | { standing: 'held'; pass: Address; level: number; epoch: number }
  | { standing: 'revoked'; pass: Address; revokedAt: number }
  | { standing: 'none'; pass: Address }

/** How long a pass that is held is taken to be held: a revoked pass may be used for so long at most. */
export const HELD_TTL_MS = 60_000
/** How long none is taken to be none: whoever has just got a pass waits for so long at most. */
export const NONE_TTL_MS = 5_000
export const MAX_CACHED = 10_000
/** Look-ups under way at once; others are turned away rather than queued. */
export const MAX_UNDER_WAY = 256
export const LOOKUP_DEADLINE_MS = 10_000

/** Passes by their owners, as the chain has them or had them a moment ago. */
export interface PassLookup {
  /** @throws PinGoError PASS_UNKNOWN when the chain cannot be asked, PASS_BUSY */
  find(owner: Address, o?: { signal?: AbortSignal }): Promise<PassAnswer>
  /**
   * The pass of an owner who may use the network.
   *
   * @param o.presented - a pass that the owner shows: it must be the very one of this collection.
   * @throws PinGoError PASS_NONE, PASS_REVOKED, PASS_LEVEL, PASS_FOREIGN, PASS_UNKNOWN or PASS_BUSY: nobody is let in by a failure
   */
  require(
    owner: Address,
    o?: { minLevel?: number; presented?: Address; signal?: AbortSignal },
  ): Promise<Extract<PassAnswer, { standing: 'held' }>>
  /** Asks the chain again at the next look-up, as after a pass was claimed. */
  forget(owner: Address): void
}

/**
 * Looks passes up, with a cache: an answer holds for a while, equal questions at once are one, and of many owners the longest unused are
 * forgotten. Failures are not remembered.
 *
 * @param o.now - milliseconds since 1970.
 */
export function createPassLookup(
  reader: PassReader,
  o: {
    now?: () => number
    heldTtlMs?: number
    noneTtlMs?: number
    maxCached?: number
    maxUnderWay?: number
    deadlineMs?: number
  } = {},
): PassLookup {
  const { now = Date.now, heldTtlMs = HELD_TTL_MS, noneTtlMs = NONE_TTL_MS } = o
  const { maxCached = MAX_CACHED, maxUnderWay = MAX_UNDER_WAY, deadlineMs = LOOKUP_DEADLINE_MS } = o
  /** In the order of last use. */
  const cache = new Map<string, { answer: PassAnswer; until: number }>()
  const underWay = new Map<string, Promise<PassAnswer>>()

  async function ask(owner: Address): Promise<PassAnswer> {
    const pass = reader.passOf(owner)
    let state: PassState | undefined
    try {
      state = await reader.read(pass, { signal: AbortSignal.timeout(deadlineMs) })
    } catch (cause) {
      if (isPinGoError(cause, 'PASS_FOREIGN')) throw cause
      throw new PinGoError('PASS_UNKNOWN', 'The pass cannot be looked up just now.', { hint: 'Try again soon.', cause })
    }
    if (!state) return { standing: 'none', pass }
    // its address fixes both: whoever says otherwise is not to be believed about the rest
    if (!state.owner.equals(owner) || !state.collection.equals(reader.collection)) throw foreign()
    const { revokedAt, level, epoch } = state
    // a revocation outlasts the pass
    if (revokedAt !== 0) return { standing: 'revoked', pass, revokedAt }
    return level > 0 ? { standing: 'held', pass, level, epoch } : { standing: 'none', pass }
  }

  function start(key: string, owner: Address): Promise<PassAnswer> {
    if (underWay.size >= maxUnderWay)
      throw new PinGoError('PASS_BUSY', 'Too many passes are being looked up just now.', { hint: 'Try again soon.' })
    const asked = ask(owner)
      .then((answer) => {
        // forgotten meanwhile: what was asked before is not what is true now
        if (underWay.get(key) === asked) {
          cache.set(key, { answer, until: now() + (answer.standing === 'held' ? heldTtlMs : noneTtlMs) })
          for (const oldest of cache.keys()) {
            if (cache.size <= maxCached) break
            cache.delete(oldest)
          }
        }
        return answer
      })
      .finally(() => underWay.get(key) === asked && underWay.delete(key))
    underWay.set(key, asked)
    return asked
  }

  async function find(owner: Address, { signal }: { signal?: AbortSignal } = {}): Promise<PassAnswer> {
    signal?.throwIfAborted()
    const key = owner.toRawString()
    const known = cache.get(key)
    cache.delete(key)
    if (known && known.until > now()) {
      cache.set(key, known)
      return known.answer
    }
    const answer = underWay.get(key) ?? start(key, owner)
    return signal ? unless(signal, answer) : answer
  }

  return {
    find,
    async require(owner, { minLevel = 0, presented, signal } = {}) {
      if (presented && !presented.equals(reader.passOf(owner))) throw foreign()
      const answer = await find(owner, { signal })
      if (answer.standing === 'none')
        throw new PinGoError('PASS_NONE', 'This wallet has no pass.', {
          hint: 'A pass is earned by lending CPU: see `pingo contribute`, then `pingo pass claim`.',
        })
      if (answer.standing === 'revoked')
        throw new PinGoError('PASS_REVOKED', 'The pass of this wallet was revoked.', {
          details: { revokedAt: answer.revokedAt },
        })
      if (answer.level < minLevel)
        throw new PinGoError('PASS_LEVEL', `The pass has level ${answer.level}; this needs level ${minLevel}.`, {
          hint: 'Its level rises with the work that you lend: `pingo pass claim` again.',
        })
      return answer
    },
    forget(owner) {
      const key = owner.toRawString()
      cache.delete(key)
      underWay.delete(key)
    },
  }
}

const foreign = () =>
  new PinGoError('PASS_FOREIGN', 'This pass is of another collection or of another owner.', {
    hint: 'Only the pass that this network issued to this very wallet counts.',
  })

/** A promise that others may wait for too: who gives up stops waiting, the work goes on. */
function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const stop = () => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  return promise
}
