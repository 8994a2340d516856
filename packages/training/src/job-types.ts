import type { ContributorMessage, FileRef, Range, Schedule } from '@pingo/wire'
import type { LedgerState } from './ledger.ts'
import type { OuterSettings } from './merge.ts'

/** What a job is, as far as rounds are concerned. All numbers are checked by `createJob`. */
export interface JobSettings {
  /** The job's id, at most 80 characters: the start of its leases' ids. */
  job: string
  /** Samples of a step. */
  batch: number
  /** Samples of the dataset. */
  samples: number
  /** Samples to train in all (epochs · samples): need not be a multiple of `batch`. */
  totalSamples: number
  parameters: number
  seed: number
  /** Length of a round's training part, ms. */
  roundMs: number
  /** Peak of the inner learning rate. */
  learningRate: number
  schedule: Schedule
  outer: OuterSettings
  contributors: { min: number; max: number }
  /** The job fails when it is not done by then, ms since the epoch. */
  deadlineAt?: number
  /** Work of a sample, forward and backward, FLOP; 0 when unknown. For planning only. */
  flopsPerSample: number
}

/** What a lease says; the shell adds program, dataset, order and codec and sends it. */
export interface LeaseGrant {
  id: string
  contributor: string
  round: number
  fence: number
  base: FileRef
  ranges: Range[]
  /**
   * Inner learning rate at the first step and after the last one of the lease, in a line: such that a step has the rate of the
   * samples that all contributors together are expected to have done by then.
   */
  learningRate: { from: number; to: number }
  softMs: number
  ttlMs: number
}

/** An update that arrived by the shell, its signature, schema and bytes already checked. */
export interface UpdateReport {
  contributor: string
  lease: string
  fence: number
  round: number
  /** CID of the checkpoint that the contributor started from. */
  base: string
  /** The first `steps` batches of the lease were trained … */
  steps: number
  /** … which are so many samples. */
  samples: number
  lossSum: number
  metricSum: number
  /** Time spent in training, ms. */
  millis: number
  /** CID of the stored envelope. */
  update: string
  /** Euclidean norm of the decoded delta. */
  norm: number
}

/** Why a lease came back with nothing done: what a contributor says. */
export interface Release {
  contributor: string
  lease: string
  reason: Extract<ContributorMessage, { type: 'release' }>['reason']
  code?: string
  message?: string
}

/** What happens to a job. `at`: ms since the epoch; an earlier `at` than the last event's counts as the last event's. */
export type JobEvent = {
  at: number
} /** `survival`: probability that the contributor is there until a round is over, where it has a forecast. */ & (
  | { type: 'joined'; contributor: string; flops: number; survival?: number | undefined }
  | { type: 'left'; contributor: string }
  /** The fog node's process was restarted: nobody is connected; leases stay out until their ttl. */
  | { type: 'restarted' }
  /** A contributor is (again) there and holds exactly these leases. */
  | { type: 'resumed'; contributor: string; leases: string[]; flops: number; survival?: number | undefined }
  /** What is expected of it changed. */
  | { type: 'forecast'; contributor: string; survival: number | undefined }
  | ({ type: 'update' } & UpdateReport)
  | ({ type: 'released' } & Release)
  | { type: 'merged'; round: number; base: FileRef }
  | { type: 'tick' }
  | { type: 'stop'; reason: string }
  | { type: 'failed'; reason: string }
)

/** What the shell is to do. Each may come twice after a restart: the shell keys them by lease or round. */
export type JobCommand =
  | { type: 'grant'; lease: LeaseGrant }
  | { type: 'revoke'; lease: string; contributor: string; reason: string }
  /** The answer to the `update` event of this step. */
  | { type: 'answer'; lease: string; accepted: boolean; code?: string; message?: string }
  /** Merge the stored updates into `base` (ids = leases, weights = samples), store the result, then say `merged`. */
  | { type: 'merge'; round: number; base: FileRef; included: IncludedUpdate[] }
  | { type: 'committed'; round: CommittedRound }
  | { type: 'finished'; state: FinalState; reason?: string }
  /** Send a `tick` at this time, in place of any wake asked for before. */
  | { type: 'wake'; at: number }

export type FinalState = 'done' | 'stopped' | 'failed'

export interface IncludedUpdate {
  lease: string
  contributor: string
  update: string
  samples: number
}

/** A line of the ledger: an update that is in the model. */
export interface CommittedEntry extends IncludedUpdate {
  fence: number
  /** Batches [from, to) of the stream, with the samples that they hold. */
  ranges: { from: number; to: number; samples: number }[]
  steps: number
  lossSum: number
  metricSum: number
  millis: number
}

/** All that a round's view and its ledger entries need. */
export interface CommittedRound {
  round: number
  /** When it was committed, and when its first lease was granted. */
  at: number
  startedAt: number
  /** at − startedAt. */
  millis: number
  /** Checkpoint before and after. */
  from: FileRef
  base: FileRef
  samples: number
  samplesDone: number
  samplesPerSecond: number
  lossSum: number
  metricSum: number
  /** Means over the round's samples (the metric counts predictions: divide by `predictionsPerSample`). */
  loss: number
  metric: number
  learningRate: number
  /** The updates that are in the model, by fence. */
  included: CommittedEntry[]
  /** By contributor. */
  shares: { contributor: string; samples: number; updates: number }[]
  excluded: Exclusion[]
}

/** A lease of the round that did not get into the model, and why. */
export interface Exclusion {
  contributor: string
  lease: string
  reason: string
}

/** A contributor, as one job knows it. */
export interface Member {
  id: string
  present: boolean
  /** Claimed throughput, FLOP/s; 0 when unknown. */
  flops: number
  /** Measured speed, steps per ms; 0 before the first update. */
  rate: number
  /** Gets no lease before. */
  notBefore: number
  /** Failed leases since the last accepted update. */
  failures: number
  /** When it was last known to be there. */
  seenAt: number
  /** Probability that it is there until a round is over; absent without a forecast. */
  survival?: number
}

/** A lease that is out, or whose update is in and waits for the merge. */
export interface LeaseState {
  id: string
  contributor: string
  fence: number
  ranges: Range[]
  steps: number
  /** Steps expected by the round's soft end: its part in the quorum. */
  expected: number
  grantedAt: number
  expiresAt: number
  /** Its contributor is connected; else it is waited for until `waitUntil` only. */
  held: boolean
  waitUntil: number
  update: AcceptedUpdate | null
}

export interface AcceptedUpdate {
  update: string
  at: number
  steps: number
  samples: number
  lossSum: number
  metricSum: number
  millis: number
  norm: number
}

/** The round under way. */
export interface OpenRound {
  startedAt: number
  /** When contributors stop at the next step boundary. */
  dueAt: number
  /** Once there is a quorum the round closes `graceMs` after `dueAt` and `spreadMs` after the quorum, whichever is later. */
  graceMs: number
  spreadMs: number
  /** Since when there is a quorum. */
  quorumAt: number | null
  /** Samples that the round is expected to commit. */
  expectedSamples: number
}

/**
 * The whole state of a job: plain JSON-able data. A snapshot is its JSON; nothing outside changes it.
 * `waiting`: no round is open; `training`: leases are out; `merging`: the shell merges; `ended`: nothing more happens.
 */
export interface JobCore {
  version: 1
  settings: JobSettings
  phase: 'waiting' | 'training' | 'merging' | 'ended'
  final: { state: FinalState; reason?: string } | null
  now: number
  createdAt: number
  /** Number of the round under way or next, from 1: grows at commits only. */
  round: number
  base: FileRef
  /** Fence of the next lease. */
  fence: number
  samplesDone: number
  ledger: LedgerState
  /** By id. */
  members: Member[]
  /** Leases of this round that are out, or in and wait for the merge; by fence. */
  outstanding: LeaseState[]
  open: OpenRound | null
  /** When the next round opens (contributors are gathered until then). */
  openAt: number | null
  /** When the merge was last asked for. */
  mergeAskedAt: number | null
  /** Recent arrival times after a round's soft end, ms. */
  lateness: number[]
  /** Since the last commit. */
  granted: number
  failures: { lease: string; contributor: string; code: string; message: string }[]
  excluded: Exclusion[]
  last: CommittedRound | null
  wakeAt: number | null
}
