/** Least and default amounts of what is lent; apart, so that commands that only name them stay small. */

/** Smallest share of a machine, cores. */
export const LEAST_CORES = 0.05
/** Of a slice, and of an offer. */
export const LEAST_MEMORY_BYTES = 256 * 2 ** 20
/** Smallest disk quota: some blocks must fit beside indexes. */
export const LEAST_DISK_BYTES = 64 * 2 ** 20
export const DEFAULT_DISK_BYTES = 10 * 2 ** 30
/** Space that stays free on the owner's disk, by default. */
export const DEFAULT_KEEP_FREE_BYTES = 2 ** 30
