import type { CgroupOptions } from './sandbox/cgroup.ts'

/** Where the engine says what it does; pino's loggers fit. */
export interface EngineLogger {
  debug(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
}

export type Isolation = 'auto' | 'native' | 'wasm' | 'none'

export interface EngineOptions {
  /** Threads of one run, default 1. Results are bitwise the same on every run only with 1. WebAssembly always uses 1. */
  threads?: number
  /** Nice value of the child, -20 … 19 (19: only what nobody else wants). Default: the parent's. */
  niceness?: number
  /** Linux: also in the class that runs only where a CPU would idle (SCHED_IDLE), where `chrt` is found. Default: no. */
  idleClass?: boolean
  /**
   * Linux: a control group (v2) of its own for the child, with its limits of memory and cores set in the kernel, where this process's group was
   * delegated to it; silently none elsewhere. Default: none is looked for.
   */
  cgroup?: CgroupOptions
  /** The pace to begin with, 0 … 1, default 1: see `Engine.pace`. What the start takes is paid back too. */
  pace?: number
  /** Resident memory at which the child is killed with ENGINE_MEMORY, bytes. Default: none. */
  maxMemoryBytes?: number
  /** Bound of opening a graph, milliseconds. */
  loadTimeoutMs?: number
  /** Bound of one run or one training step, milliseconds. */
  runTimeoutMs?: number
  /** `native` is onnxruntime-node, `wasm` onnxruntime-web, `auto` (default) native where it loads. */
  runtime?: 'auto' | 'native' | 'wasm'
  /**
   * How the child is kept apart from this machine. `none` (default): a process of its own and no more. `native`: the native runtime in the best
   * isolation there is here; `auto`: the same, but WebAssembly where there is none; `wasm`: WebAssembly in the best isolation there is.
   * `Engine.isolation` says what became of it.
   */
  isolation?: Isolation
  /** Kills the child when it aborts. */
  signal?: AbortSignal
  logger?: EngineLogger
}
