import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type NodeMap, type StorageService, shardsAt } from '@pingo/storage'
import type { LeavingView } from '@pingo/wire'

/** Objects whose caretakers are asked at once. */
const ASKED_AT_ONCE = 8
const MARK = 'leaving'

/** Whether the node of this folder was leaving when it ended. */
export const wasLeaving = (home: string): boolean => existsSync(join(home, MARK))

/**
 * A node that leaves: its record says so, the caretakers of what it holds move it elsewhere, what it cares for it hands over. That it leaves
 * is remembered over restarts.
 */
export class Leaving {
  readonly #service: StorageService
  readonly #nodes: NodeMap
  readonly #mark: string
  readonly #clock: () => number
  #view: LeavingView | undefined
  #asking: Promise<void> | undefined

  constructor(o: { home: string; service: StorageService; nodes: NodeMap; clock: () => number }) {
    this.#service = o.service
    this.#nodes = o.nodes
    this.#mark = join(o.home, MARK)
    this.#clock = o.clock
  }

  get isOn(): boolean {
    return this.#service.settings.state === 'leaving'
  }

  async set(isLeaving: boolean): Promise<void> {
    if (isLeaving) await writeFile(this.#mark, '')
    else await rm(this.#mark, { force: true })
    this.#view = undefined
    this.#service.set({ state: isLeaving ? 'leaving' : 'active' })
  }

  view(): LeavingView | undefined {
    if (!this.isOn) return undefined
    return this.#view ?? { objects: 0, shards: 0, inCare: this.#inCare(), isDone: false }
  }

  /** Asks what is still counted on here: its leases last longer than that. */
  async ask(signal: AbortSignal): Promise<void> {
    if (!this.isOn) return
    this.#asking ??= this.#ask(signal).finally(() => {
      this.#asking = undefined
    })
    await this.#asking
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const ids = this.#service.leasedObjects()
    const next = ids.values()
    let objects = 0
    let shards = 0
    let isKnown = true
    const lane = async () => {
      for (const id of next) {
        signal.throwIfAborted()
        try {
          const here = await shardsAt(this.#service.peerId, id, this.#nodes, signal)
          objects += Number(here > 0)
          shards += here
        } catch {
          signal.throwIfAborted()
          isKnown = false // nobody who knows answers: nothing is claimed
          objects += 1
        }
      }
    }
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, lane))
    const inCare = this.#inCare()
    if (this.isOn)
      this.#view = { objects, shards, inCare, isDone: isKnown && shards === 0 && inCare === 0, askedAt: this.#clock() }
  }

  #inCare(): number {
    return this.#service.care.count(this.#clock()).objects
  }
}
