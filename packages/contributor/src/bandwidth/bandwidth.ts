import { PinGoError, sentence } from '@pingo/wire'
import { Bucket, type BucketClock, MAX_PIECE_BYTES, machineClock } from './bucket.ts'
import { type Direction, MonthlyVolume } from './month.ts'

/** What HTTP's payload weighs on the wire: TLS records, TCP and IP heads, acknowledgements. */
const WIRE_SHARE = 1.05
/** What is kept of the monthly volume to hand in results and say goodbye: nothing more is fetched when only this is left. */
const RESERVE_SHARE = 0.05
const MAX_RESERVE_BYTES = 64 << 20
/** As near to the cap as this, bytes are asked for before they come. */
const NEAR_BYTES = 64 << 20
/** A crash costs at most this part of the monthly volume. */
const AHEAD_SHARE = 0.01

/** The two members of the owner's settings that concern it; 0: no limit. */
export interface BandwidthLimits {
  /** Each way. */
  bytesPerSecond: number
  /** Both ways together, by the machine's own calendar. */
  monthlyBytes: number
}

export interface BandwidthOptions {
  /** Where the month's volume is kept; absent: nowhere. */
  file?: string
  limits?: BandwidthLimits
  /** The month's volume is used up; said once a month, and again after limits that were changed. */
  onCap?: () => void
  onFailure?: (error: PinGoError) => void
  clock?: BucketClock
  /** ms since epoch. */
  now?: () => number
}

const UNLIMITED: BandwidthLimits = { bytesPerSecond: 0, monthlyBytes: 0 }

/**
 * The owner's limits on what is sent and received: a rate each way, and a volume a month that is never passed. What is counted is the payload and
 * an allowance for what carries it, so that it is what a provider counts, or a little more.
 */
export class Bandwidth {
  readonly #buckets: Record<Direction, Bucket>
  readonly #volume: MonthlyVolume
  readonly #onCap: () => void
  #limits: BandwidthLimits
  #isCapSaid = false

  constructor(o: BandwidthOptions = {}) {
    const { limits = UNLIMITED, clock = machineClock, now = Date.now } = o
    this.#limits = limits
    this.#onCap = o.onCap ?? (() => undefined)
    this.#buckets = {
      sent: new Bucket(limits.bytesPerSecond, clock),
      received: new Bucket(limits.bytesPerSecond, clock),
    }
    this.#volume = new MonthlyVolume(o.file, now, (cause) =>
      o.onFailure?.(
        new PinGoError('BANDWIDTH_NOT_KEPT', `The month's volume cannot be kept in ${o.file}: ${sentence(cause)}`, {
          cause,
        }),
      ),
    )
    this.#keepWithin(limits)
  }

  /** Bytes sent and received this month. */
  month(): number {
    const { sent, received } = this.#volume.get()
    return sent + received
  }

  /** The same, by direction. */
  volume(): { sent: number; received: number } {
    return { ...this.#volume.get() }
  }

  /** The month's volume is used up, but for what it takes to hand in results. */
  get isCapped(): boolean {
    return this.#left('received') < MAX_PIECE_BYTES
  }

  /** True when bytes are to be asked for before they move; else they may be counted afterwards. */
  get isPaced(): boolean {
    return this.#limits.bytesPerSecond > 0 || this.#left('received') < NEAR_BYTES
  }

  /** Payload to ask for at once, bytes. */
  pieceBytes(direction: Direction): number {
    return Math.floor(this.#buckets[direction].pieceBytes / WIRE_SHARE)
  }

  /** How long so many bytes of payload take at least, ms. */
  etaMs(bytes: number, direction: Direction): number {
    return this.#buckets[direction].etaMs(bytes * WIRE_SHARE)
  }

  /** Whether so many bytes of payload are left of the month's volume. */
  affords(bytes: number, direction: Direction): boolean {
    return bytes * WIRE_SHARE <= this.#left(direction)
  }

  /**
   * Waits until so many bytes of payload may move, and counts them.
   * @throws PinGoError DATA_CAP_REACHED, or the signal's reason
   */
  async take(bytes: number, direction: Direction, signal?: AbortSignal): Promise<void> {
    const bucket = this.#buckets[direction]
    for (let left = Math.ceil(bytes * WIRE_SHARE); left > 0; ) {
      const piece = Math.min(left, bucket.pieceBytes)
      this.#check(piece, direction)
      await bucket.take(piece, signal)
      this.#check(piece, direction) // others took meanwhile
      this.#add(piece, direction)
      left -= piece
    }
  }

  /** Counts payload that moved without asking; who asks next waits for it. */
  count(bytes: number, direction: Direction): void {
    const wire = Math.ceil(bytes * WIRE_SHARE)
    this.#buckets[direction].owe(wire)
    this.#add(wire, direction)
  }

  /** Of what was taken, so many bytes of payload did not move. */
  giveBack(bytes: number, direction: Direction): void {
    const wire = Math.floor(bytes * WIRE_SHARE)
    this.#buckets[direction].owe(-wire)
    this.#volume.add(-wire, direction)
  }

  /** Other limits: they hold at once. */
  change({ bytesPerSecond, monthlyBytes }: BandwidthLimits): void {
    this.#limits = { bytesPerSecond, monthlyBytes }
    this.#keepWithin(this.#limits)
    for (const bucket of Object.values(this.#buckets)) bucket.change(bytesPerSecond)
    this.#isCapSaid = false
    this.#look()
  }

  close(): void {
    this.#volume.close()
  }

  #keepWithin({ monthlyBytes }: BandwidthLimits): void {
    this.#volume.mostAheadBytes = monthlyBytes > 0 ? monthlyBytes * AHEAD_SHARE : Number.POSITIVE_INFINITY
  }

  #add(wire: number, direction: Direction): void {
    this.#volume.add(wire, direction)
    this.#look()
  }

  /** Bytes on the wire that may still move this month. */
  #left(direction: Direction): number {
    const { monthlyBytes } = this.#limits
    if (monthlyBytes === 0) return Number.POSITIVE_INFINITY
    const reserve = direction === 'sent' ? 0 : Math.min(MAX_RESERVE_BYTES, monthlyBytes * RESERVE_SHARE)
    return Math.floor(monthlyBytes - reserve - this.month())
  }

  #look(): void {
    const isCapped = this.isCapped
    if (isCapped && !this.#isCapSaid) this.#onCap()
    this.#isCapSaid = isCapped
  }

  #check(wire: number, direction: Direction): void {
    if (wire <= this.#left(direction)) return
    throw capReached(this.#limits.monthlyBytes)
  }
}

export const capReached = (monthlyBytes?: number) =>
  new PinGoError(
    'DATA_CAP_REACHED',
    `This machine's data volume of the month${monthlyBytes ? ` (${(monthlyBytes / 1e9).toFixed(1)} GB)` : ''} is used up.`,
    { hint: 'It goes on with the next month, or with a larger volume.' },
  )
