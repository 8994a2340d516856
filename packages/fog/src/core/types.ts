import type { FinalState, JobCommand, JobCore, JobEvent, JobSettings, Release, UpdateReport } from '@pingo/training'
import type { FileRef, Offer, SliceState, Survival } from '@pingo/wire'

export type ContributorState = SliceState

/** A slice of a connected contributor (slice-id.ts): what can hold one lease. `offer` is the slice's. */
export interface FogContributor {
  id: string
  offer: Offer
  flops: number
  /** Probability that it is still there in so many minutes, by its own forecast. */
  survival?: Survival
  joinedAt: number
  lastSeenAt: number
  state: ContributorState
  /** What its last heartbeat said it works on. */
  lease: string | null
  steps: number
  samples: number
  /** The job that it works for. */
  job: string | null
}

export interface FogJob {
  core: JobCore
  memoryBytes: number
  submittedAt: number
  /** Order of submission. */
  order: number
  /** True while it has the contributors that it needs at least; since when it has, or has not. */
  served: boolean
  since: number
}

/** All that scheduling knows: plain data, never changed from outside. Jobs that ended are kept for a while, to answer late updates. */
export interface FogState {
  /** By id. */
  contributors: readonly FogContributor[]
  jobs: Readonly<Record<string, FogJob>>
  nextOrder: number
  /** The earliest wake that was asked for and has not come. */
  wakeAt: number | null
}

/** What happens to a fog node. `at`: ms since the epoch. */
export type FogEvent = { at: number } & (
  | {
      type: 'contributor-joined'
      contributor: string
      offer: Offer
      flops: number
      /** Leases that it still works on or has to submit. */
      leases: string[]
    }
  | {
      type: 'contributor-heartbeat'
      contributor: string
      state: ContributorState
      lease?: string
      steps?: number
      samples?: number
      loss?: number
      survival?: Survival
    }
  /** What it lends has changed. */
  | { type: 'contributor-offer'; contributor: string; offer: Offer; flops: number }
  /** It said so, or its channel closed. Its leases stay open to an update until their round closes. */
  | { type: 'contributor-left'; contributor: string }
  | { type: 'job-submitted'; settings: JobSettings; base: FileRef; memoryBytes: number }
  /** After a restart; then the shell carries out `pendingFogCommands`. */
  | { type: 'job-restored'; core: JobCore; memoryBytes: number; submittedAt?: number }
  | { type: 'job-stop'; job: string; reason: string }
  | { type: 'job-failed'; job: string; reason: string }
  | ({ type: 'update'; job: string } & UpdateReport)
  | ({ type: 'released'; job: string } & Release)
  | { type: 'merged'; job: string; round: number; base: FileRef }
  | { type: 'tick' }
)

export type FogCommand =
  | ({ job: string } & Exclude<JobCommand, { type: 'wake' }>)
  /** Send a `tick` at this time, unless an earlier one is asked for: one timer is enough. */
  | { type: 'wake'; at: number }
  | { type: 'disconnect'; contributor: string; reason: string }

export interface JournalEntry {
  job: string
  event: JobEvent
}

export interface FogStep {
  state: FogState
  commands: FogCommand[]
  /** To be made durable, in order, before any of the commands is carried out. */
  journal: JournalEntry[]
}

export type { FinalState }
