import type { Code } from '@pingo/wire'
import { DAYS_PER_MONTH, DAYS_PER_YEAR } from '../model.ts'
import { planRepair, type ShardState } from '../policy.ts'
import { Random } from './random.ts'

const NOBODY = -1

export interface StripesOptions {
  seed: number
  code: Code
  stripes: number
  years: number
  /** Part of the nodes that leave for good within 30 days; each is followed by a new, empty one. */
  monthlyChurn: number
  checkDays: number
  nodes: number
  /** Nodes are spread evenly over so many failure domains (operators, data centres); each its own when absent. */
  domains?: number
  /** Domains that fail for good, with all their nodes, within a year. */
  domainFailuresPerYear?: number
  /** False: shards are placed without a look at domains. */
  spread?: boolean
}

export interface StripesResult {
  lost: number
  /** Bytes of repair within 30 days, for each byte of data. */
  repairPerMonth: number
  repairs: number
  departures: number
  /** Fewest shards that a stripe had when it was repaired. */
  fewestLeft: number
}

/**
 * Years of churn over many stripes, day by day: nodes leave with all they hold, checks plan repairs by the same policy as caretakers
 * ({@link planRepair}), rebuilt shards go to nodes that hold none of the stripe, in failure domains that hold none where there are
 * such. A place is drawn evenly instead of by rendezvous hashing, which is even too and takes a hash for each node and stripe.
 * A lost stripe is replaced by none: it is counted once.
 */
export function simulateStripes(o: StripesOptions): StripesResult {
  return new Stripes(o).run()
}

class Stripes {
  readonly #o: StripesOptions
  readonly #n: number
  readonly #domains: number
  readonly #random: Random
  /** By stripe · n + shard: its node. */
  readonly #holder: Int32Array
  /** By stripe · n + shard: where it stands in its node's list. */
  readonly #position: Int32Array
  /** By node: stripe · n + shard of what it holds. */
  readonly #held: number[][]
  readonly #dirty = new Set<number>()
  #result: StripesResult = {
    lost: 0,
    repairPerMonth: 0,
    repairs: 0,
    departures: 0,
    fewestLeft: Number.POSITIVE_INFINITY,
  }
  #shardsMoved = 0

  constructor(o: StripesOptions) {
    this.#o = o
    this.#n = o.code.k + o.code.m
    this.#domains = o.domains ?? o.nodes
    this.#random = new Random(o.seed)
    this.#holder = new Int32Array(o.stripes * this.#n).fill(NOBODY)
    this.#position = new Int32Array(o.stripes * this.#n)
    this.#held = Array.from({ length: o.nodes }, () => [])
    for (let stripe = 0; stripe < o.stripes; stripe++) this.#store(stripe, [...Array(this.#n).keys()])
  }

  run(): StripesResult {
    const { years, checkDays, nodes, monthlyChurn, domainFailuresPerYear = 0, stripes, code } = this.#o
    const departuresPerDay = (nodes * -Math.log1p(-monthlyChurn)) / DAYS_PER_MONTH
    for (let day = 1; day <= years * DAYS_PER_YEAR; day++) {
      // Without memory: whoever leaves is drawn evenly, and the one that follows is as likely to leave next.
      for (let left = this.#random.poisson(departuresPerDay); left > 0; left--) this.#leave(this.#random.below(nodes))
      for (let left = this.#random.poisson(domainFailuresPerYear / DAYS_PER_YEAR); left > 0; left--) {
        const domain = this.#random.below(this.#domains)
        for (let node = domain; node < nodes; node += this.#domains) this.#leave(node)
      }
      if (day % checkDays === 0) this.#check()
    }
    const months = (years * DAYS_PER_YEAR) / DAYS_PER_MONTH
    return { ...this.#result, repairPerMonth: this.#shardsMoved / code.k / stripes / months }
  }

  #leave(node: number): void {
    this.#result.departures++
    for (const at of this.#held[node]!.splice(0)) {
      this.#holder[at] = NOBODY
      this.#dirty.add(Math.floor(at / this.#n))
    }
  }

  /** Stripes that lost nothing since the last check need no look. */
  #check(): void {
    for (const stripe of this.#dirty) {
      const shards = Array.from(
        { length: this.#n },
        (_, shard): ShardState => (this.#holder[stripe * this.#n + shard] === NOBODY ? 'gone' : 'here'),
      )
      const { need, left, wanted } = planRepair(this.#o.code, shards)
      if (need === 'lost') this.#lose(stripe)
      if (wanted.length === 0) continue
      this.#result.repairs++
      this.#result.fewestLeft = Math.min(this.#result.fewestLeft, left)
      this.#shardsMoved += this.#o.code.k + wanted.length
      this.#store(stripe, wanted)
    }
    this.#dirty.clear()
  }

  #lose(stripe: number): void {
    this.#result.lost++
    for (let at = stripe * this.#n; at < (stripe + 1) * this.#n; at++) {
      const node = this.#holder[at]!
      if (node === NOBODY) continue
      const held = this.#held[node]!
      const last = held.pop()!
      if (last !== at) {
        held[this.#position[at]!] = last
        this.#position[last] = this.#position[at]!
      }
      this.#holder[at] = NOBODY
    }
  }

  #store(stripe: number, shards: readonly number[]): void {
    for (const shard of shards) {
      const at = stripe * this.#n + shard
      const node = this.#place(stripe)
      this.#holder[at] = node
      this.#position[at] = this.#held[node]!.push(at) - 1
    }
  }

  /** A node that holds none of the stripe, of a domain that holds as few of it as any. */
  #place(stripe: number): number {
    const nodes = new Set<number>()
    const inDomain = new Map<number, number>()
    for (let shard = 0; shard < this.#n; shard++) {
      const node = this.#holder[stripe * this.#n + shard]!
      if (node === NOBODY) continue
      nodes.add(node)
      inDomain.set(node % this.#domains, (inDomain.get(node % this.#domains) ?? 0) + 1)
    }
    const fewest = inDomain.size < this.#domains ? 0 : Math.min(...inDomain.values())
    const isFit = (node: number) => this.#o.spread === false || (inDomain.get(node % this.#domains) ?? 0) === fewest
    for (;;) {
      const node = this.#random.below(this.#o.nodes)
      if (!nodes.has(node) && isFit(node)) return node
    }
  }
}
