import { inspect } from 'node:util'
import { type KeyGrant, PinGoError } from '@pingo/wire'

/** Grants that one machine holds. */
export const MAX_GRANTS = 4_096

/**
 * The keys that running jobs were granted. In memory only; a key is overwritten with zeros when its job ends or its time is over. It
 * shows no key when it is printed. What a machine read while it had a key, it had: a grant that ends takes back nothing.
 */
export class GrantBook {
  /** By job, then object. */
  readonly #grants = new Map<string, Map<string, { key: Uint8Array; until: number }>>()

  /**
   * Holds a copy of the key; of two grants of one object to one job the later one counts.
   * @param now ms since epoch
   * @throws PinGoError GRANT_EXPIRED, GRANTS_TOO_MANY
   */
  add({ object, key, job, until }: KeyGrant, now: number): void {
    this.forgetExpired(now)
    if (until <= now) throw expired(object, job)
    const ofJob = this.#grants.get(job) ?? new Map<string, { key: Uint8Array; until: number }>()
    if (!ofJob.has(object) && this.size >= MAX_GRANTS)
      throw new PinGoError('GRANTS_TOO_MANY', `This machine holds ${MAX_GRANTS} keys of running jobs already.`)
    ofJob.get(object)?.key.fill(0)
    ofJob.set(object, { key: Uint8Array.from(key), until })
    this.#grants.set(job, ofJob)
  }

  /**
   * The key of an object for a job: the array itself, which is zeros when the grant has ended; not to be copied or kept.
   * @throws PinGoError GRANT_MISSING, GRANT_EXPIRED
   */
  key(job: string, object: string, now: number): Uint8Array {
    const grant = this.#grants.get(job)?.get(object)
    if (!grant)
      throw new PinGoError('GRANT_MISSING', `Job ${job} was not given the key of ${object}, or has ended.`, {
        hint: 'The owner of the data grants it when the job starts.',
      })
    if (grant.until > now) return grant.key
    this.forgetExpired(now)
    throw expired(object, job)
  }

  /** Forgets what a job was granted. */
  endJob(job: string): void {
    for (const { key } of this.#grants.get(job)?.values() ?? []) key.fill(0)
    this.#grants.delete(job)
  }

  /** Forgets what is over; to be called now and then. */
  forgetExpired(now: number): void {
    for (const [job, ofJob] of this.#grants) {
      for (const [object, { key, until }] of ofJob) {
        if (until > now) continue
        key.fill(0)
        ofJob.delete(object)
      }
      if (ofJob.size === 0) this.#grants.delete(job)
    }
  }

  /** Keys that are held. */
  get size(): number {
    return this.#grants.values().reduce((sum, ofJob) => sum + ofJob.size, 0)
  }

  toJSON(): { grants: number } {
    return { grants: this.size }
  }

  [inspect.custom](): string {
    return `GrantBook of ${this.size} keys`
  }
}

function expired(object: string, job: string): PinGoError {
  return new PinGoError('GRANT_EXPIRED', `The time is over for which job ${job} was given the key of ${object}.`)
}
