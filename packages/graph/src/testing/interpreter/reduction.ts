import { type Call, either, flag, type Kernel, type Kernels, need, number } from './kernel.ts'
import { at, build, count, eachIndex, front, map, type Ref, reshaped, size } from './tensor.ts'

/** Applies f to the elements along `axes`, in memory order. */
export function along(x: Ref, axes: readonly number[], keep: boolean, f: (values: number[]) => number, kind = x.kind) {
  const wide = x.shape.map((n, d) => (axes.includes(d) ? 1 : n))
  const inner = x.shape.map((n, d) => (axes.includes(d) ? n : 1))
  const y = build(kind, wide, (index) => {
    const values: number[] = []
    eachIndex(inner, (k) => {
      values.push(
        at(
          x,
          index.map((n, d) => n + k[d]!),
        ),
      )
    })
    return f(values)
  })
  return keep
    ? y
    : reshaped(
        y,
        x.shape.filter((_, d) => !axes.includes(d)),
      )
}

const total = (values: readonly number[]) => values.reduce((a, x) => a + x, 0)

/** Axes by attribute or, from opset 18 (ReduceSum: 13), by input; none given means all unless noop_with_empty_axes. */
const reduction =
  (f: (values: number[]) => number): Kernel =>
  (c) => {
    const x = need(c, 0)
    const rank = x.shape.length
    const given = either(c, 'axes', 1)
    // Over no axes at all, every element is reduced alone: ReduceL1 is then Abs.
    const none = flag(c, 'noop_with_empty_axes') ? [] : count(rank)
    const axes = given?.length ? given.map((axis) => front(axis, rank)) : none
    return [along(x, axes, flag(c, 'keepdims', 1), f)]
  }

const argument =
  (better: (a: number, b: number) => boolean): Kernel =>
  (c) => {
    const x = need(c, 0)
    const last = flag(c, 'select_last_index')
    const pick = (values: number[]) =>
      values.reduce(
        (best, value, i) => (better(value, values[best]!) || (last && value === values[best]) ? i : best),
        0,
      )
    return [along(x, [front(number(c, 'axis', 0), x.shape.length)], flag(c, 'keepdims', 1), pick, 'int')]
  }

/** Softmax's rows: from opset 13 along one axis; before, the tensor is a matrix whose columns begin at `axis`. */
function softmaxRows(c: Call, f: (x: number, top: number, sum: number) => number): Ref[] {
  const x = need(c, 0)
  const rank = x.shape.length
  const axis = front(number(c, 'axis', c.opset < 13 ? 1 : -1), rank)
  const matrix = c.opset < 13 ? [size(x.shape.slice(0, axis)), size(x.shape.slice(axis))] : x.shape
  const along1 = c.opset < 13 ? 1 : axis
  const rows = reshaped(x, matrix)
  const top = along(rows, [along1], true, (values) => Math.max(...values))
  const sum = along(rows, [along1], true, (values) => {
    const highest = Math.max(...values)
    return total(values.map((v) => Math.exp(v - highest)))
  })
  const y = build('float', matrix, (index) => {
    const row = index.map((n, d) => (d === along1 ? 0 : n))
    return f(at(rows, index), at(top, row), at(sum, row))
  })
  return [reshaped(y, x.shape)]
}

/** Reductions, running sums, and what is normalised by a reduction. */
export const reductions: Kernels = {
  ReduceSum: reduction(total),
  ReduceMean: reduction((values) => total(values) / values.length),
  ReduceMax: reduction((values) => Math.max(...values)),
  ReduceMin: reduction((values) => Math.min(...values)),
  ReduceProd: reduction((values) => values.reduce((a, x) => a * x, 1)),
  ReduceL1: reduction((values) => total(values.map(Math.abs))),
  ReduceL2: reduction((values) => Math.sqrt(total(values.map((x) => x * x)))),
  ReduceSumSquare: reduction((values) => total(values.map((x) => x * x))),
  ReduceLogSum: reduction((values) => Math.log(total(values))),
  ReduceLogSumExp: reduction((values) => {
    const top = Math.max(...values)
    return Math.log(total(values.map((x) => Math.exp(x - top)))) + top
  }),
  ArgMax: argument((a, b) => a > b),
  ArgMin: argument((a, b) => a < b),
  Softmax: (c) => softmaxRows(c, (x, top, sum) => Math.exp(x - top) / sum),
  LogSoftmax: (c) => softmaxRows(c, (x, top, sum) => x - top - Math.log(sum)),
  Hardmax: (c) => {
    const x = need(c, 0)
    const axis = front(number(c, 'axis', -1), x.shape.length)
    if (c.opset < 13) throw new Error('the older Hardmax, which flattens, is not written here')
    const first = along(x, [axis], true, (values) => values.indexOf(Math.max(...values)), 'int')
    return [
      build(
        'float',
        x.shape,
        (index) =>
          +(
            at(
              first,
              index.map((n, d) => (d === axis ? 0 : n)),
            ) === index[axis]
          ),
      ),
    ]
  },
  CumSum: (c) => {
    const x = need(c, 0)
    const axis = front(need(c, 1).data[0]!, x.shape.length)
    const [exclusive, reverse] = [flag(c, 'exclusive'), flag(c, 'reverse')]
    return [
      build(x.kind, x.shape, (index) => {
        const here = index[axis]!
        const counts = count(x.shape[axis]!).filter((i) =>
          exclusive ? (reverse ? i > here : i < here) : reverse ? i >= here : i <= here,
        )
        return total(counts.map((i) => at(x, index.with(axis, i))))
      }),
    ]
  },
  LpNormalization: (c) => {
    const x = need(c, 0)
    const axis = front(number(c, 'axis', -1), x.shape.length)
    const p = number(c, 'p', 2)
    const norm = along(x, [axis], true, (values) =>
      p === 1 ? total(values.map(Math.abs)) : Math.sqrt(total(values.map((v) => v * v))),
    )
    return [build('float', x.shape, (index) => at(x, index) / at(norm, index.with(axis, 0)))]
  },
  MeanVarianceNormalization: (c) => {
    const x = need(c, 0)
    const axes = either(c, 'axes', 1) ?? [0, 2, 3]
    const mean = along(x, axes, true, (values) => total(values) / values.length)
    const centred = build(
      'float',
      x.shape,
      (i) =>
        at(x, i) -
        at(
          mean,
          i.map((n, d) => (axes.includes(d) ? 0 : n)),
        ),
    )
    const power = along(
      map(centred, (v) => v * v),
      axes,
      true,
      (values) => total(values) / values.length,
    )
    return [
      build('float', x.shape, (i) => {
        return (
          at(centred, i) /
          (Math.sqrt(
            at(
              power,
              i.map((n, d) => (axes.includes(d) ? 0 : n)),
            ),
          ) +
            1e-9)
        )
      }),
    ]
  },
}
