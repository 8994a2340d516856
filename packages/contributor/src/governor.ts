import type { Engine } from '@pingo/engine'
import { Budget, type Demand, paces } from './budget.ts'
import type { OwnerWatch, Verdict } from './owner/verdict.ts'
import type { Slice } from './slice.ts'
import { UsedCores } from './used-cores.ts'

/** How often pace and use are looked at while something runs, and while nothing does. */
const LOOK_MS = 200
const LOOK_IDLE_MS = 1_000
/** An engine that has not reached the end of a step by then is frozen in the middle of it: the CPU is the owner's. */
export const PARK_MS = 250
/** An owner who is busy for a shorter time costs no lease: the slices wait in the middle of it. Then what is done is handed in. */
export const HOLD_MS = 2_500
/** A pause of this length gives memory back: engines end. */
export const CLEAR_MS = 10_000
/** What a slice's engine takes at least, bytes: as much must be allowed for it to work. */
const LEAST_ENGINE_BYTES = 192 << 20

/** Reasons that may be over in a moment. Others are known to last: what is done is handed in at once. */
const BRIEF = new Set(['cpu-busy', 'pressure', 'user-active', 'starting'])

export interface GovernorOptions {
  slices: () => readonly Slice[]
  watch: OwnerWatch
  /** Cores lent in all. */
  cores: () => number
  /** CPU time of the node's own process, ms. */
  ownCpuMs?: () => number
  clock?: () => number
  /** Resident memory of an engine, bytes; undefined when it is gone or nobody tells. */
  residentBytes: (engine: Engine) => number | undefined
  ownBytes?: () => number
  /** What the slices may do has changed: the fog node is to hear of it. */
  onChange: () => void
}

/**
 * Carries out what the owner's watch says: the share of the CPU, parking and freezing when the owner is busy, handing in when that lasts, memory
 * given back. Short bursts of the owner only stop the steps; what lasts ends the leases with their partial work handed in.
 */
export class Governor {
  readonly #o: GovernorOptions
  readonly #clock: () => number
  readonly #used: UsedCores
  readonly #budget = new Budget()
  readonly #paced = new WeakMap<Engine, number>()
  #verdict: Verdict
  /** Since when the owner has the CPU. */
  #pausedAt: number | undefined
  #isHandedIn = false
  #timer: NodeJS.Timeout | undefined
  #freezing: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(o: GovernorOptions) {
    this.#o = o
    this.#clock = o.clock ?? Date.now
    this.#used = new UsedCores(o.ownCpuMs ?? ownCpuMs)
    this.#verdict = o.watch.verdict
    o.watch.onChange((verdict) => this.#take(verdict))
    this.#take(o.watch.verdict)
    this.#plan()
  }

  /** Cores that the whole process tree used over the last half minute, and those of each slice's engine. */
  get used(): UsedCores {
    return this.#used
  }

  /** Cores that may be used this moment. */
  get allowedCores(): number {
    return this.#isHeld ? 0 : Math.min(this.#o.cores(), this.#verdict.cores)
  }

  get isPaused(): boolean {
    return this.#isHeld
  }

  /** A slice was given a lease, or its engine started: its pace is set now, not at the next look. */
  touch(): void {
    if (!this.#isClosed) this.#look()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#freezing)
    for (const { engine } of this.#o.slices()) engine?.thaw()
  }

  get #isHeld(): boolean {
    return this.#verdict.cores === 0
  }

  #take(verdict: Verdict): void {
    if (this.#isClosed) return
    const before = this.#verdict
    this.#verdict = verdict
    if (verdict.cores === 0) {
      this.#pausedAt ??= this.#clock()
      if (before.cores > 0 || before === verdict) this.#freezeSoon()
    } else if (this.#pausedAt !== undefined) this.#goOn()
    this.#look()
    this.#o.onChange()
  }

  #goOn(): void {
    this.#pausedAt = undefined
    this.#isHandedIn = false
    clearTimeout(this.#freezing)
    for (const slice of this.#o.slices()) {
      slice.engine?.thaw()
      slice.resume()
    }
  }

  #freezeSoon(): void {
    clearTimeout(this.#freezing)
    this.#freezing = setTimeout(() => {
      if (!this.#isHeld || this.#isHandedIn) return
      for (const { engine } of this.#o.slices()) if (engine && !engine.parked) engine.freeze()
    }, PARK_MS)
  }

  #plan(): void {
    if (this.#isClosed) return
    const isWorking = this.#o.slices().some(({ run }) => run)
    this.#o.watch.working(isWorking)
    this.#timer = setTimeout(
      () => {
        this.#look()
        this.#plan()
      },
      isWorking || this.#isHeld ? LOOK_MS : LOOK_IDLE_MS,
    ).unref()
  }

  #look(): void {
    const now = this.#clock()
    const slices = this.#o.slices()
    const seconds = this.#used.look(
      now,
      slices.map(({ index, engine }) => ({ index, id: engine, cpuMs: engine?.cpuMs() })),
    )
    if (this.#isHeld) this.#hold(now, slices)
    else this.#fit(slices)
    const demands = slices.map(({ offer, run }): Demand => ({ cores: offer.cores, isWorking: run !== undefined }))
    const allowed = this.allowedCores
    const own = this.#budget.look({ ...seconds, allowed, isWorking: demands.some(({ isWorking }) => isWorking) })
    for (const [index, share] of paces(demands, allowed, own).entries()) this.#pace(slices[index]!, share)
  }

  /** The owner is busy: after a while what is done is handed in, later memory is given back. */
  #hold(now: number, slices: readonly Slice[]): void {
    const lasted = now - (this.#pausedAt ?? now)
    const { reason } = this.#verdict.pause ?? {}
    if (!this.#isHandedIn && (lasted >= HOLD_MS || (reason !== undefined && !BRIEF.has(reason)))) {
      this.#isHandedIn = true
      clearTimeout(this.#freezing)
      for (const slice of slices) {
        slice.engine?.thaw() // to end the step under way, at the lowest priority
        void slice.stop('paused').then(() => this.#o.onChange())
      }
      this.#o.onChange()
    }
    if (this.#isHandedIn && (lasted >= CLEAR_MS || reason === 'memory-low'))
      for (const slice of slices) if (!slice.run && slice.engine) void slice.clear()
  }

  /** As many slices work as the memory that is allowed holds; the last ones rest. */
  #fit(slices: readonly Slice[]): void {
    let left = this.#verdict.memoryBytes - (this.#o.ownBytes?.() ?? 0)
    for (const slice of slices) {
      const { engine } = slice
      const bytes = Math.max(LEAST_ENGINE_BYTES, (engine && this.#o.residentBytes(engine)) ?? 0)
      left -= bytes
      if (left >= 0 || slice.index === 0) slice.resume()
      else if (slice.run || engine) void slice.stop('paused').then(() => slice.clear())
    }
  }

  #pace(slice: Slice, share: number): void {
    const { engine } = slice
    if (!engine?.alive || this.#paced.get(engine) === share) return
    this.#paced.set(engine, share)
    slice.pace(share)
  }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
