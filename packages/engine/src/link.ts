import { PinGoError } from '@pingo/wire'
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
  /** Lets the host leave, kills it if it does not; resolves when nothing of it is left. */
  leave(): Promise<void>
}

/** What the child reports on a lease in progress. */
export interface LeaseListener {
  message(message: Extract<FromChild, { lease: number }>): void
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
  #active: (Job & { id: number; timer: ReturnType<typeof setTimeout> }) | undefined
  #nextId = 1
  #holds = 0
  #death: PinGoError | undefined

  constructor(host: Host, logger?: EngineLogger) {
    this.#host = host
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
      this.post({ type: 'exit' })
      this.#end(new PinGoError('ENGINE_CLOSED', 'The engine was closed. Start a new one.'))
    }
    await this.#host.leave()
  }

  #advance(): void {
    const job = this.#active ? undefined : this.#queue.shift()
    if (!job) return
    const id = this.#nextId++
    const timer = setTimeout(() => this.kill(timedOut(job.call.type, job.timeoutMs)), job.timeoutMs)
    this.#active = { ...job, id, timer }
    this.post({ ...job.call, id })
  }

  #receive(message: FromChild): void {
    if (this.#death) return
    if (message.type === 'reply') {
      const job = this.#active
      if (job?.id !== message.id) return
      this.#active = undefined
      clearTimeout(job.timer)
      if (message.fault) job.reject(new PinGoError(message.fault.code, message.fault.message))
      else job.resolve(message.value)
      this.#advance()
    } else if (message.type !== 'ready') this.leases.get(message.lease)?.message(message)
  }

  #end(error: PinGoError): void {
    if (this.#death) return
    this.#death = error
    this.#logger?.debug({ ...this.#host.label, code: error.code }, `The engine's process ended: ${error.message}`)
    clearTimeout(this.#active?.timer)
    const jobs = this.#active ? [this.#active, ...this.#queue] : this.#queue
    for (const job of jobs) job.reject(error)
    this.#active = undefined
    this.#queue.length = 0
    for (const lease of this.leases.values()) lease.died(error)
    this.leases.clear()
    this.#host.idle()
  }
}

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
