import { type Offer, slicesOf } from '@pingo/wire'
import type { Logger } from 'pino'
import type { ContributorEvents } from './contributors.ts'
import type { Database } from './database.ts'
import type { Jobs } from './jobs.ts'
import type { Scheduler } from './scheduler.ts'
import { Speed } from './speed.ts'

/** Who works here: what contributors tell becomes events of the core, and what is known of their speed. */
export class Crew implements Omit<ContributorEvents, 'answered'> {
  /** By peer: a window over its samples, those in committed rounds, and the throughput that it showed, or claims until it did, for all that it lends, FLOP/s. */
  readonly speeds = new Map<string, Speed>()
  readonly done = new Map<string, number>()
  readonly flops = new Map<string, number>()
  readonly #o: { db: Database; jobs: Jobs; clock: () => number; logger: Logger; scheduler: () => Scheduler }

  constructor(o: { db: Database; jobs: Jobs; clock: () => number; logger: Logger; scheduler: () => Scheduler }) {
    this.#o = o
  }

  joined: ContributorEvents['joined'] = (id, { name, offer, flops, leases }) => {
    const { db, clock, logger } = this.#o
    db.saveContributor(id, name)
    this.flops.set(id, flops * offer.cores)
    this.done.set(id, db.contributor(id)?.samples ?? 0)
    this.speeds.set(id, new Speed())
    const slices = slicesOf(offer)
    logger.info({ contributor: id, name, cores: offer.cores, slices: slices.length }, 'contributor joined')
    this.#o.scheduler().dispatch({
      type: 'contributor-joined',
      at: clock(),
      contributor: id,
      offer,
      flops,
      leases: leases.map(({ lease }) => lease),
    })
  }

  heartbeat: ContributorEvents['heartbeat'] = (id, { slices, survival }) => {
    const { jobs, clock } = this.#o
    const scheduler = this.#o.scheduler()
    let inFlight = 0
    for (const { lease, samples } of slices) {
      const job = lease === undefined ? undefined : scheduler.jobOfLease(lease)
      if (job === undefined || lease === undefined || samples === undefined) continue
      jobs.noteProgress(jobs.get(job), lease, id, samples)
      inFlight += samples
    }
    this.speeds.get(id)?.note(clock(), (this.done.get(id) ?? 0) + inFlight)
    scheduler.dispatch({ type: 'contributor-heartbeat', at: clock(), contributor: id, slices, survival })
  }

  offered: ContributorEvents['offered'] = (id, { offer, flops }) => {
    this.flops.set(id, flops * offer.cores)
    this.#o.scheduler().dispatch({ type: 'contributor-offer', at: this.#o.clock(), contributor: id, offer, flops })
  }

  released: ContributorEvents['released'] = (id, { lease, reason, code, message }) => {
    const scheduler = this.#o.scheduler()
    const job = scheduler.jobOfLease(lease)
    if (job)
      scheduler.dispatch({ type: 'released', at: this.#o.clock(), job, contributor: id, lease, reason, code, message })
  }

  left: ContributorEvents['left'] = (id, reason) => {
    for (const each of [this.speeds, this.done, this.flops]) each.delete(id)
    this.#o.logger.info({ contributor: id, reason }, 'contributor left')
    this.#o.scheduler().dispatch({ type: 'contributor-left', at: this.#o.clock(), contributor: id })
  }

  /** What it showed counts from now on, not what it claims; `flops` of all that it lends. */
  credited(id: string, offer: Offer, flops: number): void {
    if (!this.flops.has(id)) return
    this.flops.set(id, flops)
    const core = flops / offer.cores
    this.#o
      .scheduler()
      .dispatch({ type: 'contributor-offer', at: this.#o.clock(), contributor: id, offer, flops: core })
  }

  /** A round was committed: what its contributors have in trained models. */
  committed(contributors: Iterable<string>): void {
    for (const id of contributors) if (this.done.has(id)) this.done.set(id, this.#o.db.contributor(id)!.samples)
  }
}
