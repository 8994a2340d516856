import { slicesOf } from '@pingo/wire'
import type { Logger } from 'pino'
import type { ContributorEvents } from './contributors.ts'
import { sliceId } from './core/index.ts'
import type { Database } from './database.ts'
import type { Jobs } from './jobs.ts'
import type { Scheduler } from './scheduler.ts'
import { Speed } from './speed.ts'

/** Who works here: what contributors tell becomes events of the core, a worker for each slice, and what is known of their speed. */
export class Crew implements ContributorEvents {
  /** By peer: a window over its samples, those in committed rounds, and the throughput that it claims for all that it lends, FLOP/s. */
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
    for (const [index, slice] of slices.entries())
      this.#o.scheduler().dispatch({
        type: 'contributor-joined',
        at: clock(),
        contributor: sliceId(id, index),
        offer: { ...slice, diskBytes: offer.diskBytes },
        flops: flops * slice.cores,
        leases: leases.filter((held) => held.slice === index).map(({ lease }) => lease),
      })
  }

  heartbeat: ContributorEvents['heartbeat'] = (id, { slices, survival }) => {
    const { jobs, clock } = this.#o
    const scheduler = this.#o.scheduler()
    let inFlight = 0
    for (const [index, { state, lease, steps, samples, loss }] of slices.entries()) {
      const job = lease === undefined ? undefined : scheduler.jobOfLease(lease)
      if (job && lease !== undefined && samples !== undefined) {
        jobs.noteProgress(jobs.get(job), lease, id, samples)
        inFlight += samples
      }
      scheduler.dispatch({
        type: 'contributor-heartbeat',
        at: clock(),
        contributor: sliceId(id, index),
        state,
        lease,
        steps,
        samples,
        loss,
        survival,
      })
    }
    this.speeds.get(id)?.note(clock(), (this.done.get(id) ?? 0) + inFlight)
  }

  offered: ContributorEvents['offered'] = (id, { offer, flops }, before) => {
    const at = this.#o.clock()
    const scheduler = this.#o.scheduler()
    this.flops.set(id, flops * offer.cores)
    const [slices, were] = [slicesOf(offer), slicesOf(before).length]
    for (let index = slices.length; index < were; index++)
      scheduler.dispatch({ type: 'contributor-left', at, contributor: sliceId(id, index) })
    for (const [index, slice] of slices.entries()) {
      const worker = {
        at,
        contributor: sliceId(id, index),
        offer: { ...slice, diskBytes: offer.diskBytes },
        flops: flops * slice.cores,
      }
      scheduler.dispatch(
        index < were ? { type: 'contributor-offer', ...worker } : { type: 'contributor-joined', ...worker, leases: [] },
      )
    }
  }

  released: ContributorEvents['released'] = (id, { lease, reason, code, message }) => {
    const scheduler = this.#o.scheduler()
    const job = scheduler.jobOfLease(lease)
    const contributor = scheduler.holderOf(lease, id)
    if (job)
      scheduler.dispatch({ type: 'released', at: this.#o.clock(), job, contributor, lease, reason, code, message })
  }

  left: ContributorEvents['left'] = (id, offer, reason) => {
    for (const each of [this.speeds, this.done, this.flops]) each.delete(id)
    this.#o.logger.info({ contributor: id, reason }, 'contributor left')
    for (const index of slicesOf(offer).keys())
      this.#o.scheduler().dispatch({ type: 'contributor-left', at: this.#o.clock(), contributor: sliceId(id, index) })
  }

  /** A round was committed: what its contributors have in trained models. */
  committed(contributors: Iterable<string>): void {
    for (const id of contributors) if (this.done.has(id)) this.done.set(id, this.#o.db.contributor(id)!.samples)
  }
}
