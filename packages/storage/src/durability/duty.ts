/** Every stripe is checked so often, at least. */
export const CHECK_MS = 24 * 3_600_000
/** Checks are spread over the last tenth of that. */
const SPREAD = 0.1
/** Whoever stands by checks for itself so often, whatever the first in rank says it did. */
export const OWN_CHECK_MS = 7 * CHECK_MS
/** A fresh object's chunks have an upload's lease only: whoever stands by waits so long for each that is before it in rank. */
export const FIRST_CHECK_MS = 30 * 60_000
/** An object that could not be seen to is tried again after this. */
export const TRY_AGAIN_MS = 3_600_000

/** `check`: it is ours now; `stand-by`: another's, look again at `dueAt`; `hand-over`: we are no caretaker of it any more. */
export type Duty = { type: 'check' } | { type: 'hand-over' } | { type: 'stand-by'; dueAt: number }

/**
 * Who acts for an object: the first caretaker that lives. The others trust it for a day for each that is before them in rank, and
 * check by themselves each week: a caretaker that only says that it checks is found out.
 * @param o.rank place among the live caretakers; negative: none of them
 * @param o.checkedAt own last check, ms since epoch; undefined: never
 * @param o.firstCheckedAt what the first in rank says of its last check
 * @param o.putAt when the owner put it
 */
export function dutyOf(o: {
  rank: number
  checkedAt: number | undefined
  firstCheckedAt: number | undefined
  putAt: number
  now: number
  random: number
}): Duty {
  const { rank, checkedAt, firstCheckedAt, putAt, now, random } = o
  if (rank < 0) return { type: 'hand-over' }
  if (rank === 0) return { type: 'check' }
  const last = Math.max(checkedAt ?? 0, firstCheckedAt ?? 0)
  if (last === 0) {
    const patience = putAt + rank * FIRST_CHECK_MS
    return patience <= now ? { type: 'check' } : { type: 'stand-by', dueAt: patience }
  }
  // A clock that was ahead must not keep everybody from checking.
  if (last > now + CHECK_MS || now - last >= (1 + rank) * CHECK_MS) return { type: 'check' }
  if (checkedAt !== undefined && now - checkedAt >= OWN_CHECK_MS) return { type: 'check' }
  return { type: 'stand-by', dueAt: nextCheck(now, random) }
}

/** @param random in [0, 1) */
export const nextCheck = (now: number, random: number): number => Math.floor(now + CHECK_MS * (1 - SPREAD * random))
