import type { DType } from '@pingo/wire'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import type { PlainTensor, RuntimeName, ValueSpec } from './protocol.ts'
import { isMarker, marked, saysWritten, withMarker } from './quiet-outputs.ts'

/** The port on ONNX Runtime; lives where graphs run. */
export interface Runtime {
  readonly name: RuntimeName
  readonly version: string
  tensor(tensor: PlainTensor): OrtTensor
  open(graph: Uint8Array): Promise<RuntimeSession>
  /** Opens a graph whose results are always written to places of the caller's. */
  openPlaced(graph: Uint8Array): Promise<PlacedSession>
}

/** A graph that writes all of its outputs to places; native ONNX Runtime does so itself, WebAssembly's results are copied. */
export interface PlacedSession extends Omit<RuntimeSession, 'run'> {
  /** @param places a tensor for each output, which gets its elements */
  run(feeds: Record<string, OrtTensor>, places: Record<string, OrtTensor>): Promise<void>
}

export interface RuntimeSession {
  readonly inputs: ValueSpec[]
  readonly outputs: ValueSpec[]
  run(feeds: Record<string, OrtTensor>, fetches: Record<string, OrtTensor | null>): Promise<Record<string, OrtTensor>>
  release(): Promise<void>
}

export type Ort = typeof import('onnxruntime-common')

/** Element types that pass between PinGo and ONNX Runtime; bfloat16 has no typed array there. */
const EXCHANGED: ReadonlySet<string> = new Set<DType>([
  'float32',
  'float64',
  'float16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
])

/** ONNX Runtime reads a Float16Array as empty; without that type, halves are bits in a Uint16Array, as in PinGo. */
export function keepHalvesAsBits(): void {
  Reflect.deleteProperty(globalThis, 'Float16Array')
}

/** A loaded ONNX Runtime as a {@link Runtime}. */
export function port(
  ort: Ort,
  about: Pick<Runtime, 'name' | 'version'>,
  options: InferenceSession.SessionOptions,
): Omit<Runtime, 'openPlaced'> {
  return {
    ...about,
    tensor: ({ dtype, shape, data }) => new ort.Tensor(dtype as 'float32', data as Float32Array, shape),
    async open(graph) {
      const session = await ort.InferenceSession.create(graph, { ...options, logSeverityLevel: 3 })
      return {
        inputs: session.inputMetadata.map(valueSpec),
        outputs: session.outputMetadata.filter((value) => !isMarker(value)).map(valueSpec),
        run: (feeds, fetches) => session.run(feeds, fetches) as Promise<Record<string, OrtTensor>>,
        release: () => session.release(),
      }
    },
  }
}

/** ONNX Runtime for Node; see quiet-outputs.ts for how results get to their places. */
export function nativePort(ort: Ort, version: string, options: InferenceSession.SessionOptions): Runtime {
  const runtime = port(ort, { name: 'onnxruntime-node', version }, options)
  return {
    ...runtime,
    openPlaced: async (graph) => {
      const session = await runtime.open(marked(graph))
      const run: PlacedSession['run'] = async (feeds, places) => {
        try {
          place(await session.run(feeds, withMarker(places)), places)
        } catch (error) {
          if (!saysWritten(error)) throw error
        }
      }
      return { ...session, run }
    },
  }
}

/**
 * ONNX Runtime for the web, on `threads` threads. Native runs take a turn of the event loop each; WebAssembly's would not, and messages
 * would wait for the last of many: `turn` resolves in a turn of its own.
 */
export function webPort(ort: Ort, version: string, threads: number, turn: () => Promise<void>): Runtime {
  ort.env.wasm.numThreads = threads
  ort.env.wasm.proxy = false
  const runtime = port(ort, { name: 'onnxruntime-web', version }, { executionProviders: ['wasm'] })
  const open: Runtime['open'] = async (graph) => {
    const session = await runtime.open(graph)
    const run: RuntimeSession['run'] = async (feeds, fetches) => {
      await turn()
      return session.run(feeds, fetches)
    }
    return { ...session, run }
  }
  return {
    ...runtime,
    open,
    openPlaced: async (graph) => {
      const session = await open(graph)
      const run: PlacedSession['run'] = async (feeds, places) =>
        place(await session.run(feeds, Object.fromEntries(Object.keys(places).map((name) => [name, null]))), places)
      return { ...session, run }
    },
  }
}

/** Copies what a run returned to where it belongs. */
function place(results: Record<string, OrtTensor>, places: Record<string, OrtTensor>): void {
  for (const [name, { data }] of Object.entries(places)) (data as Float32Array).set(results[name]!.data as Float32Array)
}

/** A result as a plain tensor. */
export function fromOrt(tensor: OrtTensor): PlainTensor {
  return { dtype: tensor.type as DType, shape: [...tensor.dims], data: tensor.data as PlainTensor['data'] }
}

function valueSpec(value: InferenceSession.ValueMetadata): ValueSpec {
  if (!value.isTensor || !EXCHANGED.has(value.type))
    throw new Error(`'${value.name}' is not a tensor of numbers, which is all that passes in and out of a graph`)
  return { name: value.name, dtype: value.type as DType, shape: [...value.shape] }
}
