import { writeModel } from '@pingo/graph'
import { type IsolationView, PinGoError } from '@pingo/wire'
import { LOAD_TIMEOUT_MS, MAX_THREADS, RUN_TIMEOUT_MS } from './limits.ts'
import { Link } from './link.ts'
import { hasProc, processorMs, residentBytes, residentBytesNow } from './memory.ts'
import type { EngineOptions } from './options.ts'
import { ProcessHost } from './process-host.ts'
import type { OpenReply, RuntimeName } from './protocol.ts'
import { type Cgroup, claimCgroup, enterCgroup } from './sandbox/cgroup.ts'
import { isolationView, runtimeWithin } from './sandbox/isolation.ts'
import { BARE, idleClass, niceSession, type Sandbox, sandbox } from './sandbox/sandbox.ts'
import { admit } from './screen.ts'
import { ChildSession, type Session } from './session.ts'
import { ChildTrainer, type Trainer, type TrainerProgram } from './trainer.ts'

/**
 * A warm child process that runs graphs. Calls are done one at a time, in order; training steps go on in between. An engine
 * with nothing to do does not keep its parent alive, and the child ends when its parent does.
 */
export class Engine {
  readonly #host: ProcessHost
  readonly #walls: Sandbox
  readonly #limits: readonly string[]
  readonly #link: Link
  readonly #options: EngineOptions
  readonly #onAbort: () => void

  /**
   * Starts a child and loads ONNX Runtime in it (about 0.3 s).
   * @param within how the child is kept apart, where `options.isolation` is not to choose it: for tests
   * @throws PinGoError ENGINE_START_FAILED, ENGINE_TIMEOUT, ENGINE_ABORTED, ENGINE_OPTIONS_INVALID
   */
  static async start(options: EngineOptions = {}, within?: Sandbox): Promise<Engine> {
    const { threads = 1, runtime = 'auto', niceness, maxMemoryBytes, logger, signal } = options
    const { pace = 1, isolation = 'none' } = options
    if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS)
      throw new PinGoError('ENGINE_OPTIONS_INVALID', `threads is ${threads}; it must be 1 to ${MAX_THREADS}.`)
    if (!(pace >= 0 && pace <= 1))
      throw new PinGoError('ENGINE_OPTIONS_INVALID', `The pace is ${pace}; it must be 0 to 1.`)
    if (signal?.aborted) throw aborted(signal)
    const walls = within ?? (isolation === 'none' ? BARE : await sandbox())
    const host = await ProcessHost.start({
      settings: { runtime: runtimeWithin(isolation, walls, runtime), threads, pace },
      niceness,
      maxMemoryBytes,
      sandbox: walls,
      ownSession: options.idleClass === true,
    })
    if (options.idleClass) idleClass(host.pid)
    if (niceness !== undefined) niceSession(host.pid, niceness)
    const engine = new Engine(host, options, walls, ownCgroup(host, options))
    if (signal?.aborted) {
      engine.#onAbort()
      await engine.close()
      throw aborted(signal)
    }
    if (runtime === 'auto' && runtimeWithin(isolation, walls, runtime) === 'auto' && host.runtime === 'onnxruntime-web')
      logger?.warn(
        { pid: host.pid },
        'onnxruntime-node does not load here: graphs run as WebAssembly, about four times slower.',
      )
    return engine
  }

  private constructor(host: ProcessHost, options: EngineOptions, walls: Sandbox, group: Cgroup | undefined) {
    this.#host = host
    this.#walls = walls
    this.#limits = group?.active ?? []
    this.#link = new Link(host, options.logger, options.pace)
    this.#options = options
    this.#onAbort = () => this.#link.kill(aborted(options.signal!))
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** The process that runs graphs, as this machine knows it. */
  get pid(): number {
    return this.#host.pid
  }

  /** What runs in the child. */
  get info(): { runtime: RuntimeName; version: string; threads: number } {
    const { runtime, version } = this.#link
    return { runtime, version, threads: runtime === 'onnxruntime-node' ? (this.#options.threads ?? 1) : 1 }
  }

  /**
   * The share of the CPU that training may use from now on, 0 … 1 (of as many cores as the engine has threads): 1 is full speed, 0 parks at
   * the next step boundary with nothing lost, between is a duty cycle by the CPU time that the child uses. Changes hold at once, also for
   * leases to come. At 0 graphs that are still to be opened or run wait too.
   * @throws PinGoError ENGINE_OPTIONS_INVALID
   */
  pace(share: number): void {
    this.#link.pace(share)
  }

  /** Whether the pace is 0 and the last step has ended: the child takes no CPU time. */
  get parked(): boolean {
    return this.#link.parked
  }

  /**
   * Stops the child at once, in the middle of whatever it does (SIGSTOP); {@link thaw} lets it go on. Its time limits stand still meanwhile.
   * @returns false where it cannot be done: on Windows, and when the child is gone
   */
  freeze(): boolean {
    return this.#link.freeze(true)
  }

  thaw(): void {
    this.#link.freeze(false)
  }

  get frozen(): boolean {
    return this.#link.frozen
  }

  /** CPU time that the child used so far, milliseconds, in steps of 10; undefined when it is gone or the system does not tell. */
  cpuMs(): number | undefined {
    return this.#link.death ? undefined : processorMs(this.pid)
  }

  /** How the child is kept apart from this machine. */
  get isolation(): IsolationView {
    return isolationView(this.#walls, this.#link.runtime, this.#limits)
  }

  /** False once the child is gone, whatever ended it. */
  get alive(): boolean {
    return this.#link.death === undefined
  }

  /**
   * Screens a graph in this process ({@link screen}), then loads it in the child.
   * @throws PinGoError GRAPH_REFUSED with `details` { op, node, reason }, and the errors of a child's end
   */
  async open(graph: Uint8Array): Promise<Session> {
    const { model } = admit(graph, this.#screenLimits())
    const reply = (await this.#link.call({ type: 'open', graph: writeModel(model) }, this.#loadTimeoutMs)) as OpenReply
    return new ChildSession(this.#link, reply, this.#runTimeoutMs)
  }

  /**
   * Screens and loads a program's step graph.
   * @throws PinGoError GRAPH_REFUSED, PROGRAM_INVALID (the graph does not fit the program), and the errors of a child's end
   */
  async openTrainer(program: TrainerProgram): Promise<Trainer> {
    const admitted = admit(program.step, { ...this.#screenLimits(), staticInputs: true })
    return ChildTrainer.open(this.#link, program, admitted, this.#loadTimeoutMs, this.#runTimeoutMs)
  }

  /** The child's resident memory where it can be read at once (Linux); undefined elsewhere, and when it is gone. */
  residentBytes(): number | undefined {
    return this.#link.death || !hasProc ? undefined : residentBytesNow(this.pid)
  }

  /** The child's resident memory. @throws PinGoError when the child is gone */
  async memory(): Promise<{ rssBytes: number }> {
    const rssBytes = this.#link.death ? undefined : await residentBytes(this.pid)
    if (rssBytes === undefined)
      throw this.#link.death ?? new PinGoError('ENGINE_CRASHED', "The engine's process is gone.")
    return { rssBytes }
  }

  /** SIGKILL, at once; every pending promise rejects with ENGINE_KILLED. */
  kill(): void {
    this.#link.kill(new PinGoError('ENGINE_KILLED', 'The engine was killed. Start a new one.'))
  }

  /** Lets the child leave, kills it if it does not; pending promises reject with ENGINE_CLOSED. Resolves when the process is gone. */
  async close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    await this.#link.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #loadTimeoutMs(): number {
    return this.#options.loadTimeoutMs ?? LOAD_TIMEOUT_MS
  }

  get #runTimeoutMs(): number {
    return this.#options.runTimeoutMs ?? RUN_TIMEOUT_MS
  }

  #screenLimits(): { maxPeakBytes?: number } {
    const { maxMemoryBytes } = this.#options
    return maxMemoryBytes === undefined ? {} : { maxPeakBytes: maxMemoryBytes }
  }
}

/** The child's memory is watched too, with an error that says more: the kernel's limit is for what comes too fast for that. */
const memoryBesides = (bytes: number): number => bytes * 1.1 + (32 << 20)

function ownCgroup(host: ProcessHost, { cgroup, threads = 1, maxMemoryBytes }: EngineOptions): Cgroup | undefined {
  const parent = cgroup && process.platform === 'linux' ? claimCgroup(cgroup) : undefined
  if (parent === undefined) return undefined
  const memoryBytes = maxMemoryBytes === undefined ? undefined : memoryBesides(maxMemoryBytes)
  const group = enterCgroup(parent, host.pid, { cores: threads, memoryBytes })
  if (group) void host.gone.then(() => group.remove())
  return group
}

const aborted = (signal: AbortSignal): PinGoError =>
  new PinGoError('ENGINE_ABORTED', 'The engine was aborted.', { cause: signal.reason })
