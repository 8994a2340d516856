import { isPinGoError, PinGoError } from '@pingo/wire'
import type { NodeMap, StorageNode } from '../nodes/port.ts'
import { type Candidate, place } from '../placement/place.ts'
import { pause } from './abort.ts'

/** A node that failed is not asked again for so long. */
const AVOID_MS = 60_000
const RETRY_MS = 1_000
const DEFAULT_WAIT_MS = 30_000
/** Failures of the way, not of the node's mind: they may pass. */
const PASSING = new Set(['SOURCE_UNREACHABLE', 'RATE_LIMITED', 'BUSY'])

type Ranked = Candidate & { node: StorageNode }

/** The nodes that one put may use: those that live and did not fail it. */
export class NodePool {
  readonly #nodes: NodeMap
  readonly #o: { clock: () => number; waitMs?: number; signal?: AbortSignal; onWait: (why: string | undefined) => void }
  readonly #failed = new Map<string, { until: number; error: unknown }>()
  /** Since when it lacks nodes, and nothing was stored. */
  #stuckSince: number | undefined

  constructor(
    nodes: NodeMap,
    o: { clock: () => number; waitMs?: number; signal?: AbortSignal; onWait: (why: string | undefined) => void },
  ) {
    this.#nodes = nodes
    this.#o = o
  }

  usable(): StorageNode[] {
    const now = this.#o.clock()
    return this.#nodes.live().filter(({ record: { peerId, state } }) => {
      const failed = this.#failed.get(peerId)
      return state === 'active' && (failed === undefined || failed.until <= now)
    })
  }

  fail(node: StorageNode, error: unknown): void {
    this.#failed.set(node.record.peerId, { until: this.#o.clock() + AVOID_MS, error })
  }

  /** Something was stored: who waits for nodes may wait anew. */
  moved(): void {
    this.#stuckSince = undefined
  }

  /** Up to `n` nodes for the shards of a stripe, best first: weighted by free space and reputation, vetted ones preferred. */
  ranked(key: string, n: number): StorageNode[] {
    const candidates = this.usable().map(
      (node): Ranked => ({
        id: node.record.peerId,
        weight: Math.max(1, node.record.freeBytes) * Math.max(0.01, this.#nodes.reputation(node.record.peerId)),
        domain: node.record.domain,
        isPreferred: this.#nodes.isVetted(node.record.peerId),
        node,
      }),
    )
    return place(key, candidates, n).map(({ node }) => node)
  }

  /**
   * Waits until `choose` finds what it looks for among the usable nodes; nodes that were only out of reach are tried again.
   * @throws PinGoError STORAGE_NODES_FEW, what all nodes agreed on (QUOTA_EXCEEDED …), or the signal's reason
   */
  async find<T>(wanted: number, choose: () => T | undefined): Promise<T> {
    const { clock, waitMs = DEFAULT_WAIT_MS, signal, onWait } = this.#o
    try {
      for (;;) {
        signal?.throwIfAborted()
        const found = choose()
        if (found !== undefined) return found
        this.#throwVerdict()
        this.#stuckSince ??= clock()
        if (clock() - this.#stuckSince >= waitMs) throw this.#tooFew(wanted)
        onWait(`${this.usable().length} nodes take data, ${wanted} are needed`)
        await pause(Math.min(RETRY_MS, waitMs), signal)
        await this.#nodes.refresh({ signal }).catch(() => signal?.throwIfAborted())
        for (const [peerId, { error }] of this.#failed) if (isPassing(error)) this.#failed.delete(peerId)
      }
    } finally {
      onWait(undefined)
    }
  }

  /** When every node refuses for the same reason, that is the answer: waiting would not help. */
  #throwVerdict(): void {
    if (this.#failed.size === 0 || this.usable().length > 0) return
    const [first, ...others] = [...this.#failed.values()].map(({ error }) => error)
    if (isPassing(first) || !isPinGoError(first)) return
    if (others.every((error) => isPinGoError(error, first.code))) throw first
  }

  #tooFew(wanted: number): PinGoError {
    const reasons = [...this.#failed].map(([peerId, { error }]) => `${peerId}: ${(error as Error).message}`)
    return new PinGoError(
      'STORAGE_NODES_FEW',
      `Only ${this.usable().length} of ${wanted} nodes that are needed take data; nothing was acknowledged.`,
      {
        hint: 'Try again when more nodes are up: what was stored is not sent again.',
        cause: [...this.#failed.values()].at(-1)?.error,
        details: { wanted, usable: this.usable().length, reasons },
      },
    )
  }
}

const isPassing = (error: unknown) => isPinGoError(error) && PASSING.has(error.code)
