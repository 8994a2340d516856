import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError, type Optimizer, type OptimizerInput, OptimizerSchema, sizeOf, type Tensor } from '@pingo/wire'
import { buildProgram, optimizerScalars, templates, updateRules } from './index.ts'
import { gradientOf, initial, names, RATE, STEPS, shapes, train } from './testing/linear.ts'
import { distance } from './testing/runtime.ts'

/** Optimisers that PyTorch 1.13 lacks, against references in float64 that follow the papers' own notation. */
const DECAY = 0.1
type Matrix = number[][]

/** Runs a reference for each weight and compares. `step` gives the update u of p ← p (1 - rate decay) - rate u. */
function compare(
  held: Map<string, Tensor>,
  reference: (name: string) => (g: number[], t: number, w: number[]) => number[],
  limit: number,
): void {
  for (const name of names) {
    let w = Array.from(initial.get(name)!.data as Float32Array)
    const update = reference(name)
    const decay = shapes[name]!.length >= 2 ? DECAY : 0
    for (let t = 1; t <= STEPS; t++) {
      const u = update(gradientOf(name, t - 1), t, w)
      w = w.map((x, i) => x * (1 - RATE * decay) - RATE * u[i]!)
    }
    const far = distance(held.get(name)!.data, w)
    assert.ok(far < limit, `${name}: ${far}`)
  }
}

test('lion is Chen et al. 2023, algorithm 2', async () => {
  const held = await train({ kind: 'lion', beta1: 0.9, beta2: 0.95, weightDecay: DECAY })
  compare(
    held,
    () => {
      let m: number[] | undefined
      return (g) => {
        m ??= g.map(() => 0)
        const c = m.map((x, i) => 0.9 * x + (1 - 0.9) * g[i]!)
        m = m.map((x, i) => 0.95 * x + (1 - 0.95) * g[i]!)
        return c.map(Math.sign)
      }
    },
    1e-6,
  )
})

const asMatrix = (name: string, flat: number[]): Matrix => {
  const [rows, columns] = [shapes[name]![0]!, sizeOf(shapes[name]!.slice(1))]
  return Array.from({ length: rows }, (_, r) => flat.slice(r * columns, (r + 1) * columns))
}
const meanOf = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length

test('adafactor is Shazeer and Stern 2018, algorithms 4 and 5, with the rate from outside', async () => {
  const held = await train({ kind: 'adafactor', weightDecay: DECAY, epsilon: 1e-8, decayExponent: 0.8, threshold: 0.9 })
  let cuts = 0
  compare(
    held,
    (name) => {
      let [R, C, V]: [number[], number[], number[]] = [[], [], []]
      return (g, t) => {
        const beta = 1 - t ** -0.8
        const mix = (old: number[], now: number[]) => now.map((x, i) => beta * (old[i] ?? 0) + (1 - beta) * x)
        const squares = g.map((x) => x * x + 1e-8)
        let u: number[]
        if (shapes[name]!.length >= 2) {
          const G = asMatrix(name, squares)
          R = mix(
            R,
            G.map((row) => row.reduce((a, b) => a + b, 0)),
          )
          C = mix(
            C,
            G[0]!.map((_, c) => G.reduce((sum, row) => sum + row[c]!, 0)),
          )
          const total = R.reduce((a, b) => a + b, 0)
          u = asMatrix(name, g).flatMap((row, r) => row.map((x, c) => x / Math.sqrt((R[r]! * C[c]!) / total)))
        } else {
          V = mix(V, squares)
          u = g.map((x, i) => x / Math.sqrt(V[i]!))
        }
        const rms = Math.sqrt(meanOf(u.map((x) => x * x)))
        if (rms > 0.9) cuts++
        return u.map((x) => x / Math.max(1, rms / 0.9))
      }
    },
    1e-5,
  )
  assert.ok(cuts > 3, 'the threshold was met')
  assert.deepEqual(held.get('optimizer.row.kernel')!.shape, [4])
  assert.deepEqual(held.get('optimizer.column.kernel')!.shape, [12])
  assert.deepEqual(held.get('optimizer.second.bias')!.shape, [5])
})

const multiply = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, c) => row.reduce((s, x, k) => s + x * b[k]![c]!, 0)))
const transpose = (a: Matrix): Matrix => a[0]!.map((_, c) => a.map((row) => row[c]!))
const combine = (p: number, a: Matrix, q: number, b: Matrix): Matrix =>
  a.map((row, r) => row.map((x, c) => p * x + q * b[r]![c]!))

/** zeropower_via_newtonschulz5 of Jordan 2024. */
function newtonSchulz(G: Matrix): Matrix {
  const tall = G.length > G[0]!.length
  let X = tall ? transpose(G) : G
  const norm = Math.sqrt(X.flat().reduce((sum, x) => sum + x * x, 0))
  X = X.map((row) => row.map((x) => x / (norm + 1e-7)))
  for (let i = 0; i < 5; i++) {
    const A = multiply(X, transpose(X))
    const B = combine(-4.775, A, 2.0315, multiply(A, A))
    X = combine(3.4445, X, 1, multiply(B, X))
  }
  return tall ? transpose(X) : X
}

for (const [scale, nesterov] of [
  ['rms', true],
  ['original', false],
] as const)
  test(`muon (${scale}${nesterov ? ', Nesterov' : ''}) is Jordan 2024, AdamW for vectors`, async () => {
    const input = { kind: 'muon', weightDecay: DECAY, momentum: 0.9, scale, nesterov, beta1: 0.8, beta2: 0.9 } as const
    // The weights of this model multiply nothing.
    const groups = [{ match: ['wide', 'tall', 'kernel'], adamw: false }]
    const held = await train({ ...input, groups })
    compare(
      held,
      (name) => {
        let [b, m, v]: [number[], number[], number[]] = [[], [], []]
        return (g, t) => {
          if (shapes[name]!.length < 2) {
            m = g.map((x, i) => 0.8 * (m[i] ?? 0) + 0.2 * x)
            v = g.map((x, i) => 0.9 * (v[i] ?? 0) + 0.1 * x * x)
            return m.map((x, i) => x / (1 - 0.8 ** t) / (Math.sqrt(v[i]! / (1 - 0.9 ** t)) + 1e-8))
          }
          b = g.map((x, i) => 0.9 * (b[i] ?? 0) + x)
          const O = newtonSchulz(asMatrix(name, nesterov ? g.map((x, i) => x + 0.9 * b[i]!) : b))
          const [rows, columns] = [O.length, O[0]!.length]
          const by = scale === 'rms' ? 0.2 * Math.sqrt(Math.max(rows, columns)) : Math.sqrt(Math.max(1, rows / columns))
          return O.flat().map((x) => by * x)
        }
      },
      2e-5,
    )
  })

test('muon leaves embeddings and the last layer to AdamW, and what groups say otherwise', () => {
  const gpt = templates.gpt({ vocabulary: 11, context: 4, layers: 1, heads: 2, width: 8 })
  const build = (optimizer: OptimizerInput, model = gpt, target = [4]) => {
    const input = model === gpt ? { dtype: 'int32' as const, shape: [4] } : { dtype: 'float32' as const, shape: [6] }
    const program = buildProgram(model, {
      loss: 'cross_entropy',
      optimizer,
      batch: 2,
      inputs: [{ name: 'input', column: 'input', ...input }],
      target: { name: 'target', column: 'target', dtype: 'int32', shape: target },
    })
    return new Map(updateRules(program.optimizer, program.parameters).map(({ name, kind }) => [name, kind]))
  }
  const rules = build({ kind: 'muon' })
  const of = (kind: Optimizer['kind']) => [...rules].filter(([, k]) => k === kind).map(([name]) => name)
  const matrices = gpt.graph.initializers
  assert.ok(of('muon').length >= 4)
  for (const name of of('muon')) assert.equal(matrices.get(name)!.shape.length, 2, name)
  const tables = [...matrices].filter(([name, { shape }]) => rules.has(name) && (shape[0] === 11 || shape[0] === 4))
  assert.ok(tables.length >= 2)
  for (const [name] of tables) assert.equal(rules.get(name), 'adamw', name)
  const mlp = templates.mlp({ inputs: [6], classes: 3, hidden: [5, 4] })
  const plain = build({ kind: 'muon' }, mlp, [])
  assert.equal(plain.get('head.weight'), 'adamw')
  assert.equal(plain.get('dense1.weight'), 'muon')
  const asked = build(
    {
      kind: 'muon',
      groups: [
        { match: ['head.*'], adamw: false },
        { match: ['dense1.*'], adamw: true },
      ],
    },
    mlp,
    [],
  )
  assert.equal(asked.get('head.weight'), 'muon')
  assert.equal(asked.get('dense1.weight'), 'adamw')
})

test('groups freeze, scale and decay by the first pattern that fits', () => {
  const optimizer = OptimizerSchema.parse({
    kind: 'adamw',
    weightDecay: 0.1,
    groups: [
      { match: ['head.bias'], weightDecay: 0.2 },
      { match: ['head.*'], rate: 0.5 },
      { match: ['dense1.*'], freeze: true },
    ],
  })
  const program = buildProgram(templates.mlp({ inputs: [6], classes: 3, hidden: [5, 4] }), {
    loss: 'cross_entropy',
    optimizer,
    batch: 2,
    inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: [6] }],
    target: { name: 'target', column: 'target', dtype: 'int32', shape: [] },
  })
  assert.deepEqual(program.parameters.map(({ name }) => name).sort(), [
    'dense2.bias',
    'dense2.weight',
    'head.bias',
    'head.weight',
  ])
  const rules = updateRules(optimizer, program.parameters)
  assert.deepEqual(Object.fromEntries(rules.map(({ name, lrScale, decay }) => [name, [lrScale, decay]])), {
    'dense2.weight': [1, 0.1],
    'dense2.bias': [1, 0],
    'head.weight': [0.5, 0.1],
    'head.bias': [1, 0.2],
  })
  assert.deepEqual(
    program.state,
    rules.flatMap(({ state }) => state),
  )
  const { names: scalarNames, at } = optimizerScalars(optimizer)
  const values = at(7, 0.01)
  assert.deepEqual(Object.keys(values), scalarNames)
  for (const { scalars, lrScale, decay } of rules) {
    assert.equal(values[scalars.rate], values['optimizer.rate']! * lrScale)
    assert.equal(scalars.decay === undefined ? 1 : values[scalars.decay], 1 - 0.01 * lrScale * decay)
  }
  assert.throws(
    () =>
      buildProgram(templates.mlp({ inputs: [6], classes: 3 }), {
        loss: 'cross_entropy',
        optimizer: { kind: 'sgd', groups: [{ match: ['nothing.*'] }] },
        batch: 2,
        inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: [6] }],
        target: { name: 'target', column: 'target', dtype: 'int32', shape: [] },
      }),
    (error: unknown) => isPinGoError(error, 'GRAPH_PATTERN_UNKNOWN'),
  )
})
