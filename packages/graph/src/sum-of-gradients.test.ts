import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GraphBuilder } from './builder.ts'
import { writeModel } from './index.ts'
import type { Value } from './operator.ts'
import { MadeFor, plusGradient } from './sum-of-gradients.ts'
import { tensorOf } from './tensors.ts'
import { distance, runOnce } from './testing/runtime.ts'

const wave = (n: number, by: number) => Array.from({ length: n }, (_, i) => Math.sin(by * i))
const feeds = {
  sum: tensorOf('float32', [3, 4], wave(12, 1)),
  x: tensorOf('float32', [2, 3], wave(6, 2)),
  y: tensorOf('float32', [2, 4], wave(8, 3)),
}

/** The operations of sum + g, where g is made as given, and its greatest distance from what it has to be. */
async function added(
  make: (b: GraphBuilder, x: Value, y: Value) => { g: Value; before?: boolean; also?: Value; twice?: boolean },
  scale = 1,
): Promise<string[]> {
  const b = new GraphBuilder()
  const [sum, x, y] = Object.entries(feeds).map(([name, { shape }]) => b.input(name, 'float32', shape))
  const { g, before, also, twice } = make(b, x!, y!)
  const made = new MadeFor(b, before ? b.operations.length : 0, twice ? [g, g] : [g])
  const result = plusGradient(b, b.reshape(sum!, g.shape), g, made)
  assert.deepEqual(result.shape, g.shape)
  const model = b.finish('sums', [['result', result], ...(also ? [['also', also] as const] : [])])
  const found = await runOnce(writeModel(model), new Map(Object.entries(feeds)))
  const expected = Array.from({ length: 12 }, (_, i) => {
    const [row, column] = [Math.floor(i / 4), i % 4]
    const product = [0, 1].reduce(
      (s, k) => s + Number(feeds.x.data[3 * k + row]) * Number(feeds.y.data[4 * k + column]),
      0,
    )
    return Number(feeds.sum.data[i]) + scale * product
  })
  assert.ok(distance(found.get('result')!.data, Float32Array.from(expected)) < 1e-6)
  return model.graph.nodes.map(({ op }) => op).filter((op) => op !== 'Reshape')
}

test('a product takes in the sum that it is added to, whatever shape it is seen in and however it is scaled', async () => {
  assert.deepEqual(await added((b, x, y) => ({ g: b.gemm(x, y, true, false) })), ['Gemm'])
  assert.deepEqual(await added((b, x, y) => ({ g: b.reshape(b.gemm(x, y, true, false), [1, 12]) })), ['Gemm'])
  assert.deepEqual(await added((b, x, y) => ({ g: b.gemm(x, y, true, false, 0.5) }), 0.5), ['Gemm'])
})

test('a product that is somebody else’s, too, is made once and added', async () => {
  const read = await added((b, x, y) => {
    const g = b.gemm(x, y, true, false)
    return { g, also: b.one('Exp', [g]) }
  })
  assert.deepEqual(read.sort(), ['Add', 'Exp', 'Gemm'])
  const readAsMatrix = await added((b, x, y) => {
    const g = b.gemm(x, y, true, false)
    return { g: b.reshape(g, [12]), also: b.one('Exp', [g]) }
  })
  assert.deepEqual(readAsMatrix.sort(), ['Add', 'Exp', 'Gemm'])
  const older = await added((b, x, y) => ({ g: b.gemm(x, y, true, false), before: true }))
  assert.deepEqual(older, ['Gemm', 'Add'])
  const given = await added((b, x, y) => ({ g: b.gemm(x, y, true, false), twice: true }))
  assert.deepEqual(given, ['Gemm', 'Add'])
})

test('a product that has taken something in already takes no second sum', async () => {
  const twice = await added((b, x, y) => {
    const nothing = b.filled([3, 4])
    return { g: b.one('Gemm', [x, y, nothing], { transA: { type: 'int', value: 1 } }) }
  })
  assert.deepEqual(twice, ['Gemm', 'Add'])
})
