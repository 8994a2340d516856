/**
 * The Web Worker: loads onnxruntime-web and does what the page asks, one call at a time. It ends when the page does, or by `terminate`,
 * also in the middle of a run.
 */
import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm'
import { WEIGHTS_AT_ONCE } from '../limits.ts'
import type { TrainingLoop } from '../loop.ts'
import { Pacer } from '../pace.ts'
import { keepHalvesAsBits, type Ort, type Runtime, webPort } from '../port.ts'
import type { FromChild, ToChild } from '../protocol.ts'
import { Service } from '../service.ts'
import type { WorkerSettings } from './worker-host.ts'

/** A worker's global scope, of which TypeScript's types for pages know nothing. */
const scope = globalThis as unknown as {
  postMessage(message: unknown, transfer?: Transferable[]): void
  onmessage: ((event: MessageEvent) => void) | null
}

/** y = x for a float32 scalar (opset 18): loads the WebAssembly module, which waits for the first session. */
const IDENTITY = Uint8Array.of(
  ...[8, 8, 58, 50, 10, 16, 10, 1, 120, 18, 1, 121, 34, 8, 73, 100, 101, 110, 116, 105, 116, 121, 18, 4, 116, 101, 115],
  ...[116, 90, 11, 10, 1, 120, 18, 6, 10, 4, 8, 1, 18, 0, 98, 11, 10, 1, 121, 18, 6, 10, 4, 8, 1, 18, 0, 66, 2, 16, 18],
)

scope.onmessage = ({ data }) => {
  // What comes before the runtime is loaded waits in the queue of the event loop's messages: the page sends nothing until `ready`.
  scope.onmessage = null
  void start(data as WorkerSettings)
}

async function start(settings: WorkerSettings): Promise<void> {
  try {
    const runtime = await load(settings)
    const service = new Service(runtime, { send, handBack }, new Pacer({ now: () => performance.now() }))
    scope.onmessage = ({ data }) => {
      const message = data as ToChild
      if (message.type !== 'exit' && message.type !== 'piped') service.receive(message)
    }
    send({ type: 'ready', runtime: runtime.name, version: runtime.version })
  } catch (error) {
    scope.postMessage({ type: 'unready', why: error instanceof Error ? error.message : String(error) })
  }
}

async function load({ threads, wasmPaths }: WorkerSettings): Promise<Runtime> {
  keepHalvesAsBits()
  if (wasmPaths !== undefined) env.wasm.wasmPaths = wasmPaths
  const ort = { env, InferenceSession, Tensor } as unknown as Ort
  const runtime = webPort(ort, env.versions.web ?? 'unknown', threads, nextTurn)
  await (await runtime.open(IDENTITY)).release()
  return runtime
}

const send = (message: FromChild): void => scope.postMessage(message)

/** Part by part, each copied once and then moved. */
function handBack(lease: number, loop: TrainingLoop): void {
  for (let at = 0; ; at += WEIGHTS_AT_ONCE) {
    const views = loop.weights(at, WEIGHTS_AT_ONCE)
    if (views.length === 0) return
    const part = new Float32Array(views.reduce((sum, { length }) => sum + length, 0))
    let first = 0
    for (const view of views) {
      part.set(view, first)
      first += view.length
    }
    scope.postMessage({ type: 'weights', lease, at, part } satisfies FromChild, [part.buffer])
  }
}

const turns = new MessageChannel()
const waiting: (() => void)[] = []
turns.port1.onmessage = () => waiting.shift()?.()

/** A turn of the event loop; timers would wait 4 ms. */
const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    waiting.push(resolve)
    turns.port2.postMessage(0)
  })
