import type { DType, Tensor, TypedArray } from '@pingo/wire'

/** What the tests need of onnxruntime-node. */
interface OrtTensor {
  type: string
  dims: readonly number[]
  data: TypedArray
}
interface OrtSession {
  inputNames: readonly string[]
  outputNames: readonly string[]
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>
  release(): Promise<void>
}
interface Ort {
  Tensor: new (type: string, data: TypedArray, dims: readonly number[]) => OrtTensor
  InferenceSession: { create(graph: Uint8Array, options: object): Promise<OrtSession> }
}

// The runtime reads it when it loads.
process.env.ORT_DISABLE_TELEMETRY = '1'
const loaded = (await import('onnxruntime-node')) as unknown as { default?: Ort } & Ort
const ort = loaded.default ?? loaded
const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', logSeverityLevel: 3 }

export interface Runner {
  inputs: readonly string[]
  outputs: readonly string[]
  run(feeds: Iterable<readonly [string, Tensor]>): Promise<Map<string, Tensor>>
  close(): Promise<void>
}

/** Opens a graph in this process, one thread; `without` names passes of the runtime that are left out. */
export async function open(graph: Uint8Array, without = ''): Promise<Runner> {
  const extra = without ? { extra: { optimization: { disable_specified_optimizers: without } } } : {}
  const session = await ort.InferenceSession.create(graph, { ...OPTIONS, ...extra })
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds) {
      const given = Object.fromEntries(
        [...feeds]
          .filter(([name]) => session.inputNames.includes(name))
          .map(([name, t]) => [name, new ort.Tensor(t.dtype, t.data, t.shape)]),
      )
      const results = await session.run(given)
      return new Map(
        Object.entries(results).map(([name, t]) => [
          name,
          { dtype: t.type as DType, shape: [...t.dims], data: t.data },
        ]),
      )
    },
    close: () => session.release(),
  }
}

/** Runs a graph once. */
export async function runOnce(
  graph: Uint8Array,
  feeds: Iterable<readonly [string, Tensor]>,
): Promise<Map<string, Tensor>> {
  const runner = await open(graph)
  try {
    return await runner.run(feeds)
  } finally {
    await runner.close()
  }
}

/** |a - b| / |b| in the Euclidean norm; the plain |a - b| where b is (nearly) zero. */
export function distance(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): number {
  let [difference, size] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    difference += (Number(a[i]) - Number(b[i])) ** 2
    size += Number(b[i]) ** 2
  }
  return Math.sqrt(difference) / (size > 1e-12 ? Math.sqrt(size) : 1)
}
