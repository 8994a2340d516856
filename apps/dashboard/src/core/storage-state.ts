import type { StorageObjectView, StorageView } from '@pingo/wire'
import { MAX_HISTORY } from './network-state.ts'

export interface StorageState {
  storage: StorageView | undefined
  /** The fog node's clock at the last answer, ms. */
  serverNow: number
  /** Share of reads that were hits between one answer and the next, oldest first; only where there were reads. */
  history: number[]
  /** Why the last poll failed, a sentence. */
  error: string | undefined
}

export type StorageEvent =
  | { type: 'polled'; storage: StorageView; serverNow: number }
  | { type: 'failed'; error: string }

export const initialStorageState: StorageState = { storage: undefined, serverNow: 0, history: [], error: undefined }

/** The page's view of its node's storage: polls in, what to show out. What was known stays while the node does not answer. */
export function storageReducer(state: StorageState, event: StorageEvent): StorageState {
  if (event.type === 'failed') return { ...state, error: event.error }
  const { storage, serverNow } = event
  const ratio = state.storage && ratioBetween(state.storage.reads, storage.reads)
  const history = ratio === undefined ? state.history : [...state.history, ratio].slice(-MAX_HISTORY)
  return { storage, serverNow, history, error: undefined }
}

/** Share of reads that needed no other node; undefined where there were none. */
export const hitRatio = ({ memory, disk, remote, missing }: StorageView['reads']): number | undefined => {
  const all = memory + disk + remote + missing
  return all > 0 ? (memory + disk) / all : undefined
}

function ratioBetween(before: StorageView['reads'], after: StorageView['reads']): number | undefined {
  const since = {
    memory: after.memory - before.memory,
    disk: after.disk - before.disk,
    remote: after.remote - before.remote,
    missing: after.missing - before.missing,
  }
  // fewer than before: the node was restarted
  return Object.values(since).some((n) => n < 0) ? undefined : hitRatio(since)
}

export interface HealthBar {
  /** Shards that a stripe lacks. */
  missing: number
  stripes: number
}

/** Stripes by how many shards they lack: whole ones first, without gaps. */
export function healthBars(stripesByMissing: Readonly<Record<string, number>>): HealthBar[] {
  const worst = Math.max(-1, ...Object.keys(stripesByMissing).map(Number))
  return Array.from({ length: worst + 1 }, (_, missing) => ({ missing, stripes: stripesByMissing[missing] ?? 0 }))
}

/** Of an object's worst stripe: how many of its shards are there. */
export function worstStripe({ code, stripesByMissing }: StorageObjectView): { left: number; of: number } | undefined {
  const [worst] = healthBars(stripesByMissing)
    .filter(({ stripes }) => stripes > 0)
    .toReversed()
  const of = code.k + code.m
  return worst && { left: of - worst.missing, of }
}
