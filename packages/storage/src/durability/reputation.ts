/**
 * What an audit of a node came to: it proved that it has what it should; what it gave was wrong, or it no longer has it; it was
 * reached and did not answer in time; it was not reached at all. A whole chunk that was fetched and fits its CID is an audit passed.
 */
export type AuditOutcome = 'passed' | 'failed' | 'no-answer' | 'offline'

/**
 * `new`: too few audits for durable shards where others can be had, and what it earns is held back; `vetted`; `contained`: it owes an answer, gets no
 * new shards and is asked again; `ejected`: for good, what it holds counts as gone.
 */
export type StandingState = 'new' | 'vetted' | 'contained' | 'ejected'

/** What one node thinks of another: plain data, never changed in place. */
export interface Standing {
  state: StandingState
  /** Parameters of the Beta distribution: audits passed and failed, the older ones for less. */
  alpha: number
  beta: number
  /** Audits judged in all. */
  audits: number
  /** Audits passed since the last failure, and failures since the last that was passed. */
  clean: number
  failedInRow: number
  /** While contained: answers still due that did not come, and when to ask again (ms since epoch). */
  retries: number
  retryAt: number
}

/** Jeffreys' prior, Beta(½, ½): 0.5 before the first audit, 0.976 / 0.994 / 0.9975 after 20 / 80 / 200 clean ones. */
const PRIOR = 0.5
/** What an audit weighs after the next one. A thousand audits are remembered. */
const DECAY = 0.999
export const VETTED_AUDITS = 80
/** Three retries, and then it is ejected. */
export const MAX_RETRIES = 3
export const RETRY_MS = 3_600_000
/** Below this score … */
export const EJECT_SCORE = 0.96
/** … after so many audits, one failure is not yet enough. */
const MIN_JUDGED = 40
/** … or so many failures in a row, however few audits there were. */
const MAX_FAILED_IN_ROW = 5

export const newcomer: Standing = {
  state: 'new',
  alpha: PRIOR,
  beta: PRIOR,
  audits: 0,
  clean: 0,
  failedInRow: 0,
  retries: 0,
  retryAt: 0,
}

/** 0 … 1: the mean of the Beta distribution. */
export const scoreOf = ({ alpha, beta }: Standing): number => alpha / (alpha + beta)

/**
 * Beta reputation with forgetting (Jøsang & Ismail, The Beta Reputation System, 2002), containment and disqualification as Storj's
 * satellites have them (Storj white paper v3, 4.13 and 4.15; design "Node Selection and Audit Reputation"). Being offline is no failed audit: repair already counts
 * its shards as gone, and a node that comes back with its data is as good as before. Not answering while reachable is how data that are not
 * there would look: it is asked again {@link MAX_RETRIES} times and then ejected.
 * @param now ms since epoch
 */
export function judge(before: Standing, outcome: AuditOutcome, now: number): Standing {
  if (before.state === 'ejected' || outcome === 'offline') return before
  if (outcome === 'no-answer') return contain(before, now)
  const passed = outcome === 'passed'
  const after: Standing = {
    alpha: before.alpha * DECAY + Number(passed),
    beta: before.beta * DECAY + Number(!passed),
    audits: before.audits + 1,
    clean: passed ? before.clean + 1 : 0,
    failedInRow: passed ? 0 : before.failedInRow + 1,
    retries: 0,
    retryAt: 0,
    state: 'new',
  }
  const isBad = after.failedInRow >= MAX_FAILED_IN_ROW || (after.audits >= MIN_JUDGED && scoreOf(after) < EJECT_SCORE)
  return { ...after, state: isBad ? 'ejected' : after.clean >= VETTED_AUDITS ? 'vetted' : 'new' }
}

function contain(before: Standing, now: number): Standing {
  if (before.state !== 'contained') return { ...before, state: 'contained', retries: 0, retryAt: now + RETRY_MS }
  // Silence that many asked about at once is one silence.
  if (now < before.retryAt) return before
  const retries = before.retries + 1
  return { ...before, retries, retryAt: now + RETRY_MS, state: retries >= MAX_RETRIES ? 'ejected' : 'contained' }
}

/** Makes durable what is thought of the nodes. */
export interface StandingStore {
  load(): Iterable<[peerId: string, Standing]>
  save(peerId: string, standing: Standing): void
}

/** What this node thinks of the others, from its own audits and retrievals. */
export class ReputationBook {
  readonly #standings: Map<string, Standing>
  readonly #store: StandingStore | undefined

  constructor(store?: StandingStore) {
    this.#standings = new Map(store?.load())
    this.#store = store
  }

  record(peerId: string, outcome: AuditOutcome, now: number): void {
    const before = this.#standings.get(peerId) ?? newcomer
    const after = judge(before, outcome, now)
    if (after === before) return
    this.#standings.set(peerId, after)
    this.#store?.save(peerId, after)
  }

  standing(peerId: string): Standing & { score: number } {
    const standing = this.#standings.get(peerId) ?? newcomer
    return { ...standing, score: scoreOf(standing) }
  }

  isVetted(peerId: string): boolean {
    return this.standing(peerId).state === 'vetted'
  }

  /** Those that owe an answer and are to be asked again. */
  dueForRetry(now: number): string[] {
    return [...this.#standings].flatMap(([peerId, { state, retryAt }]) =>
      state === 'contained' && retryAt <= now ? [peerId] : [],
    )
  }
}
