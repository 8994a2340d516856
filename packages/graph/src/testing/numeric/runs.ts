/** Cases of a property in everyday tests. */
const CASES = 20
const asked = process.env.PINGO_NUM_RUNS

/**
 * How many cases a numeric property draws, and from which seed. Everyday tests draw the same ones each time, for a bound on rounding can be missed
 * by a rare case; `PINGO_NUM_RUNS=1000` draws as many new ones. A failure prints the seed and path that replay it.
 * @param multiple for properties that are cheap to check
 */
export const runs = (multiple = 1): { numRuns: number; seed?: number } =>
  asked === undefined ? { numRuns: CASES * multiple, seed: 1 } : { numRuns: Number(asked) * multiple }
