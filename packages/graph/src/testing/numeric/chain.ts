import { type Attributes, float, int, ints, type Node } from '../../model.ts'
import { type Case, type Draw, floats32, ints64, nameOf, type Operand } from './draw.ts'

export interface Named {
  name: string
  shape: number[]
}

/** A graph being drawn. */
export class Chain {
  readonly nodes: Node[] = []
  readonly operands: Operand[] = []
  readonly values: Named[] = []

  operand(x: Operand): string {
    this.operands.push(x)
    return nameOf(this.operands.length - 1, x)
  }

  node(op: string, inputs: string[], shape: number[], attributes: Attributes = {}): Named {
    const name = `v${this.nodes.length}`
    this.nodes.push({ name, op, domain: '', inputs, outputs: [name], attributes })
    const value = { name, shape }
    this.values.push(value)
    return value
  }
}

type Step = (c: Chain, d: Draw, x: Named) => void

const size = (shape: readonly number[]) => shape.reduce((p, n) => p * n, 1)

/** Arithmetic with numbers that change nothing, or little: what simplifying looks for. */
const arithmetic: Step = (c, d, x) => {
  const value = d.pick(0, 1, 1, 2, -0.5)
  const op = value === 0 ? d.pick('Add', 'Sub') : d.pick('Add', 'Sub', 'Mul', 'Mul', 'Div')
  const shape = d.pick<number[]>(
    [],
    [1],
    x.shape.map(() => 1),
    [1, ...x.shape.map(() => 1)],
  )
  const constant = c.operand(floats32([value], shape))
  const inputs = op !== 'Div' && d.flag() ? [constant, x.name] : [x.name, constant]
  c.node(op, inputs, shape.length > x.shape.length ? [1, ...x.shape] : x.shape)
}

const reshape: Step = (c, d, x) => {
  const n = size(x.shape)
  const divisors = Array.from({ length: n }, (_, i) => i + 1).filter((k) => n % k === 0)
  const k = d.pick(...divisors)
  const shape = d.pick([n], [k, n / k], [1, n], [n / k, 1, k], x.shape)
  c.node('Reshape', [x.name, c.operand(ints64(shape))], shape)
}

const transpose: Step = (c, d, x) => {
  const perm = d.shuffled(x.shape.map((_, i) => i))
  const shape = perm.map((axis) => x.shape[axis]!)
  if (perm.length) c.node('Transpose', [x.name], shape, { perm: ints(perm) })
}

const slice: Step = (c, d, x) => {
  if (!x.shape.length) return
  const axis = d.int(0, x.shape.length - 1)
  const n = x.shape[axis]!
  const end = d.int(1, n)
  const list = [ints64([0]), ints64([d.flag() ? n : end]), ints64([axis]), ints64([1])] as const
  const taken = Number(list[1].tensor.data[0])
  const names = list.map((x) => c.operand(x))
  c.node('Slice', [x.name, ...names], x.shape.with(axis, taken))
}

const pad: Step = (c, d, x) => {
  if (!x.shape.length) return
  const pads = [...x.shape, ...x.shape].map(() => (d.int(0, 3) ? 0 : 1))
  const shape = x.shape.map((n, i) => n + pads[i]! + pads[x.shape.length + i]!)
  if (size(shape) <= 60) c.node('Pad', [x.name, c.operand(ints64(pads))], shape)
}

const expand: Step = (c, d, x) => {
  const shape = x.shape.map((n) => (n === 1 && d.flag() ? 2 : n))
  if (size(shape) <= 60) c.node('Expand', [x.name, c.operand(ints64(shape))], shape)
}

const reduce: Step = (c, d, x) => {
  if (!x.shape.length) return
  const axes = d.axes(x.shape.length)
  const keep = d.flag()
  const gone = axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis))
  const shape = keep ? x.shape.map((n, i) => (gone.includes(i) ? 1 : n)) : x.shape.filter((_, i) => !gone.includes(i))
  const op = d.pick('ReduceSum', 'ReduceMean')
  c.node(op, [x.name, c.operand(ints64(axes))], shape, { keepdims: int(+keep) })
}

const bend: Step = (c, d, x) => {
  // Identity of a weight may be the mark of a tie that the exporter made: see splitTie.
  const made = c.nodes.some(({ name }) => name === x.name)
  c.node(d.pick('Tanh', 'Sigmoid', 'Neg', 'Sin', made ? 'Identity' : 'Neg'), [x.name], x.shape)
}

const cast: Step = (c, _, x) => {
  c.node('Cast', [x.name], x.shape, { to: int(1) })
}

/** Two values of one shape, maybe the same one twice. */
const join: Step = (c, d, x) => {
  const fitting = c.values.filter((y) => y.shape.join() === x.shape.join())
  const y = d.pick(...fitting)
  if (x.shape.length && 2 * size(x.shape) <= 60 && d.flag()) {
    c.node('Concat', [x.name, y.name], x.shape.with(0, 2 * x.shape[0]!), { axis: int(0) })
    return
  }
  c.node(d.pick('Add', 'Sub', 'Mul'), [x.name, y.name], x.shape)
}

const product: Step = (c, d, x) => {
  if (x.shape.length < 2) return
  const n = d.int(1, 2)
  const weight = c.operand(d.real([x.shape.at(-1)!, n]))
  if (x.shape.length > 2 || d.flag()) c.node('MatMul', [x.name, weight], [...x.shape.slice(0, -1), n])
  else c.node('Gemm', [x.name, weight], [x.shape[0]!, n], { alpha: float(d.pick(1, 0.5)) })
}

const STEPS = [
  arithmetic,
  arithmetic,
  reshape,
  reshape,
  transpose,
  transpose,
  slice,
  pad,
  expand,
  reduce,
  bend,
  cast,
  join,
  product,
]

/**
 * A random graph of what the builder simplifies, shares and folds: chains of reshapes and transpositions, numbers that change
 * nothing, reductions of single elements, equal operations.
 */
export function chain(d: Draw): Case {
  const c = new Chain()
  for (let i = d.int(1, 2); i > 0; i--) {
    const shape = d.shape(1, 3, 3)
    const name = c.operand(d.real(shape))
    c.values.push({ name, shape })
  }
  for (let i = d.int(1, 10); i > 0; i--) d.pick(...STEPS)(c, d, d.pick(...c.values.slice(-3)))
  // Both the last values are read, so that shared ones have two readers.
  const ends = c.values.slice(-2)
  ends.forEach(({ name }, i) => {
    c.nodes.push({ name: `end${i}`, op: 'Neg', domain: '', inputs: [name], outputs: [`y${i}`], attributes: {} })
  })
  return { op: 'chain', inputs: c.operands, nodes: c.nodes, outputs: ends.length, ownSizes: true }
}

/** A rectifier before a maximum over windows: lowering puts it behind. */
export function rectifiedPool(d: Draw): Case {
  const [kernel, stride] = [d.int(1, 3), d.int(1, 3)]
  const x = d.real([d.int(1, 2), d.int(1, 2), kernel + d.int(0, 3), kernel + d.int(0, 2)])
  const read = nameOf(0, x)
  const relu: Node = { name: 'r', op: 'Relu', domain: '', inputs: [read], outputs: ['r'], attributes: {} }
  const attributes = { kernel_shape: ints([kernel, kernel]), strides: ints([stride, stride]) }
  const pool: Node = { name: 'p', op: 'MaxPool', domain: '', inputs: ['r'], outputs: ['y0'], attributes }
  const other: Node = { name: 'o', op: 'Neg', domain: '', inputs: ['r'], outputs: ['y1'], attributes: {} }
  const both = d.flag()
  return {
    op: 'Relu, MaxPool',
    inputs: [x],
    nodes: both ? [relu, pool, other] : [relu, pool],
    outputs: both ? 2 : 1,
    ownSizes: true,
  }
}
