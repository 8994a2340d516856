import assert from 'node:assert/strict'
import { afterEach, it } from 'node:test'
import { loadRuntime, type Ort } from './runtime.ts'
import { unary } from './testing/onnx.ts'
import { float32 } from './testing/tensors.ts'

const { Float16Array } = globalThis as { Float16Array?: unknown }

// Loading a runtime takes this type away, which in a child process nobody misses.
afterEach(() => {
  if (Float16Array) Object.assign(globalThis, { Float16Array })
})

const absent = async (): Promise<Ort> => {
  throw new Error('GLIBC_2.28 not found')
}
const wasm = async (): Promise<Ort> => (await import('onnxruntime-web')) as unknown as Ort

it('takes WebAssembly where the native library does not load, unless native was asked for', async () => {
  const runtime = await loadRuntime({ runtime: 'auto', threads: 1 }, { native: absent, wasm })
  assert.equal(runtime.name, 'onnxruntime-web')
  assert.equal(runtime.writesOutputs, false)
  const session = await runtime.open(unary('Neg', [2]))
  const { output } = await session.run({ input: runtime.tensor(float32([2], [1, -2])) }, { output: null })
  assert.deepEqual(output!.data, Float32Array.of(-1, 2))
  await session.release()
  await assert.rejects(loadRuntime({ runtime: 'native', threads: 1 }, { native: absent, wasm }), /GLIBC/)
})

it('does not try the native library when WebAssembly is asked for', async () => {
  let tried = false
  const native = (): Promise<Ort> => {
    tried = true
    return absent()
  }
  assert.equal((await loadRuntime({ runtime: 'wasm', threads: 1 }, { native, wasm })).name, 'onnxruntime-web')
  assert.equal(tried, false)
})
