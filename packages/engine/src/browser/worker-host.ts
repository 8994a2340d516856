import { PinGoError, type TypedArray } from '@pingo/wire'
import { START_TIMEOUT_MS } from '../limits.ts'
import type { Host } from '../link.ts'
import type { FromChild, PlainTensor, RuntimeName, ToChild } from '../protocol.ts'

/** How the page tells the worker what to load; its first message. */
export interface WorkerSettings {
  threads: number
  wasmPaths: string | { mjs: string; wasm: string } | undefined
}

type FromWorker = FromChild | { type: 'unready'; why: string }

/** A Web Worker that has loaded onnxruntime-web. */
export class WorkerHost implements Host {
  readonly runtime: RuntimeName
  readonly version: string
  readonly label = { worker: 'pingo-engine' }
  readonly #worker: Worker

  /** @throws PinGoError ENGINE_START_FAILED, ENGINE_TIMEOUT, ENGINE_ABORTED */
  static async start(settings: WorkerSettings, signal?: AbortSignal): Promise<WorkerHost> {
    // The form that bundlers know: they build the worker's script and put its address here.
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'pingo-engine' })
    try {
      return new WorkerHost(worker, await firstMessage(worker, settings, signal))
    } catch (error) {
      worker.terminate()
      throw error
    }
  }

  private constructor(worker: Worker, ready: Extract<FromChild, { type: 'ready' }>) {
    this.#worker = worker
    this.runtime = ready.runtime
    this.version = ready.version
  }

  listen(message: (message: FromChild) => void, gone: (error: PinGoError) => void): void {
    this.#worker.onmessage = ({ data }) => message(data as FromChild)
    const crashed = (why: string): void => {
      this.kill()
      gone(
        new PinGoError('ENGINE_CRASHED', `The engine's worker failed: ${why}.`, {
          hint: 'Its work is lost: start a new engine and repeat it.',
        }),
      )
    }
    this.#worker.onerror = (event) => crashed(event.message || 'it ended unexpectedly')
    this.#worker.onmessageerror = () => crashed('it sent what cannot be read')
  }

  send(message: ToChild): void {
    const [own, buffers] = unshared(message)
    this.#worker.postMessage(own, buffers)
  }

  busy(): void {}
  idle(): void {}

  kill(): void {
    this.#worker.terminate()
  }

  async leave(): Promise<void> {
    this.#worker.terminate()
  }
}

/**
 * A message with arrays of its own, which are moved and not copied again. A view would be copied with all of its buffer behind it, and
 * the caller keeps what it handed in.
 */
function unshared(message: ToChild): [ToChild, ArrayBuffer[]] {
  const buffers: ArrayBuffer[] = []
  const own = <T extends TypedArray>(array: T): T => {
    const copy = array.slice() as T
    buffers.push(copy.buffer as ArrayBuffer)
    return copy
  }
  switch (message.type) {
    case 'batch':
      return [{ ...message, arrays: message.arrays.map(own), scalars: own(message.scalars) }, buffers]
    case 'weights':
      return [{ ...message, part: own(message.part) }, buffers]
    case 'open':
    case 'openTrainer':
      return [{ ...message, graph: own(message.graph) }, buffers]
    case 'run': {
      const feeds: Record<string, PlainTensor> = {}
      for (const [name, tensor] of Object.entries(message.feeds)) feeds[name] = { ...tensor, data: own(tensor.data) }
      return [{ ...message, feeds }, buffers]
    }
    default:
      return [message, buffers]
  }
}

function firstMessage(
  worker: Worker,
  settings: WorkerSettings,
  signal: AbortSignal | undefined,
): Promise<Extract<FromChild, { type: 'ready' }>> {
  return new Promise((resolve, reject) => {
    const failed = (why: string): PinGoError =>
      new PinGoError('ENGINE_START_FAILED', `The engine's worker cannot be started: ${why}.`, {
        hint: "Serve onnxruntime-web's ort-wasm-simd-threaded.mjs and .wasm and say where, by wasmPaths.",
      })
    const timer = setTimeout(
      () => settle(reject, new PinGoError('ENGINE_TIMEOUT', `The engine did not start within ${START_TIMEOUT_MS} ms.`)),
      START_TIMEOUT_MS,
    )
    const onAbort = (): void =>
      settle(reject, new PinGoError('ENGINE_ABORTED', 'The engine was aborted.', { cause: signal?.reason }))
    const settle = <T>(settler: (value: T) => void, value: T): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      settler(value)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    worker.onerror = (event) => settle(reject, failed(event.message || 'its script does not load'))
    worker.onmessage = ({ data }) => {
      const message = data as FromWorker
      if (message.type === 'ready') settle(resolve, message)
      else if (message.type === 'unready') settle(reject, failed(message.why))
    }
    worker.postMessage(settings)
  })
}
