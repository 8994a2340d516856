import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Acked, Asked, Told, WorkerOptions } from './storage-worker.ts'

/** A process of clients, and what it told. */
export class StorageClients {
  readonly #child: ChildProcess
  readonly #onTold: (told: Told) => void
  readonly #waiting = new Map<Told['type'], () => void>()
  readonly #ended: Promise<unknown>

  private constructor(onTold: (told: Told) => void) {
    this.#onTold = onTold
    this.#child = fork(join(import.meta.dirname, 'storage-worker.ts'))
    this.#child.on('message', (told: Told) => {
      this.#onTold(told)
      this.#waiting.get(told.type)?.()
    })
    this.#ended = once(this.#child, 'exit')
  }

  /** Begins to work; it is ready when {@link StorageClients.until} says so. */
  static begin(o: WorkerOptions, onTold: (told: Told) => void): StorageClients {
    const clients = new StorageClients(onTold)
    clients.#ask({ type: 'begin', o })
    return clients
  }

  /** Ends what it is at, and begins nothing more. */
  async stop(): Promise<void> {
    const stopped = this.until('stopped')
    this.#ask({ type: 'stop' })
    await stopped
  }

  async check(objects: Acked[]): Promise<void> {
    const checked = this.until('checked')
    this.#ask({ type: 'check', objects })
    await checked
  }

  /** @throws Error when the process ends before */
  async until(type: Told['type']): Promise<void> {
    const told = new Promise<void>((resolve) => this.#waiting.set(type, resolve))
    const ended = this.#ended.then(() => {
      throw new Error('A process of clients ended.')
    })
    ended.catch(() => undefined)
    await Promise.race([told, ended])
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #ask(asked: Asked): void {
    this.#child.send(asked, () => undefined)
  }
}
