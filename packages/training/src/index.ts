/**
 * Training in rounds, as pure functions: leases, the update codec, the bitwise merge, exactly-once accounting. Knows nothing
 * of sockets, disks, clocks or randomness: events go in, commands come out.
 *
 * ```ts
 * let core = createJob(settings, initialCheckpoint, Date.now())
 * const step = stepJob(core, { type: 'joined', at: Date.now(), contributor: 'a', flops: 0 })
 * core = step.core // plain data: JSON.stringify(core) is a snapshot
 * for (const command of step.commands) … // grant, revoke, answer, merge, committed, finished, wake
 * ```
 * @module
 */
export { BLOCK, decodeDelta, deltaBytes, deltaNorm, encodeDelta } from './codec.ts'
export { explainJob as explain, stateOf } from './explain.ts'
export { createJob, pendingCommands, restoreJob, stepJob } from './job.ts'
export type * from './job-types.ts'
export {
  batchesOf,
  checkLedger,
  commitBatches,
  createLedger,
  freeBatches,
  giveBack,
  isComplete,
  type LedgerState,
  samplesOf,
  takeBatches,
} from './ledger.ts'
export { GATHER_MS, RECONNECT_MS, TTL_MARGIN_MS, TTL_ROUNDS } from './limits.ts'
export { type Merged, type MergeInput, type MergeUpdate, mergeRound, type OuterSettings } from './merge.ts'
export { deviation, graceOf, latestUpdateMs, median } from './pace.ts'
export { speedsOf } from './plan.ts'
export { countOf, splitAt, subtract, unite } from './ranges.ts'
export { learningRateAt } from './schedule.ts'
