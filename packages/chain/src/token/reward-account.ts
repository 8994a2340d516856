/** How a distributor pays: percent of a claim at once, the rest linear over `lock` seconds. */
export interface RewardTerms {
  liquid: number
  lock: number
}

/** The terms of rewards: a quarter at once, the rest over 180 days. */
export const REWARD_TERMS: RewardTerms = { liquid: 25, lock: 180 * 24 * 3600 }

/** The terms of the airdrop: all at once. */
export const AIRDROP_TERMS: RewardTerms = { liquid: 100, lock: 0 }

/** What an account has taken, in units: the same as `contracts/rewards/reward-account.tolk` keeps. */
export interface RewardAccountState {
  claimed: bigint
  released: bigint
  /** Newest first, one a day. */
  tranches: readonly { amount: bigint; since: number }[]
}

export const NEW_ACCOUNT: RewardAccountState = { claimed: 0n, released: 0n, tranches: [] }

const DAY_SECONDS = 24 * 3600

/** A claim of all that `total` grants: what is paid at once, and the account afterwards; undefined when there is nothing to pay. */
export function claim(
  state: RewardAccountState,
  { liquid }: RewardTerms,
  total: bigint,
  now: number,
): { pay: bigint; state: RewardAccountState } | undefined {
  const due = total - state.claimed
  const pay = due > 0n ? (due * BigInt(liquid)) / 100n : 0n
  if (pay === 0n) return undefined
  const locked = due - pay
  const next = { ...state, claimed: total }
  return {
    pay,
    state: locked > 0n ? { ...next, tranches: lockUp(state.tranches, locked, now - (now % DAY_SECONDS)) } : next,
  }
}

function lockUp(
  tranches: RewardAccountState['tranches'],
  amount: bigint,
  since: number,
): RewardAccountState['tranches'] {
  const [newest, ...older] = tranches
  if (newest?.since === since) return [{ amount: newest.amount + amount, since }, ...older]
  return [{ amount, since }, ...tranches]
}

/** Units of the tranches that are free at a time, paid or not. */
export function freeAt({ tranches }: RewardAccountState, { lock }: RewardTerms, now: number): bigint {
  let free = 0n
  for (const { amount, since } of tranches) {
    const held = Math.max(now - since, 0)
    free += held >= lock ? amount : (amount * BigInt(held)) / BigInt(lock)
  }
  return free
}

/** Pays what became free; undefined when nothing did. */
export function release(
  state: RewardAccountState,
  terms: RewardTerms,
  now: number,
): { pay: bigint; state: RewardAccountState } | undefined {
  const pay = freeAt(state, terms, now) - state.released
  if (pay <= 0n) return undefined
  const tranches = state.tranches.filter(({ since }) => now - since < terms.lock)
  const forgotten = sum(state.tranches) - sum(tranches)
  return { pay, state: { ...state, tranches, released: state.released + pay - forgotten } }
}

/** Takes locked units by a verdict, newest first; at most what was not released. */
export function slash(state: RewardAccountState, amount: bigint): { taken: bigint; state: RewardAccountState } {
  const locked = sum(state.tranches) - state.released
  const taken = amount < locked ? amount : locked
  let left = taken
  const tranches: { amount: bigint; since: number }[] = []
  for (const tranche of state.tranches) {
    const cut = left < tranche.amount ? left : tranche.amount
    left -= cut
    if (cut < tranche.amount) tranches.push({ ...tranche, amount: tranche.amount - cut })
  }
  return { taken, state: { ...state, tranches } }
}

const sum = (tranches: RewardAccountState['tranches']): bigint =>
  tranches.reduce((total, { amount }) => total + amount, 0n)
