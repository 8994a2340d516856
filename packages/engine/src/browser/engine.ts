import { writeModel } from '@pingo/graph'
import { PinGoError } from '@pingo/wire'
import { LOAD_TIMEOUT_MS, MAX_THREADS, RUN_TIMEOUT_MS } from '../limits.ts'
import { Link } from '../link.ts'
import type { EngineLogger } from '../options.ts'
import type { OpenReply, RuntimeName } from '../protocol.ts'
import { admit } from '../screen.ts'
import { ChildSession, type Session } from '../session.ts'
import { ChildTrainer, type Trainer, type TrainerProgram } from '../trainer.ts'
import { WorkerHost } from './worker-host.ts'

/** All that a WebAssembly module can address. */
export const MAX_WASM_BYTES = 4 * 2 ** 30

export interface BrowserEngineOptions {
  /**
   * Where onnxruntime-web's two files are served, `ort-wasm-simd-threaded.mjs` and `.wasm`: their addresses or the folder of both, with a
   * slash at its end. Relative ones are taken from the page. Default: where the bundler put its copy; threads cannot start from there.
   */
  wasmPaths?: string | { mjs: string | URL; wasm: string | URL }
  /**
   * Threads of one run, default 1. More are used only on a page that is cross-origin isolated, see `info.threads`. Results are bitwise the
   * same on every run only with 1.
   */
  threads?: number
  /** Estimated memory above which a graph is refused, bytes; at most and by default {@link MAX_WASM_BYTES}. */
  maxMemoryBytes?: number
  /** Bound of opening a graph, milliseconds. */
  loadTimeoutMs?: number
  /** Bound of one run or one training step, milliseconds. */
  runTimeoutMs?: number
  /** Ends the worker when it aborts. */
  signal?: AbortSignal
  logger?: EngineLogger
}

/** A warm Web Worker that runs graphs: `Engine` of `@pingo/engine`, in a browser. */
export class BrowserEngine {
  readonly #link: Link
  readonly #options: BrowserEngineOptions
  readonly #threads: number
  readonly #onAbort: () => void

  /**
   * Starts a worker and loads ONNX Runtime in it.
   * @throws PinGoError ENGINE_START_FAILED (its script or onnxruntime-web's files cannot be loaded), ENGINE_TIMEOUT, ENGINE_ABORTED,
   * ENGINE_OPTIONS_INVALID
   */
  static async start(options: BrowserEngineOptions = {}): Promise<BrowserEngine> {
    const { threads = 1, wasmPaths, logger, signal } = options
    if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS)
      throw new PinGoError('ENGINE_OPTIONS_INVALID', `threads is ${threads}; it must be 1 to ${MAX_THREADS}.`)
    if (threads > 1 && wasmPaths === undefined)
      throw new PinGoError(
        'ENGINE_OPTIONS_INVALID',
        `${threads} threads need wasmPaths: each loads onnxruntime-web anew.`,
        {
          hint: 'Serve its ort-wasm-simd-threaded.mjs and .wasm and say where, or use one thread.',
        },
      )
    if (signal?.aborted) throw aborted(signal)
    const possible = globalThis.crossOriginIsolated ? threads : 1
    if (possible < threads)
      logger?.warn({ threads }, 'The page is not cross-origin isolated (COOP and COEP headers): one thread is used.')
    const host = await WorkerHost.start({ threads: possible, wasmPaths: absolute(wasmPaths) }, signal)
    return new BrowserEngine(host, possible, options)
  }

  private constructor(host: WorkerHost, threads: number, options: BrowserEngineOptions) {
    this.#link = new Link(host, options.logger)
    this.#threads = threads
    this.#options = options
    this.#onAbort = () => this.#link.kill(aborted(options.signal!))
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** What runs in the worker. */
  get info(): { runtime: RuntimeName; version: string; threads: number } {
    const { runtime, version } = this.#link
    return { runtime, version, threads: this.#threads }
  }

  /**
   * The share of the time in which training may step, 0 … 1: 0 parks at the next step boundary with nothing lost, between is a duty cycle by the
   * clock. Changes hold at once, also for leases to come. At 0 graphs that are still to be opened or run wait too.
   * @throws PinGoError ENGINE_OPTIONS_INVALID
   */
  pace(share: number): void {
    this.#link.pace(share)
  }

  /** Whether the pace is 0 and the last step has ended. */
  get parked(): boolean {
    return this.#link.parked
  }

  /** False once the worker is gone, whatever ended it. */
  get alive(): boolean {
    return this.#link.death === undefined
  }

  /**
   * Screens a graph on the page, then loads it in the worker.
   * @throws PinGoError GRAPH_REFUSED with `details` { op, node, reason }, and the errors of a worker's end
   */
  async open(graph: Uint8Array): Promise<Session> {
    const { model } = admit(graph, { maxPeakBytes: this.#maxPeakBytes })
    const reply = (await this.#link.call({ type: 'open', graph: writeModel(model) }, this.#loadTimeoutMs)) as OpenReply
    return new ChildSession(this.#link, reply, this.#runTimeoutMs)
  }

  /**
   * Screens and loads a program's step graph.
   * @throws PinGoError GRAPH_REFUSED, PROGRAM_INVALID (the graph does not fit the program), and the errors of a worker's end
   */
  async openTrainer(program: TrainerProgram): Promise<Trainer> {
    const admitted = admit(program.step, { maxPeakBytes: this.#maxPeakBytes, staticInputs: true })
    return ChildTrainer.open(this.#link, program, admitted, this.#loadTimeoutMs, this.#runTimeoutMs)
  }

  /** Terminates the worker at once; every pending promise rejects with ENGINE_KILLED. */
  kill(): void {
    this.#link.kill(new PinGoError('ENGINE_KILLED', 'The engine was killed. Start a new one.'))
  }

  /** Terminates the worker; pending promises reject with ENGINE_CLOSED. */
  async close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    await this.#link.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #maxPeakBytes(): number {
    return Math.min(this.#options.maxMemoryBytes ?? MAX_WASM_BYTES, MAX_WASM_BYTES)
  }

  get #loadTimeoutMs(): number {
    return this.#options.loadTimeoutMs ?? LOAD_TIMEOUT_MS
  }

  get #runTimeoutMs(): number {
    return this.#options.runTimeoutMs ?? RUN_TIMEOUT_MS
  }
}

/** A worker's script lies elsewhere than the page, so that relative addresses would mean something else there. */
function absolute(paths: BrowserEngineOptions['wasmPaths']): string | { mjs: string; wasm: string } | undefined {
  const from = (path: string | URL) => new URL(path, globalThis.document?.baseURI ?? globalThis.location.href).href
  if (paths === undefined) return undefined
  return typeof paths === 'string' ? from(paths) : { mjs: from(paths.mjs), wasm: from(paths.wasm) }
}

const aborted = (signal: AbortSignal): PinGoError =>
  new PinGoError('ENGINE_ABORTED', 'The engine was aborted.', { cause: signal.reason })
