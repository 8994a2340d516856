import type { FinalState, JobCommand, JobCore, JobEvent, JobSettings, Release, UpdateReport } from '@pingo/training'
import type { FileRef, Offer, SliceReport, SliceState, Survival } from '@pingo/wire'

/** A slice of a connected contributor: what gets leases. */
export interface FogContributor {
  /** `sliceId` (slice-id.ts) of `peer` and `slice`. */
  id: string
  peer: string
  slice: number
  cores: number
  memoryBytes: number
  /** Of this slice, FLOP/s. */
  flops: number
  joinedAt: number
  lastSeenAt: number
  state: SliceState
  survival: Survival
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

/** What happens to a fog node. `at`: ms since the epoch; `contributor`: a peer id, of all its slices. */
export type FogEvent = { at: number } & (
  | {
      type: 'contributor-joined'
      contributor: string
      offer: Offer
      /** Of a whole core, FLOP/s. */
      flops: number
      /** Leases that it still works on or has to submit. */
      leases: string[]
    }
  /** It lends something else from now on. */
  | { type: 'contributor-offer'; contributor: string; offer: Offer; flops: number }
  | { type: 'contributor-heartbeat'; contributor: string; slices: SliceReport[]; survival?: Survival }
  /** It said so, or its channel closed. Its leases stay open to an update until their round closes. */
  | { type: 'contributor-left'; contributor: string }
  | { type: 'job-submitted'; settings: JobSettings; base: FileRef; memoryBytes: number }
  /** After a restart; then the shell carries out `pendingFogCommands`. */
  | { type: 'job-restored'; core: JobCore; memoryBytes: number; submittedAt?: number }
  | { type: 'job-stop'; job: string; reason: string }
  | { type: 'job-failed'; job: string; reason: string }
  /** An update or a release: `contributor` is the peer that signed or sent it. */
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
