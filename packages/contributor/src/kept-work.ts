import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decode, encode, FileRefSchema, type Lease, MAX_SLICES, type SliceReport, type UpdateAnswer } from '@pingo/wire'
import { z } from 'zod'
import type { Files } from './files.ts'

const MAX_RECORD_BYTES = 4_096
const NAME = /^kept-(\d{1,3})\.cbor$/

const Text = z.string().min(1).max(200)
const KeptSchema = z.strictObject({
  slice: z.int().min(0).max(MAX_SLICES),
  lease: Text,
  ticket: z.string().max(200),
  /** Peer id of the fog node that granted it. */
  fog: z.string().max(200),
  /** When the lease is void, ms since epoch. */
  deadline: z.number(),
  /** The signed update, in the disk cache. */
  body: FileRefSchema,
})
type Kept = z.infer<typeof KeptSchema>

/** Sends the update of a lease until it is answered. */
export type Deliver = (lease: Pick<Lease, 'id' | 'ticket'>, body: Uint8Array, deadline: number) => Promise<UpdateAnswer>

/**
 * What long leases have done so far, on the disk: a process that is killed hands it in when it is started again, as long as the round is open. Of each
 * slice the newest; the signed updates are in the disk cache, so the owner's quota holds for them too.
 */
export class KeptWork {
  readonly #folder: string
  readonly #files: Pick<Files, 'put' | 'readKept' | 'drop'>
  /** By slice: of the lease that runs, and of leases of a process before. */
  readonly #kept = new Map<number, Kept>()
  readonly #before = new Set<number>()

  private constructor(folder: string, files: Pick<Files, 'put' | 'readKept' | 'drop'>) {
    this.#folder = folder
    this.#files = files
  }

  /** Takes up what a process before left; what is void, or unreadable, is dropped. */
  static async open(folder: string, files: Pick<Files, 'put' | 'readKept' | 'drop'>, now: number): Promise<KeptWork> {
    const work = new KeptWork(folder, files)
    for (const name of await readdir(folder).catch(() => [])) {
      if (!NAME.test(name)) continue
      const kept = await read(join(folder, name))
      if (kept && kept.deadline > now) {
        work.#kept.set(kept.slice, kept)
        work.#before.add(kept.slice)
      } else {
        await rm(join(folder, name), { force: true })
        if (kept) await files.drop(kept.body).catch(() => undefined)
      }
    }
    return work
  }

  /** Leases of a process before that are still to be handed in: told to the fog node with the hello. */
  leases(): { lease: string; slice: number }[] {
    return [...this.#before].map((slice) => ({ lease: this.#kept.get(slice)!.lease, slice }))
  }

  /** What a slice with nothing else to do tells while something of it is handed in. */
  reportOf(slice: number): SliceReport | undefined {
    return this.#before.has(slice) ? { state: 'submitting', lease: this.#kept.get(slice)!.lease } : undefined
  }

  /** Keeps a lease's update so far in place of the one before. @throws PinGoError QUOTA_EXCEEDED, DISK_LOW; then what was kept before still is */
  async keep(
    o: { slice: number; lease: Pick<Lease, 'id' | 'ticket'>; fog: string; deadline: number },
    body: Uint8Array,
  ) {
    const { slice, lease, fog, deadline } = o
    const before = this.#kept.get(slice)
    const kept = {
      slice,
      lease: lease.id,
      ticket: lease.ticket,
      fog,
      deadline,
      body: await this.#files.put(body, slice),
    }
    const path = this.#path(slice)
    await writeFile(`${path}.new`, encode(kept), { mode: 0o600 })
    await rename(`${path}.new`, path)
    this.#kept.set(slice, kept)
    this.#before.delete(slice)
    if (before && before.body.cid !== kept.body.cid) await this.#files.drop(before.body).catch(() => undefined)
  }

  /** A lease is over: what was kept of it goes. */
  async drop(slice: number, lease: string): Promise<void> {
    const kept = this.#kept.get(slice)
    if (kept?.lease !== lease) return
    this.#kept.delete(slice)
    this.#before.delete(slice)
    await rm(this.#path(slice), { force: true })
    await this.#files.drop(kept.body).catch(() => undefined)
  }

  /** Hands in what a process before left for this fog node. @returns the samples' leases that were accepted */
  async handIn(fog: string, deliver: Deliver): Promise<string[]> {
    const accepted: string[] = []
    for (const slice of [...this.#before]) {
      const { lease, ticket, deadline, body, fog: from } = this.#kept.get(slice)!
      if (from !== fog) continue
      try {
        const answer = await deliver({ id: lease, ticket }, await this.#files.readKept(body), deadline)
        if (answer.accepted) accepted.push(lease)
      } catch {
        // evicted, damaged, or too late: the fog node leases the work again
      }
      await this.drop(slice, lease)
    }
    return accepted
  }

  #path(slice: number): string {
    return join(this.#folder, `kept-${slice}.cbor`)
  }
}

async function read(path: string): Promise<Kept | undefined> {
  try {
    return decode(KeptSchema, await readFile(path), MAX_RECORD_BYTES)
  } catch {
    return undefined
  }
}
