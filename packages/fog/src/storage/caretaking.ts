import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CareEvent,
  Caretaker,
  type NodeMap,
  type ReputationBook,
  type StorageNode,
  type StorageService,
} from '@pingo/storage'
import type { StorageView } from '@pingo/wire'
import type { Logger } from 'pino'

/** What is due is looked for this often, unless something wakes it. */
const TURN_MS = 30_000
/** Commits that come close together are seen to together. */
const SOON_MS = 1_000

export interface CaretakingOptions {
  service: StorageService
  self: StorageNode
  nodes: NodeMap
  reputation: ReputationBook
  clock: () => number
  logger: Logger
  turnMs?: number
}

/** Sees to the objects in this node's care until it is closed, and counts what it did. */
export class Caretaking {
  readonly audits: StorageView['audits'] = { passed: 0, failed: 0, unanswered: 0 }
  readonly repairs: StorageView['repairs'] = {
    rebuilt: 0,
    moved: 0,
    bytesRead: 0,
    bytesWritten: 0,
    failed: 0,
    lost: 0,
  }
  readonly #caretaker: Caretaker
  readonly #o: CaretakingOptions
  readonly #stopping = new AbortController()
  #wake: () => void = () => undefined
  #soon: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  constructor(o: CaretakingOptions) {
    this.#o = o
    this.#caretaker = new Caretaker({
      self: o.self,
      nodes: o.nodes,
      reputation: o.reputation,
      store: o.service.care,
      clock: o.clock,
      random: (bytes) => randomBytes(bytes),
      sleep: (ms) => sleep(ms, undefined, { signal: this.#stopping.signal, ref: false }),
      onEvent: (event) => this.#note(event),
    })
    o.service.care.onCommit = () => this.wake()
  }

  get repairsQueued(): number {
    return this.#caretaker.repairsQueued
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Looks shortly for what is due. */
  wake(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined
      this.#wake()
    }, SOON_MS).unref()
  }

  async close(): Promise<void> {
    clearTimeout(this.#soon)
    this.#o.service.care.onCommit = () => undefined
    this.#stopping.abort()
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      await this.#caretaker.tick(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#o.logger.warn({ err: error }, 'caretaking failed')
      })
      const turn = sleep(this.#o.turnMs ?? TURN_MS, undefined, { signal, ref: false }).catch(() => undefined)
      await Promise.race([turn, woken])
    }
  }

  #note(event: CareEvent): void {
    const { audits, repairs } = this
    const { logger } = this.#o
    switch (event.type) {
      case 'challenged':
        if (event.outcome === 'passed') audits.passed += 1
        else if (event.outcome === 'failed') audits.failed += 1
        else audits.unanswered += 1
        if (event.outcome === 'failed') logger.warn(event, 'a fog node failed an audit')
        break
      case 'rebuilt':
      case 'moved':
        repairs[event.type] += event.shards
        repairs.bytesRead += event.bytesRead
        repairs.bytesWritten += event.bytesWritten
        logger.info(event, 'shards have another place')
        break
      case 'unrepaired':
        repairs.failed += 1
        logger.warn(event, 'a stripe could not be repaired')
        break
      case 'lost':
        repairs.lost += 1
        logger.error(event, 'a stripe has fewer shards than its data')
        break
      case 'handed-over':
      case 'forgotten':
        logger.info(event, 'an object is in our care no longer')
        break
      case 'failed':
        logger.warn({ object: event.object, err: event.error }, 'seeing to an object failed')
    }
  }
}
