import type { MachineView, Pause } from '@pingo/wire'

/** What the page shows of its contributor. */
export interface BrowserView {
  peerId: string
  /** False when this browser forgets its identity with the page (a private window). */
  isKept: boolean
  connected: boolean
  /** The fog node's peer id, once it has said it. */
  fog?: string
  /** Why it is not connected, a sentence. */
  reason?: string
  state: 'idle' | 'fetching' | 'training' | 'submitting' | 'paused' | 'leaving'
  pause?: Pick<Pause, 'reason' | 'sentence'>
  job?: string
  jobName?: string
  round?: number
  steps: number
  samples: number
  loss?: number
  /** Of the last seconds, measured. */
  samplesPerSecond: number
  /** Since the start: leases whose update was accepted, samples in them, samples in committed rounds. */
  leases: number
  samplesAccepted: number
  samplesIncluded: number
  /** What runs graphs, once it was started. */
  runtime?: string
  /** What the fog node credits, by what challenges showed; undefined before the first one. */
  capacity?: MachineView['capacity']
  /** What went wrong with the last lease, a sentence. */
  problem?: string
}

/** How much may be taken at the moment. */
export interface Allowance {
  /** Part of one core, 0.05 to 1. */
  share: number
  /** No work at all, and why. */
  pause?: Pick<Pause, 'reason' | 'sentence'>
}

/** Page → worker. */
export type ToContributor =
  | {
      type: 'start'
      origin: string
      name: string
      memoryBytes: number
      cores: number
      browser: string
      allowance: Allowance
    }
  | { type: 'allow'; allowance: Allowance }
  | { type: 'leave' }

/** Worker → page; `left` is the last. */
export type FromContributor = { type: 'view'; view: BrowserView } | { type: 'left' } | { type: 'failed'; why: string }
