import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { type Code, type ManifestPart, PinGoError, type Stripe, sha256, UPLOAD_LEASE_MS } from '@pingo/wire'
import type { NodeMap } from '../nodes/port.ts'
import { within } from './abort.ts'
import type { JournalStripe, PutJournal } from './journal.ts'
import type { MadeStripe } from './make-stripe.ts'
import { rawCid, shardCid, storedBytesOf, width } from './object.ts'
import type { NodePool } from './pool.ts'
import { spread } from './spread.ts'

/** Bytes of shards in memory at once: the next stripe is made while the rest of the last one is on its way. The segment that is being read comes on top. */
const MAX_BYTES_IN_FLIGHT = 20 << 20
const MAX_STRIPES_IN_FLIGHT = 8
/** Stripes of an earlier try that are checked at once. */
const CHECKED_AT_ONCE = 64
const CHECK_DEADLINE_MS = 30_000
/** A put that lasts longer renews the leases of what it has stored. */
const RENEW_MS = UPLOAD_LEASE_MS / 3
const RENEW_DEADLINE_MS = 60_000

export interface WriterOptions {
  code: Code
  pool: NodePool
  nodes: NodeMap
  journal: PutJournal
  upload: string
  clock: () => number
  signal?: AbortSignal
  onStored: (what: { shards?: number; resumedShards?: number; replaced?: number; bytes?: number }) => void
}

/** A stripe that is to be stored. */
export interface PendingStripe {
  index: number
  /** As in {@link JournalStripe}. */
  content: Uint8Array
  /** Bytes of the source in it. */
  sourceBytes: number
  /** Makes it; called before `add` resolves, or never when an earlier try has stored it. */
  make(): MadeStripe
}

type Done = NonNullable<JournalStripe['done']>

/** Stores stripes, several at once, within a bound of memory; remembers in the journal how far it came. */
export class StripeWriter {
  readonly #o: WriterOptions
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #sending = new Set<Promise<void>>()
  readonly #done: Done[] = []
  /** Of an earlier try: by stripe the holders that still have their shards. */
  readonly #checked = new Map<number, (string | undefined)[]>()
  #bytes = 0
  /** Bytes of the shards of the largest stripe so far: the next one is expected to be no larger. */
  #largest = 0
  #room = Promise.withResolvers<void>()
  #failure: { error: unknown } | undefined
  #renewedAt: number
  #isResumed = false

  constructor(o: WriterOptions) {
    this.#renewedAt = o.clock()
    this.#o = o
    this.#signal = o.signal ? AbortSignal.any([o.signal, this.#stop.signal]) : this.#stop.signal
  }

  /** Resolves when there is room for the next one. @throws PinGoError SOURCE_CHANGED, and what storing an earlier stripe met with */
  async add({ index, content, sourceBytes, make }: PendingStripe): Promise<void> {
    this.#throwFailure()
    if (this.#o.clock() - this.#renewedAt > RENEW_MS) await this.#renew()
    const known = await this.#o.journal.stripe(index)
    if (known && Buffer.compare(known.content, content) !== 0) throw new SourceChanged(index)
    if (known?.done) this.#isResumed = true
    const kept = known?.done ? await this.#stillHeld(index, known.done) : undefined
    if (known?.done && kept && isWhole(known.done, kept, this.#o.code)) {
      this.#done[index] = { stripe: known.done.stripe, holders: kept }
      this.#o.onStored({ resumedShards: countOf(kept), bytes: sourceBytes })
      return
    }
    if (!known) await this.#o.journal.write(index, { content })
    const isFull = () => this.#bytes > 0 && this.#bytes + this.#largest > MAX_BYTES_IN_FLIGHT
    while (isFull() || this.#sending.size >= MAX_STRIPES_IN_FLIGHT) {
      await Promise.race([...this.#sending, this.#room.promise])
      this.#throwFailure()
    }
    const made = make()
    let held = bytesOf(made)
    this.#bytes += held
    this.#largest = Math.max(this.#largest, held)
    await yieldToOthers() // a stripe takes tens of milliseconds
    const drop = (shard?: number) => {
      if (shard === undefined) made.chunks.fill(undefined)
      else made.chunks[shard] = undefined
      const left = bytesOf(made)
      this.#bytes -= held - left
      held = left
      this.#room.resolve()
      this.#room = Promise.withResolvers()
    }
    const sent = this.#send(index, content, sourceBytes, made, drop, kept)
      .catch((error) => {
        this.#failure ??= { error }
        this.#stop.abort(error)
      })
      .finally(() => {
        drop()
        this.#sending.delete(sent)
      })
    this.#sending.add(sent)
  }

  async #send(
    index: number,
    content: Uint8Array,
    sourceBytes: number,
    made: MadeStripe,
    drop: (shard: number) => void,
    kept?: (string | undefined)[],
  ) {
    const { pool, upload, onStored, journal } = this.#o
    const holders = await spread(
      made,
      {
        pool,
        upload,
        signal: this.#signal,
        onStored: (shard) => {
          drop(shard)
          onStored({ shards: 1 })
        },
        onReplaced: () => onStored({ replaced: 1 }),
      },
      kept,
    )
    const done = { stripe: made.stripe, holders }
    await journal.write(index, { content, done })
    this.#done[index] = done
    onStored({ bytes: sourceBytes, resumedShards: kept && countOf(kept) })
  }

  /** All stripes in order, when all are stored. @throws PinGoError CHUNKS_LOST, and what storing one met with */
  async finish(): Promise<Done[]> {
    while (this.#sending.size > 0) await Promise.race(this.#sending)
    this.#throwFailure()
    // the leases of an earlier try may be about to end
    if (this.#isResumed || this.#o.clock() - this.#renewedAt > RENEW_MS) await this.#renew()
    return this.#done
  }

  /**
   * Keeps everything that is stored for as long as an upload may take; the label is none of an object.
   * @throws PinGoError CHUNKS_LOST
   */
  async #renew(): Promise<void> {
    const { nodes, code, clock, upload } = this.#o
    this.#renewedAt = clock()
    const label = rawCid(sha256(Buffer.from(upload))).toString()
    const stripes = [...this.#done.entries()].filter(([, done]) => done !== undefined) // those on their way are gaps
    const shards = byHolder(stripes.map(([index, done]) => ({ index, done })))
    let lost = 0
    await Promise.all(
      [...shards].map(async ([peerId, held]) => {
        const cids = held.map(({ stripe, shard }) => shardCid(stripe, code, shard))
        const signal = within(RENEW_DEADLINE_MS, this.#signal)
        const node = nodes.get(peerId)
        const missing = await node?.keep(label, cids, clock() + UPLOAD_LEASE_MS, { signal }).catch(() => undefined)
        this.#signal.throwIfAborted()
        lost += (missing ?? cids).length
      }),
    )
    if (lost === 0) return
    throw new PinGoError('CHUNKS_LOST', `${lost} shards that were stored are gone, or their nodes do not answer.`, {
      hint: 'Put it again: only they are sent again.',
    })
  }

  /** Ends what is on its way. */
  async close(reason: unknown): Promise<void> {
    this.#stop.abort(reason)
    await Promise.allSettled(this.#sending)
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error
  }

  /** Which holders of a stripe still have its shards; the next stripes are asked for in the same questions. */
  async #stillHeld(index: number, done: Done): Promise<(string | undefined)[]> {
    if (!this.#checked.has(index)) {
      this.#checked.clear()
      const asked: { index: number; done: Done }[] = [{ index, done }]
      while (asked.length < CHECKED_AT_ONCE) {
        const next = await this.#o.journal.stripe(index + asked.length)
        if (!next?.done) break
        asked.push({ index: index + asked.length, done: next.done })
      }
      const lost = await this.#ask(asked)
      for (const { index, done } of asked)
        this.#checked.set(
          index,
          done.holders.map((peerId, shard) => (lost.has(`${index}.${shard}`) ? undefined : peerId)),
        )
    }
    return this.#checked.get(index)!
  }

  async #ask(asked: readonly { index: number; done: Done }[]): Promise<Set<string>> {
    const { code, nodes } = this.#o
    const lost = new Set<string>()
    await Promise.all(
      [...byHolder(asked)].map(async ([peerId, shards]) => {
        const cids = shards.map(({ stripe, shard }) => shardCid(stripe, code, shard))
        const signal = within(CHECK_DEADLINE_MS, this.#signal)
        const node = nodes.get(peerId)
        const missing = node ? await node.missing(cids, { signal }).catch(() => cids) : cids
        this.#signal.throwIfAborted()
        const gone = new Set(missing.map(String))
        for (const [n, { index, shard }] of shards.entries())
          if (gone.has(cids[n]!.toString())) lost.add(`${index}.${shard}`)
      }),
    )
    return lost
  }
}

/** A resumed source is not what it was when its stripe `index` was begun. */
export class SourceChanged extends PinGoError {
  constructor(index: number) {
    super('SOURCE_CHANGED', `The data changed since this put began (at segment ${index}).`, {
      hint: 'Put it again: it begins afresh, under a new key.',
    })
  }
}

/** Bytes of the chunks of a stripe that are still needed; copies are one. */
const bytesOf = ({ chunks }: MadeStripe) =>
  [...new Set(chunks)].reduce((sum, chunk) => sum + (chunk?.bytes.byteLength ?? 0), 0)

/** The shards of stripes, by who holds them. */
function byHolder(stripes: readonly { index: number; done: Done }[]) {
  const held = new Map<string, { index: number; shard: number; stripe: Stripe }[]>()
  for (const { index, done } of stripes)
    for (const [shard, peerId] of done.holders.entries()) {
      if (peerId === undefined) continue
      const shards = held.get(peerId) ?? []
      shards.push({ index, shard, stripe: done.stripe })
      held.set(peerId, shards)
    }
  return held
}

const countOf = (holders: readonly (string | undefined)[]) => holders.filter((peerId) => peerId !== undefined).length

function isWhole({ stripe }: Done, holders: readonly (string | undefined)[], code: Code): boolean {
  for (let shard = 0; shard < width(code); shard++)
    if (holders[shard] === undefined && storedBytesOf(stripe, code, shard) > 0) return false
  return true
}

/** Stripes as parts of a manifest. @param tree blocks that are kept with it */
export function partsOf(
  stripes: readonly Stripe[],
  tree: readonly string[],
  perPart: number,
  treePerPart: number,
): ManifestPart[] {
  const parts: ManifestPart[] = []
  const count = Math.max(Math.ceil(stripes.length / perPart), Math.ceil(tree.length / treePerPart))
  for (let n = 0; n < count; n++) {
    const branch = tree.slice(n * treePerPart, (n + 1) * treePerPart)
    parts.push({
      type: 'pingo/object-part',
      stripes: stripes.slice(n * perPart, (n + 1) * perPart),
      ...(branch.length > 0 ? { tree: branch } : {}),
    })
  }
  return parts
}
