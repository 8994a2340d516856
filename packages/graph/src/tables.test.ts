import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildProgram, type Model } from './index.ts'
import { tablesOf } from './tables.ts'
import { Random } from './templates/random.ts'
import { tensorOf } from './tensors.ts'
import { fixture } from './testing/fixture.ts'

type Fill = (indices: number[]) => number

const filled = (shape: number[], fill: Fill) => {
  const data = Array.from({ length: shape.reduce((a, n) => a * n, 1) }, (_, i) => {
    const indices: number[] = []
    let rest = i
    for (const n of shape.toReversed()) {
      indices.unshift(rest % n)
      rest = Math.floor(rest / n)
    }
    return fill(indices)
  })
  return tensorOf('float32', shape, data)
}

function found(tensors: Record<string, ReturnType<typeof filled>>): string[] {
  const graph = { name: 'g', nodes: [], inputs: [], outputs: [], initializers: new Map(Object.entries(tensors)) }
  return [...tablesOf({ irVersion: 8, opset: 17, producer: '', metadata: {}, graph }).keys()].sort()
}

const angle = (position: number, i: number) => position * 10 ** -i

test('tables of positions are told from weights, however they are laid out', () => {
  const rotary =
    (wave: (x: number) => number): Fill =>
    ([position, i]) =>
      wave(angle(position!, i! % 3))
  assert.deepEqual(
    found({
      cos: filled([5, 6], rotary(Math.cos)),
      weight: filled([5, 6], () => 0.3),
      sin: filled([5, 6], rotary(Math.sin)),
    }),
    ['cos', 'sin'],
  )
  const waves = [Math.sin, Math.cos]
  const interleaved = filled([1, 7, 8], ([, position, i]) => waves[i! % 2]!(angle(position!, Math.floor(i! / 2))))
  const halves = filled([7, 8], ([position, i]) => waves[Math.floor(i! / 4)]!(angle(position!, i! % 4)))
  assert.deepEqual(found({ halves, interleaved }), ['halves', 'interleaved'])
  assert.deepEqual(found({ frequencies: filled([16], ([i]) => 10000 ** (-i! / 16)) }), ['frequencies'])
  assert.deepEqual(found({ slopes: filled([1, 8, 1, 1], ([, h]) => 2 ** -(h! + 1)) }), ['slopes'])
  assert.deepEqual(found({ past: filled([1, 1, 4, 4], ([, , i, j]) => Number(j! <= i!)) }), ['past'])
})

test('what weights begin with is no table', () => {
  const random = new Random(3)
  assert.deepEqual(
    found({
      gain: filled([16], () => 1),
      bias: filled([16], () => 0),
      scale: filled([16], () => 1e-6),
      identity: filled([6, 6], ([i, j]) => Number(i === j)),
      ones: filled([6, 6], () => 1),
      weight: filled([16, 16], () => random.normal() / 4),
      other: filled([16, 16], () => random.normal() / 4),
      small: filled([2, 2], ([i]) => 0.6 + 0.2 * i!),
      falling: filled([16], ([i]) => 1 - i! / 16),
    }),
    [],
  )
})

test('what is trained is what PyTorch calls a parameter: the tables of all layers stay', () => {
  const { model, tensors, options } = fixture('rotary')
  const trained = buildProgram(model, { ...options, optimizer: { kind: 'sgd' } }).parameters.map(
    ({ name }) => `grad.${name}`,
  )
  assert.ok(model.graph.nodes.some(({ op, outputs }) => op === 'Identity' && outputs[0]!.endsWith('.cos')))
  assert.deepEqual(trained.length, [...tensors.keys()].filter((key) => key.startsWith('grad.')).length)
  assert.deepEqual(
    trained.filter((name) => /cos|sin|past|frequencies/.test(name)),
    [],
  )
})

test('a table is not trained, and a note says so', () => {
  const { model, options } = fixture('gpt')
  const even = filled([8, 16], ([position, i]) => {
    const x = angle(position!, Math.floor(i! / 2) / 4)
    return i! % 2 ? Math.cos(x) : Math.sin(x)
  })
  const programOf = (table: typeof even) => {
    const initializers = new Map(model.graph.initializers).set('pos.weight', table)
    const changed: Model = { ...model, graph: { ...model.graph, initializers } }
    return buildProgram(changed, { ...options, optimizer: { kind: 'sgd' } })
  }
  const fixed = programOf(even)
  assert.ok(!fixed.parameters.some(({ name }) => name === 'pos.weight'))
  assert.match(fixed.notes.join(), /formula: 'pos.weight' \(a table of sines and cosines\)/)
  const moved = filled([8, 16], ([row, i]) => Number(even.data[16 * row! + i!]) + (row === 2 && i === 8 ? 0.1 : 0))
  const learnt = programOf(moved)
  assert.ok(learnt.parameters.some(({ name }) => name === 'pos.weight'))
})
