import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CHALLENGE_PRODUCTS,
  CHALLENGE_ROWS,
  CHALLENGE_SIDE,
  challengeGraph,
  challengeInput,
  challengeLink,
  challengeStart,
  runIn,
} from './challenge.ts'
import { Engine } from './engine.ts'

/** The chain in plain JavaScript, in float64 and summed backwards; checks on the way that every partial sum is exact in float32. */
function reference(z: Float32Array, products: number): Float32Array {
  const f = Math.fround
  const modulo = (y: number, by: number) => f(y - f(Math.floor(f(y * f(1 / by))) * by))
  const m = z.map((v) => modulo(v, 33) - 16)
  let x = z.slice(0, CHALLENGE_ROWS * CHALLENGE_SIDE).map((v) => Math.abs(modulo(v, 4093) - 2046))
  let largest = 0
  for (let p = 0; p < products; p++) {
    const y = new Float32Array(x.length)
    for (let i = 0; i < CHALLENGE_ROWS; i++)
      for (let j = 0; j < CHALLENGE_SIDE; j++) {
        let [sum, size] = [0, 0]
        for (let k = CHALLENGE_SIDE - 1; k >= 0; k--) {
          const term = x[i * CHALLENGE_SIDE + k]! * m[k * CHALLENGE_SIDE + j]!
          sum += term
          size += Math.abs(term)
        }
        largest = Math.max(largest, size)
        y[i * CHALLENGE_SIDE + j] = sum
      }
    x = y.map((v) => Math.abs(f(modulo(v, 4093) - 2046)))
  }
  assert.ok(largest < 2 ** 24, `a sum of ${largest} is not exact in float32 in every order`)
  return x
}

test('an answer is bitwise the same in the native runtime, in WebAssembly, with several threads, and in plain JavaScript', async () => {
  const start = await challengeStart(new Uint8Array(32).fill(7), '12D3KooW', 3)
  const plain = await challengeLink(start, async (z) => reference(z, 4))
  const all = [{ runtime: 'native' }, { runtime: 'wasm' }, { runtime: 'native', threads: 2 }] as const
  for (const options of all) {
    await using engine = await Engine.start(options)
    const session = await engine.open(challengeGraph(4))
    const answer = await challengeLink(start, runIn(session))
    assert.deepEqual(Buffer.from(answer).toString('hex'), Buffer.from(plain).toString('hex'), JSON.stringify(options))
  }
})

test('long chains agree between the runtimes and stay lively', async () => {
  await using native = await Engine.start({ runtime: 'native' })
  await using wasm = await Engine.start({ runtime: 'wasm' })
  const start = await challengeStart(new Uint8Array(32), 'a', 0)
  for (const products of CHALLENGE_PRODUCTS.slice(0, 3)) {
    const graph = challengeGraph(products)
    const [one, other] = [runIn(await native.open(graph)), runIn(await wasm.open(graph))]
    const z = await challengeInput(start)
    const x = await one(z)
    assert.deepEqual(x, await other(z))
    assert.ok(new Set(x).size > 1000, 'the state must not collapse to few values')
  }
})

test('answers depend on seed, identity, slice and the answer before', async () => {
  const seed = new Uint8Array(32)
  const starts = await Promise.all([
    challengeStart(seed, 'a', 0),
    challengeStart(seed, 'a', 1),
    challengeStart(seed, 'b', 0),
    challengeStart(new Uint8Array(32).fill(1), 'a', 0),
  ])
  assert.equal(new Set(starts.map((bytes) => Buffer.from(bytes).toString('hex'))).size, 4)
  const first = await challengeLink(starts[0]!, async (z) => reference(z, 1))
  const second = await challengeLink(first, async (z) => reference(z, 1))
  assert.notDeepEqual(first, second)
  assert.notDeepEqual(await challengeInput(first), await challengeInput(starts[0]!))
})
