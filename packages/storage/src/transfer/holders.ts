import { setTimeout as sleep } from 'node:timers/promises'
import { type CID, isPinGoError, PinGoError, sentence } from '@pingo/wire'
import { pageMemory } from '../blocks/past-cache.ts'
import { MAX_BLOCK_BYTES } from '../limits.ts'
import type { HttpPool, Source } from './http-client.ts'
import type { Sink } from './lanes.ts'

/** A source that fails so often in a row is not asked again. */
const MAX_FAILURES = 4
/** An attempt that brought this much is no failure, however it ended. */
const PROGRESS_BYTES = 64 << 10
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000
const RAW_TYPE = 'application/vnd.ipld.raw'
/** Buffers that are kept for the next blocks: new ones would have the garbage collector run for every 64 MiB. */
const MAX_SPARE = 16

interface Holder {
  source: Source
  busy: number
  failures: number
  /** Why it is not asked any more. */
  dropped: string | undefined
}

/** How an attempt ended when it brought no whole block: `lacks` is of this block, `refused` of the source, `broke` may pass. */
type Outcome = { kind: 'done' } | { kind: 'lacks' | 'refused' | 'broke'; why: string }

/** What came of a block so far, and from whom. */
class Partial {
  readonly from = new Set<Holder>()
  bytes = 0
  #buffer: Buffer

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  get buffer(): Buffer {
    return this.#buffer
  }

  /** Makes room for what is announced, so that the block is gathered in one piece. */
  expect(more: number): void {
    this.#grow(this.bytes + more)
  }

  add(holder: Holder, part: Uint8Array): void {
    this.#grow(this.bytes + part.byteLength)
    this.#buffer.set(part, this.bytes)
    this.from.add(holder)
    this.bytes += part.byteLength
  }

  clear(): void {
    this.from.clear()
    this.bytes = 0
  }

  /** What came; valid until the next `add`. */
  block(): Uint8Array {
    return this.#buffer.subarray(0, this.bytes)
  }

  #grow(bytes: number): void {
    if (bytes <= this.#buffer.byteLength) return
    const larger = pageMemory(Math.max(bytes, Math.min(MAX_BLOCK_BYTES, 2 * this.#buffer.byteLength)))
    larger.set(this.block())
    this.#buffer = larger
  }
}

/** Several sources of the same blocks: asked by load, dropped when they lie, gone on with where one broke off. */
export class Holders {
  readonly #holders: Holder[]
  readonly #pool: HttpPool
  readonly #attemptMs: number
  readonly #spare: Buffer[] = []

  constructor(sources: readonly Source[], pool: HttpPool, attemptMs: number) {
    this.#holders = sources.map((source) => ({ source, busy: 0, failures: 0, dropped: undefined }))
    this.#pool = pool
    this.#attemptMs = attemptMs
  }

  /**
   * Brings a block that `accept` takes.
   * @param accept stores the bytes, which are good only until it resolves; false when they are not those of the block
   * @throws PinGoError FETCH_FAILED, SOURCE_INVALID, or the signal's reason
   */
  async get(cid: CID, accept: (bytes: Uint8Array) => Promise<boolean>, signal: AbortSignal): Promise<void> {
    const partial = new Partial(this.#spare.pop() ?? Buffer.alloc(0))
    await this.#get(cid, partial, accept, signal)
    // one that failed is left alone: something may be written to it still
    if (this.#spare.length < MAX_SPARE) this.#spare.push(partial.buffer)
  }

  /** No more blocks are wanted: their memory is free now, not when a collector finds it. */
  close(): void {
    for (const { buffer } of this.#spare.splice(0)) (buffer as ArrayBuffer).transferToFixedLength(0)
  }

  async #get(
    cid: CID,
    partial: Partial,
    accept: (bytes: Uint8Array) => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<void> {
    const lacking = new Map<Holder, string>()
    for (let pause = FIRST_PAUSE_MS; ; ) {
      signal.throwIfAborted()
      const holder = this.#choose(lacking)
      if (!holder) throw this.#failed(cid, lacking)
      const before = partial.bytes
      holder.busy += 1
      const outcome = await this.#attempt(holder, cid, partial, signal).finally(() => {
        holder.busy -= 1
      })
      if (outcome.kind === 'done') {
        if (await accept(partial.block())) {
          holder.failures = 0
          return
        }
        // pieces of several sources do not tell which one lies: the next attempt is of one alone
        if (partial.from.size === 1) holder.dropped = 'it sent wrong bytes'
        partial.clear()
      } else if (outcome.kind === 'lacks') lacking.set(holder, outcome.why)
      else if (outcome.kind === 'refused') holder.dropped = outcome.why
      else {
        if (partial.bytes - before < PROGRESS_BYTES) holder.failures += 1
        if (holder.failures >= MAX_FAILURES) holder.dropped = outcome.why
        else if (this.#choose(lacking) === holder) {
          await sleep(pause, undefined, { signal }).catch(() => undefined)
          pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
        }
      }
    }
  }

  /** The least busy source that may have the block. */
  #choose(lacking: Map<Holder, string>): Holder | undefined {
    let best: Holder | undefined
    for (const holder of this.#holders) {
      if (holder.dropped !== undefined || lacking.has(holder)) continue
      if (!best || holder.busy + holder.failures < best.busy + best.failures) best = holder
    }
    return best
  }

  async #attempt(holder: Holder, cid: CID, partial: Partial, signal: AbortSignal): Promise<Outcome> {
    const start = partial.bytes
    let outcome: Outcome = { kind: 'done' }
    const sink: Sink = {
      head: (status, headers) => {
        if (status !== 200 && status !== 206) outcome = refusal(status, partial)
        else if (status === 206 && !headers.get('content-range')?.startsWith(`bytes ${start}-`))
          outcome = { kind: 'refused', why: 'it sent another range than asked for' }
        if (outcome.kind !== 'done') return false
        if (status === 200) partial.clear() // from the beginning, whatever was asked for
        partial.expect(Math.min(Number(headers.get('content-length')) || 0, MAX_BLOCK_BYTES - partial.bytes))
        return true
      },
      part: (bytes) => {
        if (partial.bytes + bytes.byteLength <= MAX_BLOCK_BYTES) {
          partial.add(holder, bytes)
          return true
        }
        partial.clear()
        outcome = { kind: 'refused', why: 'it sent more than a block' }
        return false
      },
    }
    const headers = {
      accept: RAW_TYPE,
      'cache-control': 'no-store',
      ...(start > 0 ? { range: `bytes=${start}-` } : {}),
    }
    try {
      const o = { headers, signal, deadlineMs: this.#attemptMs }
      await this.#pool.stream(holder.source, `/ipfs/${cid}?format=raw`, o, sink)
      if (outcome.kind === 'done') partial.from.add(holder) // an empty block has no parts
      return outcome
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (isPinGoError(error, 'SOURCE_INVALID')) throw error
      if (isPinGoError(error, 'SOURCE_UNTRUSTED'))
        return { kind: 'refused', why: 'it shows another certificate than it announced' }
      return { kind: 'broke', why: isPinGoError(error, 'TRANSFER_TIMEOUT') ? 'it is too slow' : reasonOf(error) }
    }
  }

  #failed(cid: CID, lacking: Map<Holder, string>): PinGoError {
    const reasons = this.#holders.map((holder) => `${holder.source.url}: ${holder.dropped ?? lacking.get(holder)}`)
    const message = reasons.length
      ? `Block ${cid} cannot be had from any source (${reasons.join('; ')}).`
      : `There is no source to fetch block ${cid} from.`
    return new PinGoError('FETCH_FAILED', message, {
      hint: 'Try again when a node that holds it is up; what came so far is kept.',
      details: { cid: cid.toString() },
    })
  }
}

function refusal(status: number, partial: Partial): Outcome {
  if (status === 401 || status === 403) return { kind: 'refused', why: 'it refuses the token' }
  if (status === 404 || status === 410) return { kind: 'lacks', why: 'it does not have it' }
  if (status === 416) partial.clear() // what came cannot be a beginning of what this source has
  return { kind: 'broke', why: `it answers ${status}` }
}

const reasonOf = (error: unknown) =>
  (isPinGoError(error) ? error.message : sentence(error)).replace(/^Cannot reach [^ ]*: /, '').replace(/\.$/, '')
