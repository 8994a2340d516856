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

for (const runtime of ['native', 'wasm'] as const)
  it(`writes results to their places and returns none: ${runtime}`, async () => {
    const loaded = await loadRuntime({ runtime, threads: 1 })
    const session = await loaded.openPlaced(unary('Sqrt', [3]))
    assert.deepEqual(
      session.outputs.map(({ name }) => name),
      ['output'],
    )
    const memory = new Float32Array(8)
    const output = loaded.tensor({ dtype: 'float32', shape: [3], data: memory.subarray(2, 5) })
    for (const data of [
      [1, 4, 9],
      [16, 25, 36],
    ]) {
      assert.equal(await session.run({ input: loaded.tensor(float32([3], data)) }, { output }), undefined)
      assert.deepEqual([...memory], [0, 0, ...data.map(Math.sqrt), 0, 0, 0])
    }
    await session.release()
  })

it('tells a failure of the graph from the word that results are written', async () => {
  const loaded = await loadRuntime({ runtime: 'native', threads: 1 })
  const session = await loaded.openPlaced(unary('Sqrt', [3]))
  const output = loaded.tensor(float32([3], [7, 7, 7]))
  await assert.rejects(session.run({}, { output }), /input/)
  await assert.rejects(
    session.run({ input: loaded.tensor(float32([4], [1, 2, 3, 4])) }, { output }),
    /dimension|shape/i,
  )
  assert.deepEqual(output.data, Float32Array.of(7, 7, 7))
  await session.release()
})
