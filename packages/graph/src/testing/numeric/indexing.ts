import { int, string } from '../../model.ts'
import { tensorOf } from '../../tensors.ts'
import { type Draw, floats32, type Generator, type Generators, int64, type Operand } from './draw.ts'

const gather: Generator = (d) => {
  const x = d.shape(1, 3)
  const axis = d.axis(x.length)
  const n = x.at(axis)!
  return {
    op: 'Gather',
    inputs: [d.real(x), d.whole(d.shape(0, 2, 3), -n, n - 1)],
    attributes: d.flag() || axis !== 0 ? { axis: int(axis) } : {},
  }
}

const gatherElements: Generator = (d) => {
  const x = d.shape(1, 3)
  const axis = d.axis(x.length)
  const n = x.at(axis)!
  // Along other axes the indices may be shorter.
  const at = axis < 0 ? axis + x.length : axis
  const shape = x.map((m, i) => d.int(1, i === at ? 4 : m))
  return { op: 'GatherElements', inputs: [d.real(x), d.whole(shape, -n, n - 1)], attributes: { axis: int(axis) } }
}

/** Index tuples into the axes from `first` on; each its own size. */
function tuples(d: Draw, x: readonly number[], first: number, depth: number, rows: readonly number[]): Operand {
  const total = rows.reduce((p, n) => p * n, 1)
  const values = Array.from({ length: total * depth }, (_, i) => {
    const n = x[first + (i % depth)]!
    return d.int(-n, n - 1)
  })
  return { role: d.flag() ? 'input' : 'constant', tensor: tensorOf('int64', [...rows, depth], values) }
}

const gatherND: Generator = (d) => {
  const batch = d.int(0, 1)
  const x = d.shape(batch + 1, 3, 3)
  const depth = d.int(1, x.length - batch)
  const rows = [...x.slice(0, batch), ...d.shape(0, 2, 3)]
  return {
    op: 'GatherND',
    inputs: [d.real(x), tuples(d, x, batch, depth, rows)],
    attributes: batch || d.flag() ? { batch_dims: int(batch) } : {},
  }
}

const REDUCTIONS = ['none', 'add', 'mul', 'max', 'min']

/** Which reductions an operator set knows. */
const reductionFor = (d: Draw, opset: number) => {
  const known = opset < 16 ? 1 : opset < 18 ? 3 : 5
  const reduction = REDUCTIONS[d.int(0, known - 1)]!
  return { reduction, attributes: reduction === 'none' && d.flag() ? {} : { reduction: string(reduction) } }
}

/** Products have no gradient here: they are compared as constants. */
const operands = (d: Draw, reduction: string, x: number[], indices: Operand, updates: number[]): Operand[] =>
  reduction === 'mul' ? [d.fixed(x), indices, d.fixed(updates)] : [d.real(x), indices, d.real(updates)]

const scatterND: Generator = (d) => {
  const opset = d.pick(11, 13, 16, 18)
  const x = d.shape(1, 3, 3)
  const depth = d.int(1, x.length)
  const { reduction, attributes } = reductionFor(d, opset)
  const room = x.slice(0, depth).reduce((p, n) => p * n, 1)
  // Without a reduction no place may be written twice: the result would depend on the order.
  const places = Array.from({ length: room }, (_, i) => i)
  const unique = d.shuffled(places).slice(0, d.int(1, room))
  const chosen = reduction === 'none' ? unique : unique.concat(unique.slice(0, d.int(0, unique.length)))
  const values = chosen.flatMap((place) => {
    const index: number[] = []
    for (let i = depth - 1, rest = place; i >= 0; rest = Math.floor(rest / x[i]!), i--) index.unshift(rest % x[i]!)
    return index.map((n, i) => (d.flag() ? n : n - x[i]!))
  })
  const role = d.flag() ? 'input' : 'constant'
  const indices: Operand = { role, tensor: tensorOf('int64', [chosen.length, depth], values) }
  const updates = [chosen.length, ...x.slice(depth)]
  return { op: 'ScatterND', opset, inputs: operands(d, reduction, x, indices, updates), attributes }
}

const scatterElements: Generator = (d) => {
  const opset = d.pick(11, 13, 16, 18)
  const x = d.shape(1, 3, 3)
  const axis = d.axis(x.length)
  const at = axis < 0 ? axis + x.length : axis
  const { reduction, attributes } = reductionFor(d, opset)
  const n = x[at]!
  const shape = x.map((m, i) => (i === at && reduction !== 'none' ? d.int(1, 4) : d.int(1, m)))
  const total = shape.reduce((p, m) => p * m, 1)
  const inner = shape.slice(at + 1).reduce((p, m) => p * m, 1)
  // Without a reduction every line along the axis writes to different places.
  const order = d.shuffled(Array.from({ length: n }, (_, i) => i))
  const values = Array.from({ length: total }, (_, i) => {
    const k = Math.floor(i / inner) % shape[at]!
    const place = reduction === 'none' ? order[k]! : d.int(0, n - 1)
    return d.flag() ? place : place - n
  })
  const indices: Operand = { role: d.flag() ? 'input' : 'constant', tensor: tensorOf('int64', shape, values) }
  return {
    op: 'ScatterElements',
    opset,
    inputs: operands(d, reduction, x, indices, shape),
    attributes: { axis: int(axis), ...attributes },
  }
}

const oneHot: Generator = (d) => {
  const shape = d.shape(1, 3, 3)
  const depth = d.int(1, 4)
  const values = d.flag() ? floats32([0, 1]) : { role: 'constant' as const, tensor: tensorOf('int64', [2], [3, -2]) }
  return {
    op: 'OneHot',
    inputs: [d.whole(shape, -depth, depth - 1), int64(depth), values],
    attributes: d.flag() ? { axis: int(d.axis(shape.length + 1)) } : {},
  }
}

const topK: Generator = (d) => {
  const x = d.shape(1, 3)
  const axis = d.axis(x.length)
  return {
    op: 'TopK',
    inputs: [d.real(x), { role: 'constant', tensor: tensorOf('int64', [1], [d.int(1, x.at(axis)!)]) }],
    outputs: d.int(1, 2),
    attributes: {
      ...(axis !== -1 || d.flag() ? { axis: int(axis) } : {}),
      ...(d.flag() ? { largest: int(+d.flag()) } : {}),
      ...(d.flag() ? { sorted: int(1) } : {}),
    },
  }
}

const hardmax: Generator = (d) => {
  const x = d.shape(1, 3)
  return { op: 'Hardmax', inputs: [d.real(x)], attributes: d.flag() ? { axis: int(d.axis(x.length)) } : {} }
}

const compress: Generator = (d) => {
  const x = d.shape(1, 3)
  const axis = d.flag() ? d.axis(x.length) : undefined
  const total = axis === undefined ? x.reduce((p, n) => p * n, 1) : x.at(axis)!
  // The list may end early; something is kept.
  const n = d.int(1, total)
  const flags = Array.from({ length: n }, (_, i) => (i === 0 ? 1 : +d.flag()))
  return {
    op: 'Compress',
    ownSizes: true,
    inputs: [d.real(x), { role: 'constant', tensor: tensorOf('bool', [n], flags) }],
    attributes: axis === undefined ? {} : { axis: int(axis) },
  }
}

const nonZero: Generator = (d) => {
  const x = d.whole(d.shape(1, 3), 0, 1, 'constant')
  return { op: 'NonZero', inputs: [x] }
}

const reversed: Generator = (d) => {
  const x = [d.int(1, 4), d.int(1, 4), ...d.shape(0, 1, 2)]
  const batchFirst = d.flag()
  const [batch, time] = batchFirst ? [x[0]!, x[1]!] : [x[1]!, x[0]!]
  return {
    op: 'ReverseSequence',
    ownSizes: true,
    inputs: [d.real(x), d.whole([batch], 1, time, 'constant')],
    attributes: batchFirst
      ? { batch_axis: int(0), time_axis: int(1) }
      : d.flag()
        ? { batch_axis: int(1), time_axis: int(0) }
        : {},
  }
}

/** What reads or writes at given positions. */
export const indexing: Generators = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterND: scatterND,
  ScatterElements: scatterElements,
  OneHot: oneHot,
  TopK: topK,
  Hardmax: hardmax,
  Compress: compress,
  NonZero: nonZero,
  ReverseSequence: reversed,
}
