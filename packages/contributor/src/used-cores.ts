const WINDOW_MS = 30_000

/** An engine at one look; `id` tells one that was started anew from the one before. */
interface EngineUse {
  index: number
  id: unknown
  cpuMs: number | undefined
}

/** CPU time that the process tree used: since the last look, and as cores over the last half minute. */
export class UsedCores {
  readonly #ownCpuMs: () => number
  #at: number | undefined
  #own = 0
  readonly #engines = new Map<number, { id: unknown; cpuMs: number }>()
  readonly #window: { at: number; ms: number; own: number; engines: Map<number, number> }[] = []
  /** Of all engines so far, ms. */
  #total = 0

  constructor(ownCpuMs: () => number) {
    this.#ownCpuMs = ownCpuMs
  }

  /** @returns seconds since the last look, and CPU seconds that the node itself and its engines used meanwhile */
  look(now: number, engines: readonly EngineUse[]): { seconds: number; own: number; engines: number } {
    const own = this.#ownCpuMs()
    const used = new Map<number, number>()
    for (const { index, id, cpuMs } of engines) {
      if (cpuMs === undefined) continue
      const before = this.#engines.get(index)
      used.set(index, Math.max(0, cpuMs - (before?.id === id ? before!.cpuMs : 0)))
      this.#engines.set(index, { id, cpuMs })
    }
    if (this.#at === undefined) {
      this.#at = now
      this.#own = own
      return { seconds: 0, own: 0, engines: 0 }
    }
    const ms = now - this.#at
    if (ms <= 0) return { seconds: 0, own: 0, engines: 0 }
    const entry = { at: now, ms, own: own - this.#own, engines: used }
    this.#at = now
    this.#own = own
    this.#window.push(entry)
    while (this.#window[0]!.at <= now - WINDOW_MS) this.#window.shift()
    const all = sum(used.values())
    this.#total += all
    return { seconds: ms / 1000, own: entry.own / 1000, engines: all / 1000 }
  }

  /** Cores used over the last half minute: the whole tree's. */
  get cores(): number {
    const ms = sum(this.#window.map((entry) => entry.ms))
    return ms > 0 ? sum(this.#window.map((entry) => entry.own + sum(entry.engines.values()))) / ms : 0
  }

  coresOf(index: number): number {
    const ms = sum(this.#window.map((entry) => entry.ms))
    return ms > 0 ? sum(this.#window.map((entry) => entry.engines.get(index) ?? 0)) / ms : 0
  }

  /** CPU seconds of all engines since the start. */
  get trainedSeconds(): number {
    return this.#total / 1000
  }
}

const sum = (values: Iterable<number>): number => {
  let total = 0
  for (const value of values) total += value
  return total
}
