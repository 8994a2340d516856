import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { PinGoError } from '@pingo/wire'
import { frameOf } from './batch-frame.ts'
import { type Launched, lastWords, launch, untilGone } from './launch.ts'
import { Leftovers } from './leftovers.ts'
import { MEMORY_POLL_MS, MEMORY_POLL_SLOW_MS } from './limits.ts'
import { confused, type Host } from './link.ts'
import { hasProc, residentBytes, residentBytesNow } from './memory.ts'
import type { ChildSettings, FromChild, RuntimeName, ToChild } from './protocol.ts'
import { BARE, type Sandbox } from './sandbox/sandbox.ts'
import { weightsReader } from './weight-pipe.ts'

export interface ProcessHostOptions {
  settings: ChildSettings
  niceness: number | undefined
  /** Resident memory at which the child is killed, bytes. */
  maxMemoryBytes: number | undefined
  sandbox: Sandbox
  /** In a session of its own, where the system has such. */
  ownSession?: boolean
}

const compiling = new Map<ChildSettings['runtime'], Promise<void>>()

/** Has the code of children compiled once, by a child that does nothing else. It saves each of them 29 MB; where it fails they go without. */
function compiled(settings: ChildSettings): Promise<void> {
  const { runtime } = settings
  const begun = compiling.get(runtime)
  if (begun) return begun
  const done = launch(settings, undefined, BARE).then(
    async ({ child, gone }) => {
      child.send({ type: 'exit' } satisfies ToChild)
      await gone
    },
    () => {},
  )
  compiling.set(runtime, done)
  return done
}

/** A child process in an empty folder with an empty environment. It keeps its parent alive, and its memory is watched, while busy. */
export class ProcessHost implements Host {
  readonly runtime: RuntimeName
  readonly version: string
  /** The process that runs graphs, which wrappers may have started. */
  readonly pid: number
  /** Resolves when the process is gone and its folder removed. */
  readonly gone: Promise<void>
  readonly #child: ChildProcess
  readonly #batches: Socket
  readonly #weights: Socket
  readonly #output: () => string
  readonly #maxMemoryBytes: number | undefined
  readonly #leftovers = new Leftovers()
  #poll: NodeJS.Timeout | undefined
  #end: (error: PinGoError) => void = () => {}

  /** @throws PinGoError ENGINE_START_FAILED, ENGINE_TIMEOUT */
  static async start(options: ProcessHostOptions): Promise<ProcessHost> {
    // a walled child can't leave its code behind: one that runs no graph does it for all
    if (options.sandbox.wrapper) await compiled(options.settings)
    return new ProcessHost(
      await launch(options.settings, options.niceness, options.sandbox, options.ownSession),
      options.maxMemoryBytes,
    )
  }

  private constructor(
    { child, pid, batches, weights, ready, gone, output }: Launched,
    maxMemoryBytes: number | undefined,
  ) {
    this.#child = child
    this.pid = pid
    this.#batches = batches
    this.#weights = weights
    this.gone = gone
    this.#output = output
    this.#maxMemoryBytes = maxMemoryBytes
    this.runtime = ready.runtime
    this.version = ready.version
  }

  get label(): { pid: number } {
    return { pid: this.pid }
  }

  listen(message: (message: FromChild) => void, gone: (error: PinGoError) => void): void {
    this.#end = gone
    this.#child.on('message', (said) => message(said as FromChild))
    this.#child.on('error', () => {})
    const weights = weightsReader(message)
    this.#weights.on('data', (chunk: Buffer) => {
      try {
        weights.feed(chunk)
        // Its memory is free now, not when a collector finds it: thousands come.
        ;(chunk.buffer as ArrayBuffer).transfer(0)
      } catch {
        this.#weights.destroy()
        this.kill()
        gone(confused())
      }
    })
    this.#child.once('close', (code, signal) => gone(crashed(code, signal, this.#output())))
  }

  send(message: ToChild): void {
    switch (message.type) {
      case 'batch':
        this.#batches.cork()
        for (const piece of frameOf(message)) this.#batches.write(piece)
        this.#batches.uncork()
        return
      case 'weights': {
        const { trainer, at, part } = message
        this.#weights.write(new Uint8Array(part.buffer, part.byteOffset, part.byteLength))
        this.#child.send({ type: 'piped', trainer, at, length: part.length } satisfies ToChild, () => {})
        return
      }
      case 'run':
        this.#leftovers.passed(message.feeds)
        this.#child.send(message, () => {})
        return
      default:
        this.#child.send(message, () => {})
    }
  }

  busy(): void {
    this.#child.ref()
    this.#child.channel?.ref()
    const limit = this.#maxMemoryBytes
    if (limit === undefined) return
    const judge = (bytes: number | undefined): void => {
      if (bytes === undefined || bytes <= limit) return
      this.kill()
      this.#end(overMemory(bytes, limit))
    }
    clearInterval(this.#poll)
    this.#poll = hasProc
      ? setInterval(() => judge(residentBytesNow(this.pid)), MEMORY_POLL_MS)
      : setInterval(() => void residentBytes(this.pid).then(judge), MEMORY_POLL_SLOW_MS)
    this.#poll.unref()
  }

  idle(): void {
    clearInterval(this.#poll)
    this.#child.unref()
    this.#child.channel?.unref()
  }

  freeze(isFrozen: boolean): boolean {
    if (process.platform === 'win32') return false
    try {
      return process.kill(this.pid, isFrozen ? 'SIGSTOP' : 'SIGCONT')
    } catch {
      return false
    }
  }

  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.pid !== this.#child.pid)
      try {
        process.kill(this.pid, 'SIGKILL')
      } catch {
        // It went first; so do its wrappers.
      }
    this.#child.kill('SIGKILL')
  }

  /** Kills the child when it does not leave; resolves when its process and folder are gone. */
  async leave(): Promise<void> {
    this.#child.ref()
    await untilGone(this.gone, () => this.kill())
  }
}

function crashed(code: number | null, killed: string | null, output: string): PinGoError {
  const signal = killed ?? signalOf(code)
  return new PinGoError(
    'ENGINE_CRASHED',
    `The engine's process ended unexpectedly (${signal ?? `exit code ${code}`})${lastWords(output)}.`,
    { hint: 'Its work is lost: start a new engine and repeat it.', details: { code, signal } },
  )
}

/** The signal that a wrapper reports as 128 + its number. */
const signalOf = (code: number | null): string | undefined =>
  code !== null && code > 128 ? Object.entries(constants.signals).find(([, n]) => n === code - 128)?.[0] : undefined

const overMemory = (bytes: number, limit: number): PinGoError =>
  new PinGoError(
    'ENGINE_MEMORY',
    `The engine's process used ${mebibytes(bytes)} MiB, over its limit of ${mebibytes(limit)} MiB, and was killed.`,
    { hint: 'Use a smaller batch or model, or raise maxMemoryBytes.', details: { bytes, limit } },
  )

const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20)
