import type { DType } from '@pingo/wire'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import type { PlainTensor, RuntimeName, ValueSpec } from './protocol.ts'

/**
 * The port on ONNX Runtime; lives where graphs run. Native and WebAssembly differ only in `writesOutputs`: native writes
 * results into tensors handed in as fetches, WebAssembly always returns new ones.
 */
export interface Runtime {
  readonly name: RuntimeName
  readonly version: string
  readonly writesOutputs: boolean
  tensor(tensor: PlainTensor): OrtTensor
  open(graph: Uint8Array): Promise<RuntimeSession>
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
  about: Pick<Runtime, 'name' | 'version' | 'writesOutputs'>,
  options: InferenceSession.SessionOptions,
): Runtime {
  return {
    ...about,
    tensor: ({ dtype, shape, data }) => new ort.Tensor(dtype as 'float32', data as Float32Array, shape),
    async open(graph) {
      const session = await ort.InferenceSession.create(graph, { ...options, logSeverityLevel: 3 })
      return {
        inputs: session.inputMetadata.map(valueSpec),
        outputs: session.outputMetadata.map(valueSpec),
        run: (feeds, fetches) => session.run(feeds, fetches) as Promise<Record<string, OrtTensor>>,
        release: () => session.release(),
      }
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
  const about = { name: 'onnxruntime-web', version, writesOutputs: false } as const
  const runtime = port(ort, about, { executionProviders: ['wasm'] })
  return {
    ...runtime,
    open: async (graph) => {
      const session = await runtime.open(graph)
      const run: RuntimeSession['run'] = async (feeds, fetches) => {
        await turn()
        return session.run(feeds, fetches)
      }
      return { ...session, run }
    },
  }
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
