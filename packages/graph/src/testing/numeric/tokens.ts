import { type Attributes, float, int, ints } from '../../model.ts'
import { Chain, type Named } from './chain.ts'
import { type Case, type Draw, floats32, ints64 } from './draw.ts'

/** [batch, tokens, width], cut into heads of `size`. */
interface Extent {
  heads: number
  size: number
}

/** One change to a value [batch, tokens, width]. */
type Step = (c: Chain, d: Draw, x: Named, e: Extent) => Named

/** Small numbers, so that softmaxes are far from their limits. */
const SMALL = { low: -1, high: 1 }

const linear = (c: Chain, d: Draw, x: Named, to: number): Named =>
  c.node('MatMul', [x.name, c.operand(d.real([x.shape.at(-1)!, to], SMALL))], x.shape.with(-1, to))

const bend: Step = (c, d, x) => c.node(d.pick('Tanh', 'Sigmoid', 'Neg', 'Gelu'), [x.name], x.shape)

/** What broadcasts along batch, tokens, both or neither. */
const broadcast: Step = (c, d, x) => {
  const [batch, tokens, width] = x.shape as [number, number, number]
  const shape = d.pick(
    [],
    [width],
    [1, 1, width],
    [tokens, width],
    [1, tokens, width],
    [batch, 1, width],
    [tokens, 1],
    [batch, 1, 1],
    [batch, tokens, 1],
    [batch, tokens, width],
  )
  const other = c.operand(d.flag() ? d.real(shape, SMALL) : d.fixed(shape, SMALL))
  return c.node(d.pick('Add', 'Sub', 'Mul'), d.flag() ? [x.name, other] : [other, x.name], x.shape)
}

const past: Step = (c, d, x) => {
  const before = d.pick(...c.values.filter(({ shape }) => shape.join() === x.shape.join()))
  return c.node(d.pick('Add', 'Mul'), [x.name, before.name], x.shape)
}

/** A product with one row for every token. */
const flat: Step = (c, d, x) => {
  const [batch, tokens, width] = x.shape as [number, number, number]
  const rows = c.node('Reshape', [x.name, c.operand(ints64([-1, width]))], [batch * tokens, width])
  const bias = d.pick([width], [1, width], [batch * tokens, 1], [batch * tokens, width], [])
  const product = c.node(
    'Gemm',
    [rows.name, c.operand(d.real([width, width], SMALL)), c.operand(d.real(bias, SMALL))],
    [batch * tokens, width],
    { transB: int(+d.flag()), alpha: float(0.5) },
  )
  const bent = d.flag() ? c.node('Tanh', [product.name], product.shape) : product
  return c.node('Reshape', [bent.name, c.operand(ints64(x.shape))], x.shape)
}

const normalised: Step = (c, d, x) => {
  const width = x.shape[2]!
  if (d.flag()) {
    const mean = c.node('ReduceMean', [x.name, c.operand(ints64([d.pick(2, -1)]))], x.shape.with(2, 1), {
      keepdims: int(1),
    })
    return c.node('Sub', [x.name, mean.name], x.shape)
  }
  const inputs = [x.name, c.operand(d.real([width], SMALL)), c.operand(d.real([width], SMALL))]
  return c.node('LayerNormalization', inputs, x.shape, { axis: int(d.pick(-1, 2)), epsilon: float(0.1) })
}

/** Halves of each token exchanged. */
const halves: Step = (c, _, x) => {
  const [half, width] = [x.shape[2]! / 2, x.shape[2]!]
  const part = (from: number, to: number) =>
    c.node('Slice', [x.name, ...[[from], [to], [2]].map((list) => c.operand(ints64(list)))], x.shape.with(2, to - from))
  return c.node('Concat', [part(half, width).name, part(0, half).name], x.shape, { axis: int(2) })
}

/** What does not treat tokens or samples alike. */
const mixing: Step = (c, d, x) => {
  const [axis, kind] = [d.int(0, 1), d.int(0, 2)]
  if (kind === 0) {
    const pairs = x.shape.slice(0, 2)
    const means = c.node('ReduceMean', [x.name, c.operand(ints64([2]))], pairs, { keepdims: int(0) })
    const gates = linear(c, d, means, x.shape[1]!)
    const open = c.node('Reshape', [gates.name, c.operand(ints64([...pairs, 1]))], x.shape.with(2, 1))
    return c.node('Mul', [x.name, open.name], x.shape)
  }
  if (kind === 1) return c.node('Softmax', [x.name], x.shape, { axis: int(axis) })
  const mean = c.node('ReduceMean', [x.name, c.operand(ints64([axis]))], x.shape.with(axis, 1), { keepdims: int(1) })
  return c.node('Add', [x.name, mean.name], x.shape)
}

const attention: Step = (c, d, x, { heads, size }) => {
  const [batch, tokens, width] = x.shape as [number, number, number]
  const cut = (y: Named, perm: number[]) => {
    const shape = [batch, tokens, heads, size]
    const split = c.node('Reshape', [y.name, c.operand(ints64(d.flag() ? shape : [0, 0, heads, size]))], shape)
    return c.node(
      'Transpose',
      [split.name],
      perm.map((axis) => shape[axis]!),
      { perm: ints(perm) },
    )
  }
  const [q, k, v] = [0, 1, 2].map(() => (d.flag() ? x : linear(c, d, x, width))) as [Named, Named, Named]
  const late = d.flag()
  let keys = cut(k, late ? [0, 2, 1, 3] : [0, 2, 3, 1])
  const square = [batch, heads, tokens, tokens]
  if (late) keys = c.node('Transpose', [keys.name], [batch, heads, size, tokens], { perm: ints([0, 1, 3, 2]) })
  const scores = c.node('MatMul', [cut(q, [0, 2, 1, 3]).name, keys.name], square)
  const scaled = c.node('Mul', [scores.name, c.operand(floats32([0.5], []))], square)
  const weights = c.node('Softmax', [scaled.name], square, { axis: int(-1) })
  const mixed = c.node('MatMul', [weights.name, cut(v, [0, 2, 1, 3]).name], [batch, heads, tokens, size])
  const back = c.node('Transpose', [mixed.name], [batch, tokens, heads, size], { perm: ints([0, 2, 1, 3]) })
  return c.node('Reshape', [back.name, c.operand(ints64([batch, tokens, width]))], x.shape)
}

const STEPS = [bend, broadcast, broadcast, past, flat, normalised, halves, mixing, attention]

/** A random network over sequences with one attention at least, which may be laid out sequence first. */
export function tokens(d: Draw): Case {
  const c = new Chain()
  const e = { heads: d.int(1, 2), size: 2 }
  const width = e.heads * e.size
  const shape = [d.int(1, 3), d.int(1, 3), width]
  let x: Named
  if (d.flag()) {
    const table = c.operand(d.real([3, width], SMALL))
    x = c.node('Gather', [table, c.operand(d.whole(shape.slice(0, 2), 0, 2))], shape)
  } else c.values.push((x = { name: c.operand(d.real(shape, SMALL)), shape }))
  const steps = Array.from({ length: d.int(1, 5) }, () => d.pick(...STEPS))
  steps.splice(d.int(0, steps.length), 0, attention)
  for (const step of steps) x = step(c, d, x, e)
  const [op, inputs, attributes] = d.pick<[string, string[], Attributes]>(
    ['Neg', [x.name], {}],
    ['Gather', [x.name, c.operand(ints64([0]))], { axis: int(1) }],
    ['ReduceMean', [x.name, c.operand(ints64([1]))], { keepdims: int(0) }],
  )
  c.nodes.push({ name: 'end', op, domain: '', inputs, outputs: ['y0'], attributes })
  return {
    op: 'tokens',
    inputs: c.operands,
    nodes: c.nodes,
    outputs: 1,
    opset: 20,
    ownSizes: true,
    sequenceFirst: d.int(0, 3) > 0,
  }
}
