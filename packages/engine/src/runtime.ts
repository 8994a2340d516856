import type { DType } from '@pingo/wire'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import { packageVersion } from './info.ts'
import type { ChildSettings, PlainTensor, RuntimeName, ValueSpec } from './protocol.ts'

/**
 * The port on ONNX Runtime; lives in the child process. Native and WebAssembly differ only in `writesOutputs`: native writes
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

/** Where the two builds come from. */
export interface RuntimeSources {
  native(): Promise<Ort>
  wasm(): Promise<Ort>
}

const INSTALLED: RuntimeSources = {
  native: () => import('onnxruntime-node'),
  wasm: async () => (await import('onnxruntime-web')) as unknown as Ort,
}

/** Loads the runtime that is asked for; `auto` takes WebAssembly where the native library is absent or does not load. */
export async function loadRuntime(
  { runtime, threads }: ChildSettings,
  sources: RuntimeSources = INSTALLED,
): Promise<Runtime> {
  // The native binding reads a Float16Array as empty; without that type, halves are bits in a Uint16Array, as in PinGo.
  Reflect.deleteProperty(globalThis, 'Float16Array')
  if (runtime !== 'wasm') {
    try {
      return native(await sources.native(), threads)
    } catch (error) {
      if (runtime === 'native') throw error
    }
  }
  return wasm(await sources.wasm())
}

function native(ort: Ort, threads: number): Runtime {
  return port(ort, 'onnxruntime-node', true, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // A spinning thread burns a core that the machine's owner may want, and gains nothing with one thread.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  })
}

function wasm(ort: Ort): Runtime {
  ort.env.wasm.numThreads = 1
  ort.env.wasm.proxy = false
  const runtime = port(ort, 'onnxruntime-web', false, { executionProviders: ['wasm'] })
  return {
    ...runtime,
    open: async (graph) => {
      const session = await runtime.open(graph)
      // Native runs take a turn of the event loop each; these would not, and messages would wait for the last of many.
      const run: RuntimeSession['run'] = async (feeds, fetches) => {
        await new Promise((resolve) => setImmediate(resolve))
        return session.run(feeds, fetches)
      }
      return { ...session, run }
    },
  }
}

function port(ort: Ort, name: RuntimeName, writesOutputs: boolean, options: InferenceSession.SessionOptions): Runtime {
  return {
    name,
    version: packageVersion(name),
    writesOutputs,
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

/** A result as a plain tensor. */
export function fromOrt(tensor: OrtTensor): PlainTensor {
  return { dtype: tensor.type as DType, shape: [...tensor.dims], data: tensor.data as PlainTensor['data'] }
}

function valueSpec(value: InferenceSession.ValueMetadata): ValueSpec {
  if (!value.isTensor || !EXCHANGED.has(value.type))
    throw new Error(`'${value.name}' is not a tensor of numbers, which is all that passes in and out of a graph`)
  return { name: value.name, dtype: value.type as DType, shape: [...value.shape] }
}
