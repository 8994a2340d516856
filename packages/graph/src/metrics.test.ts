import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError, type LossInput, type Stats, type Tensor } from '@pingo/wire'
import { buildProgram, mergeStats, metricsOf, statsLayout } from './index.ts'
import { Random } from './templates/random.ts'
import { tensorOf } from './tensors.ts'
import { lossCase, outputModel } from './testing/losses.ts'
import { runOnce } from './testing/runtime.ts'

const random = new Random(17)
const normals = (...shape: number[]) =>
  tensorOf(
    'float32',
    shape,
    Array.from({ length: shape.reduce((a, n) => a * n, 1) }, () => random.normal()),
  )
const ids = (classes: number, ...shape: number[]) =>
  tensorOf(
    'int32',
    shape,
    Array.from({ length: shape.reduce((a, n) => a * n, 1) }, () => Math.floor(random.uniform() * classes)),
  )
const near = (a: number | undefined, b: number, within = 1e-5) =>
  assert.ok(Math.abs(a! - b) <= within * Math.max(1, Math.abs(b)), `${a}, not ${b}`)

/** The metrics of two batches, of the second with padding, as the evaluate graph and the pure functions give them. */
async function evaluate(
  loss: LossInput,
  y: Tensor,
  target: Tensor,
  weights: number[],
): Promise<Record<string, number>> {
  const batch = y.shape[0]! / 2
  let merged: Float64Array | undefined
  let stats: Stats | undefined
  for (const half of [0, 1]) {
    const part = (t: Tensor): Tensor => ({
      dtype: t.dtype,
      shape: [batch, ...t.shape.slice(1)],
      data: t.data.slice((half * t.data.length) / 2, ((half + 1) * t.data.length) / 2) as Tensor['data'],
    })
    const { options, feeds } = lossCase(part(y), part(target), weights.slice(half * batch, (half + 1) * batch))
    const program = buildProgram(outputModel(part(y)), { ...options, loss, optimizer: { kind: 'sgd' } })
    const out = await runOnce(program.evaluate, [...program.initial, ...feeds])
    stats = program.stats!
    const vector = out.get('metric_stats')!.data as Float32Array
    assert.equal(vector.length, statsLayout(stats).size)
    merged = mergeStats(stats, merged, vector)
  }
  return metricsOf(stats!, merged!)
}

const rowsOf = (y: Tensor, width: number): number[][] =>
  Array.from({ length: y.data.length / width }, (_, i) =>
    Array.from(y.data.slice(i * width, (i + 1) * width) as Float32Array),
  )
const argmax = (row: number[]) => row.indexOf(Math.max(...row))
const f1 = (said: number[], truth: number[], c: number) => {
  const hits = said.filter((s, i) => s === c && truth[i] === c).length
  const [precision, recall] = [hits / said.filter((s) => s === c).length, hits / truth.filter((t) => t === c).length]
  return hits ? (2 * precision * recall) / (precision + recall) : 0
}

test('accuracy, top-5 and macro F1 of many classes', async () => {
  const [n, classes] = [60, 8]
  const [y, t] = [normals(n, classes), ids(classes, n)]
  const weights = Array.from({ length: n }, (_, i) => +(i < 55))
  const got = await evaluate('cross_entropy', y, t, weights)
  const rows = rowsOf(y, classes).slice(0, 55)
  const truth = Array.from(t.data as Int32Array).slice(0, 55)
  const said = rows.map(argmax)
  near(got.accuracy, said.filter((s, i) => s === truth[i]).length / 55)
  const top = rows.filter((row, i) =>
    [...row]
      .sort((a, b) => b - a)
      .slice(0, 5)
      .includes(row[truth[i]!]!),
  )
  near(got.top5, top.length / 55)
  const each = Array.from({ length: classes }, (_, c) => f1(said, truth, c))
  near(got.f1_macro, each.reduce((a, b) => a + b) / classes)
  assert.equal(got.perplexity, undefined)
  assert.equal(got.auc, undefined)
})

test('perplexity of sequences is exp of the mean cross-entropy, without smoothing and ignored positions', async () => {
  const [y, t] = [normals(4, 6, 7), ids(7, 4, 6)]
  ;(t.data as Int32Array)[3] = -1
  const got = await evaluate({ kind: 'cross_entropy', ignoreIndex: -1, smoothing: 0.3 }, y, t, [1, 1, 1, 0])
  let [sum, count] = [0, 0]
  for (const [i, row] of rowsOf(y, 7).slice(0, 18).entries()) {
    const id = Number(t.data[i])
    if (id < 0) continue
    sum += Math.log(row.reduce((s, x) => s + Math.exp(x), 0)) - row[id]!
    count++
  }
  assert.equal(count, 17)
  near(got.perplexity, Math.exp(sum / count))
})

/** AUC as the share of pairs that are in order. */
function pairs(scores: number[], truth: number[]): number {
  let [won, all] = [0, 0]
  for (const [i, a] of scores.entries())
    for (const [j, b] of scores.entries())
      if (truth[i] === 1 && truth[j] === 0) {
        won += a > b ? 1 : a === b ? 0.5 : 0
        all++
      }
  return won / all
}

test('F1 and AUC of two classes, and of yes-or-no outputs', async () => {
  const n = 200
  const t = ids(2, n)
  const truth = Array.from(t.data as Int32Array)
  const scores = truth.map((c) => random.normal() + c)
  const weights = Array.from({ length: n }, (_, i) => +(i < 190))
  const two = tensorOf(
    'float32',
    [n, 2],
    scores.flatMap((s) => [0, s]),
  )
  const one = tensorOf('float32', [n, 1], scores)
  const said = scores.map((s) => +(s > 0)).slice(0, 190)
  for (const got of [await evaluate('cross_entropy', two, t, weights), await evaluate('bce', one, t, weights)]) {
    near(got.accuracy, said.filter((s, i) => s === truth[i]).length / 190)
    near(got.f1, f1(said, truth.slice(0, 190), 1))
    near(got.auc, pairs(scores.slice(0, 190), truth.slice(0, 190)), 2e-3)
    assert.ok(got.auc! > 0.6)
  }
})

test('R² and MAE, also where the targets lie far from 0', async () => {
  const n = 40
  for (const far of [0, 1000]) {
    const t = tensorOf(
      'float32',
      [n, 2],
      Array.from({ length: 2 * n }, (_, i) => far * (1 + (i % 2)) + random.normal()),
    )
    const y = tensorOf(
      'float32',
      [n, 2],
      Array.from(t.data as Float32Array, (v) => v + 0.5 * random.normal()),
    )
    const weights = Array.from({ length: n }, (_, i) => +(i < 33))
    const got = await evaluate('mse', y, t, weights)
    const [a, b] = [Array.from(y.data as Float32Array).slice(0, 66), Array.from(t.data as Float32Array).slice(0, 66)]
    near(got.mae, a.reduce((sum, v, i) => sum + Math.abs(v - b[i]!), 0) / 66)
    const means = [0, 1].map((c) => b.filter((_, i) => i % 2 === c).reduce((x, v) => x + v, 0) / 33)
    const total = b.reduce((sum, v, i) => sum + (v - means[i % 2]!) ** 2, 0)
    near(got.r2, 1 - a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0) / total, 1e-3)
  }
})

test('hand-made vectors: what is undefined is left out', () => {
  const stats: Stats = { kind: 'binary', bins: 4 }
  // 10 predictions, 3 hits, 1 false alarm, 2 misses; scores of 5 positives and 5 negatives in four bins.
  const vector = [10, 3, 1, 2, 0, 1, 1, 3, 3, 1, 1, 0]
  assert.deepEqual(metricsOf(stats, vector), { accuracy: 0.7, f1: 6 / 9, auc: (1 * 3.5 + 1 * 4.5 + 3 * 5) / 25 })
  assert.deepEqual(metricsOf(stats, [4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0]), { accuracy: 1, f1: 0 })
  assert.deepEqual(metricsOf({ kind: 'numbers', columns: 1 }, [2, 2, 1, 1, 5, 0]), { mae: 0.5 })
  for (const act of [() => metricsOf(stats, [1, 2, 3]), () => mergeStats({ kind: 'numbers', columns: 1e9 }, [], [1])])
    assert.throws(act, (error: unknown) => isPinGoError(error, 'PROGRAM_INVALID'))
})
