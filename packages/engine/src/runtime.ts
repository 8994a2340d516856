import { packageVersion } from './info.ts'
import { keepHalvesAsBits, nativePort, type Ort, type Runtime, webPort } from './port.ts'
import type { ChildSettings } from './protocol.ts'

export type { Ort, Runtime, RuntimeSession } from './port.ts'

/** Passes of the runtime that are not for training. */
const LEFT_OUT = [
  // Blocked layouts for convolutions pay in long chains; gradients between them break the chains.
  'NchwcTransformer',
  // What a program computes again, to hold less meanwhile, is not to be merged; all else that is equal its builder has shared.
  'CommonSubexpressionElimination',
  // These round otherwise, and apply or not by whether the backward pass reads the forward pass's value or one that is computed again.
  'SkipLayerNormFusion',
  'BiasGeluFusion',
  // Which transpositions a product takes along, and which are made once before it, its builder knows better.
  'MatmulTransposeFusion',
  'GemmTransposeFusion',
]

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
  keepHalvesAsBits()
  if (runtime !== 'wasm') {
    try {
      return native(await sources.native(), threads)
    } catch (error) {
      if (runtime === 'native') throw error
    }
  }
  return webPort(await sources.wasm(), packageVersion('onnxruntime-web'), 1, nextTurn)
}

function native(ort: Ort, threads: number): Runtime {
  return nativePort(ort, packageVersion('onnxruntime-node'), {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // On Linux the system's allocator, as the child's environment sets it up, is as fast as the runtime's arena and holds half as much.
    ...(process.platform === 'linux' ? { enableCpuMemArena: false, enableMemPattern: false } : {}),
    // A spinning thread burns a core that the machine's owner may want, and gains nothing with one thread.
    extra: {
      session: { intra_op: { allow_spinning: '0' } },
      optimization: { disable_specified_optimizers: LEFT_OUT.join(';') },
    },
  })
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
