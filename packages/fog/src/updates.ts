import type { FileStore } from '@pingo/storage'
import { deltaNorm } from '@pingo/training'
import {
  arrayView,
  maxUpdateBytes,
  PinGoError,
  UPDATE_TYPE,
  type Update,
  type UpdateAnswer,
  UpdateSchema,
  unseal,
} from '@pingo/wire'
import { buffersOf, type Job, type Jobs, parametersOf } from './jobs.ts'

/** A signed update that passed every check that needs no knowledge of leases, stored durably. */
export interface ReceivedUpdate {
  contributor: string
  update: Update
  /** CID of the stored envelope. */
  cid: string
  norm: number
}

/** Answers for an update: `submit` asks the scheduler, which knows the leases. */
export class UpdateDesk {
  readonly #files: FileStore
  readonly #jobs: Jobs
  readonly #submit: (received: ReceivedUpdate) => Promise<UpdateAnswer>
  readonly #jobOfLease: (lease: string) => string | undefined

  constructor(o: {
    files: FileStore
    jobs: Jobs
    jobOfLease: (lease: string) => string | undefined
    submit: (received: ReceivedUpdate) => Promise<UpdateAnswer>
  }) {
    this.#files = o.files
    this.#jobs = o.jobs
    this.#submit = o.submit
    this.#jobOfLease = o.jobOfLease
  }

  /** Largest body that a PUT for this lease may have, bytes. @throws PinGoError LEASE_UNKNOWN */
  limitOf(lease: string): number {
    const { program } = this.#jobOf(lease)
    return maxUpdateBytes(parametersOf(program), buffersOf(program))
  }

  /**
   * Checks signature, schema and numbers, stores the envelope durably, then asks whether the lease still holds.
   * Idempotent: the same bytes again get the same answer.
   */
  async receive(lease: string, body: Uint8Array): Promise<UpdateAnswer> {
    const job = this.#jobOf(lease)
    const parameters = parametersOf(job.program)
    const { from, value } = await unseal(UpdateSchema, UPDATE_TYPE, body, this.limitOf(lease))
    if (value.lease !== lease)
      throw new PinGoError('MESSAGE_INVALID', 'The update is for another lease than the one it was sent to.')
    const norm = deltaNorm(value.delta, parameters)
    checkBuffers(value, job)
    if (![norm, value.lossSum, value.metricSum].every(Number.isFinite))
      return { accepted: false, code: 'UPDATE_NONFINITE', message: 'The update holds numbers that are not finite.' }
    const stored = await this.#files.put(body)
    return this.#submit({ contributor: from, update: value, cid: stored.cid, norm })
  }

  #jobOf(lease: string): Job {
    const job = this.#jobOfLease(lease)
    if (!job) throw new PinGoError('LEASE_UNKNOWN', `There is no lease '${lease.slice(0, 100)}' (any more).`)
    return this.#jobs.get(job)
  }
}

function checkBuffers(update: Update, job: Job): void {
  const elements = buffersOf(job.program)
  if (update.buffers.byteLength !== elements * 4)
    throw new PinGoError(
      'UPDATE_MALFORMED',
      `The update has ${update.buffers.byteLength} bytes of running statistics, ${elements * 4} are wanted.`,
    )
  if (!(arrayView('float32', update.buffers) as Float32Array).every(Number.isFinite))
    throw new PinGoError('UPDATE_NONFINITE', 'The running statistics hold numbers that are not finite.')
}
