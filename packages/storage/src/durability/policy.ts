import type { Code } from '@pingo/wire'

/**
 * A shard of a stripe, as a check found it. `here`: its holder has it; `away`: its holder is silent, for less than
 * {@link ABSENCE_GRACE_MS}; `gone`: nobody has it; `empty`: no bytes, so that nobody needs to have it.
 */
export type ShardState = 'here' | 'away' | 'gone' | 'empty'

/** What a stripe needs; `urgent` goes before every `repair`; `lost`: fewer shards answer than its data have. */
export type Need = 'none' | 'repair' | 'urgent' | 'lost'

/** A node may be silent so long (a restart, an update) before what it holds counts as gone. */
export const ABSENCE_GRACE_MS = 3_600_000

/**
 * A stripe is repaired when it has so many shards or fewer: 14 of 10 + 6. Later repairs are cheaper for each shard, as all missing
 * ones are rebuilt from one reading of k, and riskier (lazy repair: Bhagwan et al., Total Recall, NSDI 2004). A copy is rebuilt
 * from one other, so copies gain nothing by waiting.
 */
export const repairAt = ({ k, m }: Code): number => (k === 1 ? m : k + Math.floor((2 * m) / 3))

/** … and before all others below this many: 12 of 10 + 6. */
export const urgentBelow = ({ k, m }: Code): number => k + Math.max(1, Math.floor(m / 3))

export const needOf = (code: Code, left: number): Need =>
  left < code.k ? 'lost' : left > repairAt(code) ? 'none' : left < urgentBelow(code) ? 'urgent' : 'repair'

export interface RepairPlan {
  need: Need
  /** Shards that count as there. */
  left: number
  /** Shards to rebuild; empty unless it needs repair. */
  wanted: number[]
}

/**
 * What to do for a stripe. Silent holders are given time, unless without their shards it were urgent: nobody bets data on a reboot.
 * The simulator runs this too.
 */
export function planRepair(code: Code, shards: readonly ShardState[]): RepairPlan {
  const here = count(shards, 'here') + count(shards, 'empty')
  const patient = here >= urgentBelow(code)
  const isThere = (state: ShardState) => state === 'here' || state === 'empty' || (patient && state === 'away')
  const left = shards.filter(isThere).length
  const need = needOf(code, left)
  if (need === 'none' || need === 'lost') return { need, left, wanted: [] }
  return { need, left, wanted: shards.flatMap((state, shard) => (isThere(state) ? [] : [shard])) }
}

const count = (shards: readonly ShardState[], wanted: ShardState): number =>
  shards.reduce((sum, state) => sum + Number(state === wanted), 0)
