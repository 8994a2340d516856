/**
 * Scheduling, pure: who is there, which jobs run, who works for which. Events in, commands and a journal out; the shell makes
 * the journal durable, then carries the commands out.
 *
 * ```ts
 * let state = createFog()
 * const { state: next, commands, journal } = stepFog(state, { type: 'tick', at: Date.now() })
 * ```
 *
 * After a crash: for each job `restoreJob(snapshot, journal)`, then the event `job-restored`, then `pendingFogCommands`.
 * @module
 */
export { TURN_MS } from './balance.ts'
export { jobOfLease } from './draft.ts'
export { explain } from './explain.ts'
export { createFog, pendingFogCommands, stepFog } from './fog.ts'
export { indexOf, peerOf, sliceId } from './slice-id.ts'
export type {
  FogCommand,
  FogContributor,
  FogEvent,
  FogJob,
  FogState,
  FogStep,
  JournalEntry,
} from './types.ts'
