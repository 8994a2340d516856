import type { ChildProcess } from 'node:child_process'
import { PinGoError } from '@pingo/wire'
import { type Launched, lastWords, launch } from './launch.ts'
import { CLOSE_TIMEOUT_MS, MEMORY_POLL_MS, MEMORY_POLL_SLOW_MS } from './limits.ts'
import { hasProc, residentBytes, residentBytesNow } from './memory.ts'
import type { EngineLogger } from './options.ts'
import type { Call, ChildSettings, FromChild, RuntimeName, ToChild } from './protocol.ts'

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

export interface LinkOptions {
  settings: ChildSettings
  niceness: number | undefined
  maxMemoryBytes: number | undefined
  logger: EngineLogger | undefined
}

/**
 * The parent's end of the child: starts it in an empty folder with an empty environment, puts calls to it one at a time,
 * enforces their limits and, however the child ends, rejects all that waits with one error that says why.
 */
export class Link {
  readonly runtime: RuntimeName
  readonly version: string
  readonly leases = new Map<number, LeaseListener>()
  readonly #child: ChildProcess
  readonly #options: LinkOptions
  readonly #gone: Promise<void>
  readonly #queue: Job[] = []
  #active: (Job & { id: number; timer: NodeJS.Timeout }) | undefined
  #nextId = 1
  #holds = 0
  #poll: NodeJS.Timeout | undefined
  #death: PinGoError | undefined

  static async start(options: LinkOptions): Promise<Link> {
    return new Link(await launch(options.settings, options.niceness), options)
  }

  private constructor({ child, ready, gone, output }: Launched, options: LinkOptions) {
    this.#child = child
    this.#gone = gone
    this.#options = options
    this.runtime = ready.runtime
    this.version = ready.version
    child.on('message', (message) => this.#receive(message as FromChild))
    child.on('error', () => {})
    child.once('close', (code, signal) => this.#end(crashed(code, signal, output())))
    this.#release()
  }

  get pid(): number {
    return this.#child.pid!
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
    if (!this.#death) this.#child.send(message, () => {})
  }

  /** Keeps the parent's event loop alive, and the memory watched, until the returned function is called. */
  hold(): () => void {
    if (this.#holds++ === 0) {
      this.#child.ref()
      this.#child.channel?.ref()
      this.#watchMemory()
    }
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.#holds === 0) this.#release()
    }
  }

  /** Ends the child at once; all that waits rejects with `error`. */
  kill(error: PinGoError): void {
    this.#child.kill('SIGKILL')
    this.#end(error)
  }

  /** Lets the child leave, kills it after {@link CLOSE_TIMEOUT_MS}; resolves when its process and folder are gone. */
  async close(): Promise<void> {
    if (!this.#death) {
      this.post({ type: 'exit' })
      this.#end(new PinGoError('ENGINE_CLOSED', 'The engine was closed. Start a new one.'))
    }
    this.#child.ref()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_TIMEOUT_MS)
    await this.#gone
    clearTimeout(timer)
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
    this.#options.logger?.debug({ pid: this.pid, code: error.code }, `The engine's process ended: ${error.message}`)
    clearTimeout(this.#active?.timer)
    const jobs = this.#active ? [this.#active, ...this.#queue] : this.#queue
    for (const job of jobs) job.reject(error)
    this.#active = undefined
    this.#queue.length = 0
    for (const lease of this.leases.values()) lease.died(error)
    this.leases.clear()
    clearInterval(this.#poll)
  }

  #release(): void {
    clearInterval(this.#poll)
    this.#child.unref()
    this.#child.channel?.unref()
  }

  #watchMemory(): void {
    const limit = this.#options.maxMemoryBytes
    if (limit === undefined || this.#death) return
    const judge = (bytes: number | undefined): void => {
      if (bytes !== undefined && bytes > limit && !this.#death) this.kill(overMemory(bytes, limit))
    }
    this.#poll = hasProc
      ? setInterval(() => judge(residentBytesNow(this.pid)), MEMORY_POLL_MS)
      : setInterval(() => void residentBytes(this.pid).then(judge), MEMORY_POLL_SLOW_MS)
    this.#poll.unref()
  }
}

const crashed = (code: number | null, signal: string | null, output: string): PinGoError =>
  new PinGoError(
    'ENGINE_CRASHED',
    `The engine's process ended unexpectedly (${signal ?? `exit code ${code}`})${lastWords(output)}.`,
    { hint: 'Its work is lost: start a new engine and repeat it.', details: { code, signal } },
  )

const aborted = (signal: AbortSignal): PinGoError =>
  new PinGoError('ENGINE_ABORTED', "The engine's work was aborted.", { cause: signal.reason })

const timedOut = (what: Call['type'], ms: number): PinGoError =>
  new PinGoError(
    'ENGINE_TIMEOUT',
    `${what === 'run' ? 'A run' : 'Opening a graph'} took longer than ${ms} ms; the engine's process was killed.`,
    { hint: `Raise ${what === 'run' ? 'runTimeoutMs' : 'loadTimeoutMs'} or use a smaller graph.` },
  )

const overMemory = (bytes: number, limit: number): PinGoError =>
  new PinGoError(
    'ENGINE_MEMORY',
    `The engine's process used ${mebibytes(bytes)} MiB, over its limit of ${mebibytes(limit)} MiB, and was killed.`,
    { hint: 'Use a smaller batch or model, or raise maxMemoryBytes.', details: { bytes, limit } },
  )

const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20)
