/** Where the engine says what it does; pino's loggers fit. */
export interface EngineLogger {
  debug(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
}

export interface EngineOptions {
  /** Threads of one run, default 1. Results are bitwise the same on every run only with 1. WebAssembly always uses 1. */
  threads?: number
  /** Nice value of the child, -20 … 19 (19: only what nobody else wants). Default: the parent's. */
  niceness?: number
  /** Resident memory at which the child is killed with ENGINE_MEMORY, bytes. Default: none. */
  maxMemoryBytes?: number
  /** Bound of opening a graph, milliseconds. */
  loadTimeoutMs?: number
  /** Bound of one run or one training step, milliseconds. */
  runTimeoutMs?: number
  /** `native` is onnxruntime-node, `wasm` onnxruntime-web, `auto` (default) native where it loads. */
  runtime?: 'auto' | 'native' | 'wasm'
  /** Kills the child when it aborts. */
  signal?: AbortSignal
  logger?: EngineLogger
}
