/** Part of the expected work (of leases that are waited for) that must be in before a round may close without the rest. */
export const QUORUM = 0.66
/** Who stays behind is waited for at least so long after the soft end and after the quorum … */
export const MIN_GRACE_MS = 250
/** … and at most for this part of `roundMs`. */
export const MAX_GRACE_PART = 0.5
/** Arrival times that the grace adapts to. */
export const LATENESS_KEPT = 64
/** A lease is void after `TTL_ROUNDS · roundMs + TTL_MARGIN_MS`: the margin is for fetching the program and data. */
export const TTL_ROUNDS = 3
export const TTL_MARGIN_MS = 30_000
/** Steps leased for each step expected: who is faster than thought goes on. */
export const GENEROSITY = 2
/** The same before anything is known of anybody's speed. */
export const BLIND_GENEROSITY = 8
/** Least part of its speed that is expected of one who may be gone before the round is over. */
export const LEAST_SURVIVAL = 1 / GENEROSITY
/** Part of a job that a round is taken for before anybody's speed is known. */
export const BLIND_ROUND_PART = 1 / 20
/** While nobody's speed is measured a round lasts this part of `roundMs` only, but no less than so long (or than `roundMs`). */
export const PROBE_PART = 1 / 4
export const MIN_PROBE_MS = 250
/** The last round is stretched by up to this, rather than leave a crumb for one more. */
export const LAST_ROUND_STRETCH = 1.25
/** Soft end of the last round in units of its expected length: who is slower than thought may still finish. */
export const LAST_ROUND_SLACK = 1.5
export const LAST_ROUND_MIN_PART = 0.25
/** Who joins with at least this part of the round left gets a lease at once. */
export const LATE_JOIN_PART = 0.3
/** After the first contributor is there, others are waited for so long before a round opens. */
export const GATHER_MS = 50
/** After the fog node's restart, contributors with leases are waited for so long. */
export const RECONNECT_MS = 10_000
/** A merge that nobody reported is asked for again after this. */
export const MERGE_RETRY_MS = 600_000
/** So many failed leases with nothing committed between end the job. */
export const MAX_FAILURES = 3
/** No lease after one given back as failed or refused for this long, doubled each time, up to the maximum. */
export const RETRY_MS = 1_000
export const MAX_RETRY_MS = 60_000
/** No lease after one given back because the owner is at work or leaves. */
export const PAUSED_RETRY_MS = 5_000
/** Contributors that are gone and still remembered, for their speed. */
export const MAX_ABSENT_MEMBERS = 256
/** Exclusions listed for a round. */
export const MAX_EXCLUSIONS = 1_000
/** A job's id is the start of its leases' ids, which have at most 100 characters. */
export const MAX_JOB_ID = 80
