import { type Call, flag, type Kernels, need, number, text } from './kernel.ts'
import { at, build, count, eachIndex, front, offset, type Ref, size } from './tensor.ts'

const wrap = (n: number, length: number) => (n < 0 ? n + length : n)

const combine = (reduction: string) => (old: number, update: number) => {
  if (reduction === 'add') return old + update
  if (reduction === 'mul') return old * update
  if (reduction === 'max') return Math.max(old, update)
  return reduction === 'min' ? Math.min(old, update) : update
}

const copy = (x: Ref): Ref => ({ ...x, data: x.data.slice() })

function topK(c: Call): Ref[] {
  const x = need(c, 0)
  const axis = front(number(c, 'axis', -1), x.shape.length)
  const k = need(c, 1).data[0]!
  const sign = flag(c, 'largest', 1) ? 1 : -1
  const order = (index: number[]) =>
    count(x.shape[axis]!)
      .map((i) => [at(x, index.with(axis, i)), i] as const)
      .sort(([a, i], [b, j]) => sign * (b - a) || i - j)
  const shape = x.shape.with(axis, k)
  return [
    build(x.kind, shape, (index) => order(index)[index[axis]!]![0]),
    build('int', shape, (index) => order(index)[index[axis]!]![1]),
  ]
}

/** What reads or writes at given positions. */
export const indexing: Kernels = {
  Gather: (c) => {
    const [x, indices] = [need(c, 0), need(c, 1)]
    const axis = front(number(c, 'axis', 0), x.shape.length)
    const n = indices.shape.length
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)]
    return [
      build(x.kind, shape, (index) => {
        const i = wrap(at(indices, index.slice(axis, axis + n)), x.shape[axis]!)
        return at(x, [...index.slice(0, axis), i, ...index.slice(axis + n)])
      }),
    ]
  },
  GatherElements: (c) => {
    const [x, indices] = [need(c, 0), need(c, 1)]
    const axis = front(number(c, 'axis', 0), x.shape.length)
    return [build(x.kind, indices.shape, (index) => at(x, index.with(axis, wrap(at(indices, index), x.shape[axis]!))))]
  },
  GatherND: (c) => {
    const [x, indices] = [need(c, 0), need(c, 1)]
    const batch = number(c, 'batch_dims', 0)
    const depth = indices.shape.at(-1)!
    const lead = indices.shape.length - 1
    const shape = [...indices.shape.slice(0, -1), ...x.shape.slice(batch + depth)]
    return [
      build(x.kind, shape, (index) => {
        const row = index.slice(0, lead)
        const where = count(depth).map((i) => wrap(at(indices, [...row, i]), x.shape[batch + i]!))
        return at(x, [...index.slice(0, batch), ...where, ...index.slice(lead)])
      }),
    ]
  },
  ScatterND: (c) => {
    const [y, indices, updates] = [copy(need(c, 0)), need(c, 1), need(c, 2)]
    const put = combine(text(c, 'reduction', 'none'))
    const depth = indices.shape.at(-1)!
    const inner = size(y.shape.slice(depth))
    eachIndex(indices.shape.slice(0, -1), (row, flat) => {
      const where = count(depth).map((i) => wrap(at(indices, [...row, i]), y.shape[i]!))
      const start = offset(y.shape.slice(0, depth), where) * inner
      for (let i = 0; i < inner; i++) y.data[start + i] = put(y.data[start + i]!, updates.data[flat * inner + i]!)
    })
    return [y]
  },
  ScatterElements: (c) => {
    const [y, indices, updates] = [copy(need(c, 0)), need(c, 1), need(c, 2)]
    const axis = front(number(c, 'axis', 0), y.shape.length)
    const put = combine(text(c, 'reduction', 'none'))
    eachIndex(indices.shape, (index, flat) => {
      const where = offset(y.shape, index.with(axis, wrap(indices.data[flat]!, y.shape[axis]!)))
      y.data[where] = put(y.data[where]!, updates.data[flat]!)
    })
    return [y]
  },
  OneHot: (c) => {
    const [indices, depth, values] = [need(c, 0), need(c, 1).data[0]!, need(c, 2)]
    const axis = front(number(c, 'axis', -1), indices.shape.length + 1)
    const shape = [...indices.shape.slice(0, axis), depth, ...indices.shape.slice(axis)]
    return [
      build(values.kind, shape, (index) => {
        const hot = wrap(at(indices, index.toSpliced(axis, 1)), depth)
        return values.data[+(hot === index[axis])]!
      }),
    ]
  },
  TopK: topK,
  Compress: (c) => {
    const x = need(c, 0)
    const kept = Array.from(need(c, 1).data).flatMap((flag, i) => (flag ? [i] : []))
    const axis = c.attributes.axis ? front(number(c, 'axis', 0), x.shape.length) : undefined
    if (axis === undefined) return [build(x.kind, [kept.length], ([i]) => x.data[kept[i!]!]!)]
    return [build(x.kind, x.shape.with(axis, kept.length), (i) => at(x, i.with(axis, kept[i[axis]!]!)))]
  },
  NonZero: (c) => {
    const x = need(c, 0)
    const found: number[][] = []
    eachIndex(x.shape, (index, flat) => {
      if (x.data[flat] !== 0) found.push([...index])
    })
    return [build('int', [x.shape.length, found.length], ([d, i]) => found[i!]![d!]!)]
  },
}
