import { hkdfSync } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Unseal } from '@pingo/data'
import { GrantBook, openGrant, openSealedFile, type Receiver, receiverOf, sealGrant } from '@pingo/storage'
import {
  decode,
  encode,
  type Identity,
  type JobGrant,
  MAX_GRANT_MS,
  MAX_JOB_GRANTS,
  MAX_KEY_GRANT_BYTES,
} from '@pingo/wire'
import { z } from 'zod'

const SealedGrantsSchema = z.array(z.instanceof(Uint8Array)).max(MAX_JOB_GRANTS)
const MAX_FILE_BYTES = MAX_JOB_GRANTS * (MAX_KEY_GRANT_BYTES + 100) + 100

/**
 * The keys of running jobs' private data: in memory, and in `<folder>/<job>` sealed to this node, so that a restart can go on. When a job
 * ends, both are overwritten with zeros, and the file is removed: from then on nothing here opens what is stored of the data. (A
 * copy-on-write file system or a flash disk may keep what was overwritten; what was sealed there opens only with the node's identity.)
 */
export class Grants {
  readonly #book = new GrantBook()
  readonly #folder: string
  readonly #receiver: Receiver
  readonly #clock: () => number

  private constructor(folder: string, receiver: Receiver, clock: () => number) {
    this.#folder = folder
    this.#receiver = receiver
    this.#clock = clock
  }

  static async open(folder: string, identity: Identity, clock: () => number): Promise<Grants> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const secret = new Uint8Array(hkdfSync('sha256', identity.privateKey.raw, '', 'pingo/fog/grants/1', 32))
    return new Grants(folder, await receiverOf(secret), clock)
  }

  /** Holds a job's keys in memory. @throws PinGoError GRANT_EXPIRED, GRANTS_TOO_MANY */
  hold(job: string, grants: readonly JobGrant[]): void {
    for (const { object, key, until } of grants)
      this.#book.add({ object, key: Buffer.from(key, 'base64url'), job, until: this.#bounded(until) }, this.#clock())
  }

  /** Keeps what {@link Grants.hold} was given over a restart; durable when it resolves. */
  async keep(job: string, grants: readonly JobGrant[]): Promise<void> {
    if (grants.length === 0) return
    const sealed = await Promise.all(
      grants.map(({ object, key, until }) =>
        sealGrant(this.#receiver.publicKey, {
          object,
          key: Buffer.from(key, 'base64url'),
          job,
          until: this.#bounded(until),
        }),
      ),
    )
    const temporary = `${this.#file(job)}.new`
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(encode(sealed))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, this.#file(job))
    await this.#syncFolder()
  }

  /** Takes up the keys of a job that ran before the restart. @throws PinGoError GRANT_EXPIRED, WRAP_INVALID; or what reading the file throws */
  async restore(job: string): Promise<void> {
    for (const sealed of decode(SealedGrantsSchema, await readFile(this.#file(job)), MAX_FILE_BYTES))
      this.#book.add(await openGrant(this.#receiver, job, sealed), this.#clock())
  }

  /** Removes what is left of jobs that do not run: of those that a crash kept from being taken in, or from ending here. */
  async forgetAllBut(running: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (name.endsWith('.new')) await this.#wipe(join(this.#folder, name))
      else if (!running.has(name)) await this.end(name)
    }
  }

  /** What opens a job's private dataset, for as long as the job has its key. */
  unsealOf(job: string, dataset: string): (...sealed: Parameters<Unseal>) => Uint8Array {
    return (sealed) => openSealedFile(this.#book.key(job, dataset, this.#clock()), sealed)
  }

  /** A copy of a key, for a lease. @throws PinGoError GRANT_MISSING, GRANT_EXPIRED */
  keyFor(job: string, dataset: string): Uint8Array {
    return Uint8Array.from(this.#book.key(job, dataset, this.#clock()))
  }

  /** A job's keys are gone when this resolves, from memory at once. */
  async end(job: string): Promise<void> {
    this.#book.endJob(job)
    await this.#wipe(this.#file(job))
  }

  async #wipe(path: string): Promise<void> {
    try {
      const file = await open(path, 'r+')
      try {
        await file.write(Buffer.alloc((await file.stat()).size), 0, undefined, 0)
        await file.sync()
      } finally {
        await file.close()
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    await rm(path, { force: true })
    await this.#syncFolder()
  }

  #bounded(until: number): number {
    return Math.floor(Math.min(until, this.#clock() + MAX_GRANT_MS))
  }

  async #syncFolder(): Promise<void> {
    if (process.platform === 'win32') return
    const folder = await open(this.#folder, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  #file(job: string): string {
    return join(this.#folder, job)
  }
}
