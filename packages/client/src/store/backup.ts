import { constants, createDeflate, createInflate } from 'node:zlib'
import { type Names, nameOf } from '@pingo/storage'
import { decode, encode, type Identity, PinGoError } from '@pingo/wire'
import { z } from 'zod'
import { transaction } from './database.ts'
import { type Extent, ExtentSchema, type Line, LineSchema } from './entry.ts'
import type { KeyBox } from './key-box.ts'
import type { Objects } from './objects.ts'
import type { OwnerIndex } from './owner-index.ts'

const VALUE_PREFIX = '/pingo/index/'
const CONTEXT = 'index pointer'
const FORMAT = 'pingo/index/1'
/** Lines of one piece of a snapshot: what is in memory at once stays small. */
const LINES_PER_PIECE = 1_000
const MAX_PIECE_BYTES = 64 << 20
/** Snapshots that stay readable for machines that have just learned of them. */
const KEPT_SNAPSHOTS = 2
const MAX_TRIES = 4
/** An owner may be away for long: whose name ended, nobody finds the index by the recovery phrase alone any more. */
const NAME_LIFETIME_MS = 20 * 365 * 24 * 3_600_000
/** A name's record that ends sooner is published again. */
const RENEW_NAME_MS = NAME_LIFETIME_MS / 2

const PointerSchema = z.strictObject({ format: z.literal(FORMAT), snapshot: ExtentSchema })
const PieceSchema = z.array(LineSchema).max(LINES_PER_PIECE)

export interface BackupState {
  /** When the index was last known to be whole in the network, ms since epoch. */
  at: number | undefined
  /** Whether it has changed since. */
  isFresh: boolean
}

export interface SyncOptions {
  signal?: AbortSignal
  /** Publishes even when nothing changed, and over a copy that cannot be read. */
  isForced?: boolean
}

/**
 * The owner's index in the network: a snapshot as a private object, found by a name that only the owner's secret leads to. Machines of
 * one owner meet there: each takes over what is new to it, then publishes what the others lack. Until a snapshot holds them, changes
 * are in the database of their machine, so whoever is overtaken publishes again: nothing is lost.
 */
export class Backup {
  readonly #index: OwnerIndex
  readonly #objects: Objects
  readonly #names: Names
  readonly #identity: Identity
  readonly #keys: KeyBox
  readonly #clock: () => number
  #running: Promise<{ merged: number }> | undefined

  constructor(o: {
    index: OwnerIndex
    objects: Objects
    names: Names
    /** The key pair of the index's name. */
    identity: Identity
    keys: KeyBox
    clock?: () => number
  }) {
    this.#index = o.index
    this.#objects = o.objects
    this.#names = o.names
    this.#identity = o.identity
    this.#keys = o.keys
    this.#clock = o.clock ?? Date.now
  }

  state(): BackupState {
    const at = this.#index.meta('backup.at')
    return {
      at: at === undefined ? undefined : Number(at),
      isFresh: Number(this.#index.meta('backup.revision') ?? 0) === this.#index.revision,
    }
  }

  /**
   * Takes over what other machines published and publishes what they lack. Calls at once are one.
   * @returns how many lines came from others
   * @throws PinGoError as putObject, Names.publish and Names.resolve
   */
  sync(o: SyncOptions = {}): Promise<{ merged: number }> {
    this.#running ??= this.#sync(o).finally(() => (this.#running = undefined))
    return this.#running
  }

  async #sync({ signal, isForced }: SyncOptions): Promise<{ merged: number }> {
    let merged = 0
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const found = await this.#names.resolve(nameOf(this.#identity), { signal })
      const isEnding = found !== undefined && found.validUntil - this.#clock() < RENEW_NAME_MS
      let isAhead = found ? isEnding || !this.state().isFresh : this.#index.revision > 0
      if (found && found.value !== this.#index.meta('backup.value')) {
        const took = await this.#take(found.value, signal).catch((error) => {
          if (!isForced || signal?.aborted) throw error
          return { changed: 0, isAhead: true, snapshot: '' } // it cannot be read: the index of this machine takes its place
        })
        merged += took.changed
        isAhead = took.isAhead
        if (!isAhead) this.#settle(found.value, this.#index.revision, took.snapshot)
      } else if (isForced && attempt === 0) isAhead = this.#index.revision > 0
      if (!isAhead) return { merged }
      await this.#publish(signal)
      // two machines that publish at once: one record stays, and the other machine's lines are published again
    }
    return { merged }
  }

  async #publish(signal?: AbortSignal): Promise<void> {
    const revision = this.#index.revision
    const { extent } = await this.#objects.put(pack(this.#index.lines()), {
      class: 'hot',
      acceptsFewer: true, // a copy on few nodes is better than none
      signal,
    })
    const pointer = this.#keys.seal(CONTEXT, encode({ format: FORMAT, snapshot: extent }))
    const value = VALUE_PREFIX + Buffer.from(pointer).toString('base64url')
    await this.#names.publish(this.#identity, value, { signal, lifetimeMs: NAME_LIFETIME_MS })
    this.#settle(value, revision, extent.id)
  }

  async #take(value: string, signal?: AbortSignal) {
    const lines: Line[] = []
    const snapshot = this.#pointer(value)
    for await (const piece of unpack(this.#objects.read([snapshot], undefined, signal))) lines.push(...piece)
    return { ...this.#index.merge(lines), snapshot: snapshot.id }
  }

  #pointer(value: string): Extent {
    if (!value.startsWith(VALUE_PREFIX)) throw damaged()
    const sealed = Buffer.from(value.slice(VALUE_PREFIX.length), 'base64url')
    return decode(PointerSchema, this.#keys.open(CONTEXT, sealed), sealed.byteLength).snapshot
  }

  /**
   * Notes that the index is whole in the network as of `revision`. A snapshot of this machine is expected no more, since the name leads
   * to it, and takes the place of older ones; also when the process that published it died before it could note that.
   */
  #settle(value: string, revision: number, snapshot: string): void {
    const index = this.#index
    transaction(index.db, () => {
      index.setMeta('backup.value', value)
      index.setMeta('backup.revision', String(revision))
      index.setMeta('backup.at', String(this.#clock()))
      if (!index.isExpected(snapshot)) return // another machine's
      index.forgotten(snapshot)
      const kept = [snapshot, ...(JSON.parse(index.meta('backup.ids') ?? '[]') as string[])]
      index.discard(kept.splice(KEPT_SNAPSHOTS))
      index.setMeta('backup.ids', JSON.stringify(kept))
    })
  }
}

/** Pieces of lines (length as 32 bits, dag-cbor), deflated. */
async function* pack(lines: readonly Line[]): AsyncGenerator<Uint8Array> {
  const deflate = createDeflate({ level: constants.Z_BEST_SPEED })
  const fill = async () => {
    for (let at = 0; at < lines.length; at += LINES_PER_PIECE) {
      const piece = encode(lines.slice(at, at + LINES_PER_PIECE))
      const length = Buffer.alloc(4)
      length.writeUInt32BE(piece.byteLength)
      deflate.write(length)
      if (!deflate.write(piece)) await new Promise((resolve) => deflate.once('drain', resolve))
    }
    deflate.end()
  }
  fill().catch((error) => deflate.destroy(error))
  yield* deflate as AsyncIterable<Uint8Array>
}

async function* unpack(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Line[]> {
  const inflate = createInflate()
  const fill = async () => {
    for await (const part of packed)
      if (!inflate.write(part)) await new Promise((resolve) => inflate.once('drain', resolve))
    inflate.end()
  }
  fill().catch((error) => inflate.destroy(error))
  let held: Buffer = Buffer.alloc(0)
  for await (const part of inflate as AsyncIterable<Buffer>) {
    held = held.byteLength ? Buffer.concat([held, part]) : part
    while (held.byteLength >= 4) {
      const length = held.readUInt32BE()
      if (length > MAX_PIECE_BYTES) throw damaged()
      if (held.byteLength < 4 + length) break
      yield decode(PieceSchema, held.subarray(4, 4 + length), MAX_PIECE_BYTES)
      held = held.subarray(4 + length)
    }
  }
  if (held.byteLength) throw damaged()
}

const damaged = () =>
  new PinGoError('BACKUP_DAMAGED', 'The copy of your index in the network cannot be read.', {
    hint: 'It is published anew with the next change of a machine that has the index.',
  })
