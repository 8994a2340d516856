import { PinGoError } from '@pingo/wire'
import { Countdown } from './countdown.ts'
import type { EngineLogger } from './options.ts'
import type { Call, FromChild, RuntimeName, ToChild } from './protocol.ts'

/** Where graphs run: a child process of Node, or a Web Worker. */
export interface Host {
  readonly runtime: RuntimeName
  readonly version: string
  /** Names the host in logs. */
  readonly label: Record<string, unknown>
  /** Hands over what the child says; `gone` is called once, when the host ended or killed itself for a reason of its own. */
  listen(message: (message: FromChild) => void, gone: (error: PinGoError) => void): void
  send(message: ToChild): void
  /** Work is waiting for the host, or none is. */
  busy(): void
  idle(): void
  /** Ends the host at once, in the middle of whatever it does. */
  kill(): void
  /** Stops the host where it is, in the middle of whatever it does, and lets it go on; false where that cannot be done. */
  freeze?(isFrozen: boolean): boolean
  /** Lets the host leave, kills it if it does not; resolves when nothing of it is left. */
  leave(): Promise<void>
}

/** What the child reports on a lease in progress. */
export interface LeaseListener {
  message(message: Extract<FromChild, { lease: number }>): void
  /** Whether it waits until the pace is changed. */
  readonly parked: boolean
  /** Time limits stand still from now on, or run on. */
  hold(isHeld: boolean): void
  /** The child is gone, or about to be. */
  died(error: PinGoError): void
}

interface Job {
  call: Call
  timeoutMs: number
  signal: AbortSignal | undefined
  resolve(value: unknown): void
  reject(error: unknown): void
}

/**
 * The parent's end of the child: puts calls to it one at a time, enforces their limits and, however the child ends, rejects all
 * that waits with one error that says why.
 */
export class Link {
  readonly runtime: RuntimeName
  readonly version: string
  readonly leases = new Map<number, LeaseListener>()
  readonly #host: Host
  readonly #logger: EngineLogger | undefined
  readonly #queue: Job[] = []
  readonly #limit = new Countdown()
  #active: (Job & { id: number }) | undefined
  #share: number
  #frozen = false
  #nextId = 1
  #holds = 0
  #death: PinGoError | undefined

  /** @param share the pace that the child began with */
  constructor(host: Host, logger?: EngineLogger, share = 1) {
    this.#host = host
    this.#share = share
    this.#logger = logger
    this.runtime = host.runtime
    this.version = host.version
    host.listen(
      (message) => this.#receive(message),
      (error) => this.#end(error),
    )
    host.idle()
  }

  /** Why the child is gone; undefined while it lives. */
  get death(): PinGoError | undefined {
    return this.#death
  }

  /** Puts a call to the child once those before it are done. An abort while it runs kills the child: nothing else ends a run. */
  call(call: Call, timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#death) return reject(this.#death)
      if (signal?.aborted) return reject(aborted(signal))
      const free = this.hold()
      const job: Job = {
        call,
        timeoutMs,
        signal,
        resolve: (value) => {
          leave()
          resolve(value)
        },
        reject: (error) => {
          leave()
          reject(error)
        },
      }
      const onAbort = (): void => {
        const error = aborted(signal!)
        const at = this.#queue.indexOf(job)
        if (at < 0) this.kill(error)
        else this.#queue.splice(at, 1)[0]!.reject(error)
      }
      const leave = (): void => {
        signal?.removeEventListener('abort', onAbort)
        free()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#queue.push(job)
      this.#advance()
    })
  }

  get share(): number {
    return this.#share
  }

  /**
   * The share of the CPU that training may use, 0 … 1, from now on. At 0 training waits at the next step boundary, and graphs that are still to
   * be opened or run wait here.
   * @throws PinGoError ENGINE_OPTIONS_INVALID
   */
  pace(share: number): void {
    if (!(share >= 0 && share <= 1))
      throw new PinGoError('ENGINE_OPTIONS_INVALID', `The pace is ${share}; it must be 0 to 1.`)
    if (share === this.#share) return
    this.#share = share
    this.post({ type: 'pace', share })
    this.#advance()
  }

  /** Whether the pace is 0 and nothing runs any more. */
  get parked(): boolean {
    return this.#share === 0 && !this.#active && [...this.leases.values()].every(({ parked }) => parked)
  }

  get frozen(): boolean {
    return this.#frozen
  }

  /** Stops the child where it is, or lets it go on; its time limits stand still meanwhile. Returns whether it is stopped. */
  freeze(isFrozen: boolean): boolean {
    if (this.#death) return false
    if (isFrozen === this.#frozen) return isFrozen
    if (!this.#host.freeze?.(isFrozen)) return this.#frozen
    this.#frozen = isFrozen
    this.#limit.hold(isFrozen)
    for (const lease of this.leases.values()) lease.hold(isFrozen)
    return isFrozen
  }

  /** Sends a message that has no answer of its own. */
  post(message: ToChild): void {
    if (!this.#death) this.#host.send(message)
  }

  /** Tells the host that work waits for it, until the returned function is called. */
  hold(): () => void {
    if (this.#holds++ === 0 && !this.#death) this.#host.busy()
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.#holds === 0) this.#host.idle()
    }
  }

  /** Ends the child at once; all that waits rejects with `error`. */
  kill(error: PinGoError): void {
    this.#host.kill()
    this.#end(error)
  }

  /** Ends the child in good order; resolves when nothing of it is left. */
  async close(): Promise<void> {
    if (!this.#death) {
      this.freeze(false)
      this.post({ type: 'exit' })
      this.#end(new PinGoError('ENGINE_CLOSED', 'The engine was closed. Start a new one.'))
    }
    await this.#host.leave()
  }

  #advance(): void {
    if (this.#active) return
    const next = this.#queue.findIndex(({ call }) => this.#share > 0 || !isWork(call))
    const job = next < 0 ? undefined : this.#queue.splice(next, 1)[0]!
    if (!job) return
    const id = this.#nextId++
    this.#limit.start(job.timeoutMs, () => this.kill(timedOut(job.call.type, job.timeoutMs)))
    this.#active = { ...job, id }
    this.post({ ...job.call, id })
  }

  #receive(message: FromChild): void {
    if (this.#death) return
    if (message.type === 'reply') {
      const job = this.#active
      if (job?.id !== message.id) return
      this.#active = undefined
      this.#limit.clear()
      if (message.fault) job.reject(new PinGoError(message.fault.code, message.fault.message))
      else job.resolve(message.value)
      this.#advance()
    } else if (message.type !== 'ready') this.leases.get(message.lease)?.message(message)
  }

  #end(error: PinGoError): void {
    if (this.#death) return
    this.#death = error
    this.#frozen = false
    this.#logger?.debug({ ...this.#host.label, code: error.code }, `The engine's process ended: ${error.message}`)
    this.#limit.clear()
    const jobs = this.#active ? [this.#active, ...this.#queue] : this.#queue
    for (const job of jobs) job.reject(error)
    this.#active = undefined
    this.#queue.length = 0
    for (const lease of this.leases.values()) lease.died(error)
    this.leases.clear()
    this.#host.idle()
  }
}

/** Calls that take CPU time worth the name. */
const isWork = ({ type }: Call): boolean => type === 'open' || type === 'openTrainer' || type === 'run'

export const confused = (): PinGoError =>
  new PinGoError('ENGINE_CRASHED', "The engine's process answered out of turn and was killed.", {
    hint: 'Its work is lost: start a new engine and repeat it.',
  })

const aborted = (signal: AbortSignal): PinGoError =>
  new PinGoError('ENGINE_ABORTED', "The engine's work was aborted.", { cause: signal.reason })

const timedOut = (what: Call['type'], ms: number): PinGoError =>
  new PinGoError(
    'ENGINE_TIMEOUT',
    `${what === 'run' ? 'A run' : 'Opening a graph'} took longer than ${ms} ms; the engine's process was killed.`,
    { hint: `Raise ${what === 'run' ? 'runTimeoutMs' : 'loadTimeoutMs'} or use a smaller graph.` },
  )
