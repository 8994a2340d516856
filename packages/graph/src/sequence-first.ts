import { sizeOf } from '@pingo/wire'
import type { GraphBuilder, Operation } from './builder.ts'
import { intOf, intsOf } from './model.ts'
import type { Value } from './operator.ts'
import { axisOf, range, sameShape } from './shape.ts'
import { numbersOf } from './tensors.ts'

/** Samples and tokens of values [batch, tokens, …] or [batch · tokens, …]. */
interface Extent {
  batch: number
  tokens: number
}

/**
 * What becomes of an operation's input when its result is laid out sequence first: it is laid out so too (`stream`), has axes that must follow
 * although it broadcasts (`spread`), or stays.
 */
type Role = 'stream' | 'spread' | 'same'

const ELEMENTWISE = new Set(
  [
    'Abs Add And Cast Ceil Clip Cos Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid LeakyRelu Less LessOrEqual Log Max Min',
    'Mod Mul Neg Not Or Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Sqrt Sub Tanh Where',
  ].flatMap((line) => line.split(' ')),
)
const ALONG_AXIS = new Set(['Softmax', 'LogSoftmax', 'LayerNormalization'])
const REDUCTIONS = new Set(['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin'])
const PRODUCTS = new Set(['MatMul', 'FusedMatMul'])

/** How many of a value's first axes are batch and tokens: 2, or 1 where the two are one; undefined where they are not there. */
function leadOf({ shape }: Value, { batch, tokens }: Extent): number | undefined {
  if (shape[0] === batch && shape[1] === tokens) return 2
  return shape[0] === batch * tokens ? 1 : undefined
}

const isInner = (axis: number, v: Value, lead: number) => axisOf(axis, v.shape.length) >= lead
const listOf = (v: Value | undefined): number[] | undefined =>
  v?.data && !v.variable ? Array.from(numbersOf(v.data)) : undefined

/** How an input stands that broadcasts to a result whose first `lead` axes are batch and tokens. */
function aligned(v: Value | undefined, out: Value, lead: number): Role {
  const missing = out.shape.length - (v?.shape.length ?? 0)
  if (!v || missing >= lead) return 'same'
  const first = out.shape.slice(0, lead).map((_, axis) => (axis < missing ? 1 : v.shape[axis - missing]!))
  if (first.every((n) => n === 1)) return 'same'
  return sameShape(first, out.shape.slice(0, lead)) ? 'stream' : 'spread'
}

/** The roles of an operation's inputs; undefined where it does not treat every token of every sample alike. */
function rolesOf({ op, inputs, outputs, attributes }: Operation, extent: Extent): Role[] | undefined {
  const [x, y] = inputs
  const [out] = outputs as [Value]
  const lead = leadOf(out, extent)
  if (!x || lead === undefined || outputs.some((v) => leadOf(v, extent) !== lead)) return undefined
  if (ELEMENTWISE.has(op)) return inputs.map((v) => aligned(v, out, lead))
  const only = (i: number) => inputs.map((_, k): Role => (k === i ? 'stream' : 'same'))
  const axis = intOf(attributes, 'axis', op === 'Gather' || op === 'Split' ? 0 : -1)
  if (op === 'Gather' && axis === 0) return y && leadOf(y, extent) === lead ? only(1) : undefined
  const own = leadOf(x, extent)
  if (op === 'Reshape') return own === undefined ? undefined : only(0)
  if (own !== lead) return undefined
  if (op === 'Concat')
    return isInner(axis, out, lead) && inputs.every((v) => leadOf(v!, extent) === lead)
      ? inputs.map(() => 'stream')
      : undefined
  // A product sums over the last axis: it must not be that of the tokens.
  const sumsWithin = x.shape.length > lead
  if (op === 'Gemm')
    return sumsWithin && !intOf(attributes, 'transA', 0) ? ['stream', 'same', aligned(inputs[2], out, lead)] : undefined
  const axes = op === 'Slice' ? listOf(inputs[3]) : listOf(y)
  const isAlike =
    ALONG_AXIS.has(op) || op === 'Split' || op === 'Gather'
      ? isInner(axis, x, lead)
      : REDUCTIONS.has(op) || op === 'Slice'
        ? axes !== undefined && axes.length > 0 && axes.every((n) => isInner(n, x, lead))
        : op === 'Transpose'
          ? range(lead).every((n) => intsOf(attributes, 'perm')?.[n] === n)
          : PRODUCTS.has(op) &&
            sumsWithin &&
            y?.shape.length === 2 &&
            !['transA', 'transBatchA', 'transBatchB'].some((name) => intOf(attributes, name, 0))
  return isAlike ? only(0) : undefined
}

/** The first two axes exchanged. */
const exchanged = (perm: readonly number[]) => perm.map((axis) => (axis < 2 ? 1 - axis : axis))

/**
 * Whether a transposition cuts [batch, tokens, …heads, size] into matrices for products, so that it need not be done where the tokens come first:
 * the product then reads through it.
 */
function isSplit({ op, inputs: [x], attributes }: Operation): boolean {
  const perm = op === 'Transpose' ? intsOf(attributes, 'perm') : undefined
  if (!x || !perm || perm.length < 4 || x.shape[0] === 1 || x.shape[1] === 1) return false
  const rank = perm.length
  const moved = exchanged(perm)
  const batch = range(rank - 2).map((i) => i + 1)
  return sameShape(moved, [...batch, 0, rank - 1]) || sameShape(moved, [...batch, rank - 1, 0])
}

/** The values that change their layout when those of `seeds` do, and the operations that compute them so. */
function regionOf(seeds: readonly Value[], live: readonly Operation[], extent: Extent) {
  const makers = new Map(live.flatMap((o) => o.outputs.map((v) => [v.name, o] as const)))
  const readers = new Map<string, Operation[]>()
  for (const o of live)
    for (const v of new Set(o.inputs)) if (v) readers.set(v.name, [...(readers.get(v.name) ?? []), o])
  const values = new Map<string, Value>()
  const roles = new Map<Operation, Role[]>()
  const open = [...seeds]
  while (open.length) {
    const v = open.pop()!
    if (values.has(v.name)) continue
    values.set(v.name, v)
    for (const o of [makers.get(v.name), ...(readers.get(v.name) ?? [])]) {
      const own = o && !roles.has(o) ? rolesOf(o, extent) : undefined
      const follows = own && (makers.get(v.name) === o || o!.inputs.some((x, i) => x === v && own[i] === 'stream'))
      if (!own || !follows) continue
      roles.set(o!, own)
      open.push(...o!.outputs, ...o!.inputs.flatMap((x, i) => (x && own[i] === 'stream' ? [x] : [])))
    }
  }
  return { values, roles, makers, readers }
}

/** Elements that need not be moved any more in a step, less those that must be. */
function gainOf({ values, roles, makers, readers }: ReturnType<typeof regionOf>, outputs: ReadonlySet<string>): number {
  let gain = 0
  for (const v of values.values()) {
    const size = sizeOf(v.shape) * (v.dtype === 'float32' ? 2 : 1)
    const maker = makers.get(v.name)
    if (!(maker && (roles.has(maker) || maker.op === 'Transpose')) && !(v.data && !v.variable)) gain -= size
    const others = (readers.get(v.name) ?? []).filter((o) => {
      const own = roles.get(o)
      return !own || o.inputs.some((x, i) => x === v && own[i] !== 'stream')
    })
    const isRead = (o: Operation) => readers.get(o.outputs[0]!.name)?.some(({ op }) => PRODUCTS.has(op))
    gain += size * others.filter((o) => isSplit(o) && isRead(o)).length
    if (outputs.has(v.name) || others.some(({ op }) => op !== 'Transpose')) gain -= size
  }
  return gain
}

/**
 * Lays what a transformer computes out as [tokens, batch, width] where the model says [batch, tokens, width]: products over the heads of an attention then
 * read rows that lie apart, and heads need not be copied together before and after each of them. What treats every token of every sample alike is the
 * same in both layouts; where other operations come in, and where that costs less than it saves, values are transposed.
 * @param outputs what is wanted of the graph
 * @param least elements that must be saved, at least, for it to be done
 * @returns for each of `outputs` the value that holds it now
 */
export function sequenceFirst(b: GraphBuilder, outputs: readonly Value[], least = 1): Value[] {
  const tried = new Set<string>()
  let wanted = [...outputs]
  for (;;) {
    const live = b.live(wanted)
    const seeds = live.filter(isSplit).map(({ inputs }) => inputs[0]!)
    const next = seeds.find(({ shape }) => !tried.has(`${shape[0]},${shape[1]}`))
    if (!next) return wanted
    const [batch, tokens] = next.shape as [number, number]
    tried.add(`${batch},${tokens}`)
    const extent = { batch, tokens }
    const own = seeds.filter((v) => leadOf(v, extent) === 2)
    const region = regionOf(own, live, extent)
    if (gainOf(region, new Set(wanted.map((v) => v.name))) >= least) wanted = moved(b, wanted, live, region, extent)
  }
}

function moved(
  b: GraphBuilder,
  wanted: readonly Value[],
  live: readonly Operation[],
  { values, roles }: ReturnType<typeof regionOf>,
  extent: Extent,
): Value[] {
  const { batch, tokens } = extent
  /** Values of the region, sequence first; and all that is not as it was, batch first. */
  const first = new Map<string, Value>()
  const plain = new Map<string, Value>()
  const turned = (v: Value, from: readonly [number, number], lead: number): Value => {
    const rest = v.shape.slice(lead)
    const apart = b.reshape(v, [...from, ...rest])
    return b.reshape(
      b.transpose(apart, exchanged(range(apart.shape.length))),
      lead === 1 ? v.shape : [from[1], from[0], ...rest],
    )
  }
  const made = (v: Value, map: Map<string, Value>, make: () => Value): Value => {
    if (!map.has(v.name)) map.set(v.name, make())
    return map.get(v.name)!
  }
  const plainOf = (v: Value): Value =>
    values.has(v.name) && first.has(v.name)
      ? made(v, plain, () => turned(first.get(v.name)!, [tokens, batch], leadOf(v, extent)!))
      : (plain.get(v.name) ?? v)
  const firstOf = (v: Value): Value => made(v, first, () => turned(plainOf(v), [batch, tokens], leadOf(v, extent)!))
  /** An input that broadcasts, with an axis for batch and one for tokens. */
  const spread = (v: Value, rank: number): Value => {
    const whole = b.reshape(plainOf(v), [...range(rank - v.shape.length).map(() => 1), ...v.shape])
    return b.transpose(whole, exchanged(range(rank)))
  }
  for (const operation of live) {
    const { op, inputs, outputs, attributes, origin } = operation
    const own = roles.get(operation)
    if (!own && !inputs.some((v) => v && (values.has(v.name) || plain.has(v.name)))) continue
    b.origin = origin
    const [out] = outputs as [Value]
    const given = inputs.map((v, i) => {
      if (!v || !own) return v && plainOf(v)
      if (op === 'Reshape' && i === 1)
        return b.ints(leadOf(out, extent) === 1 ? out.shape : [tokens, batch, ...out.shape.slice(2)])
      return own[i] === 'stream' ? firstOf(v) : own[i] === 'spread' ? spread(v, out.shape.length) : plainOf(v)
    })
    const results = b.emit(op, given, attributes)
    for (const [i, v] of outputs.entries()) {
      const result = results[i]!
      ;(own ? first : plain).set(v.name, result)
      const label = b.labelOf(v)
      if (label !== undefined) b.label(result, label)
    }
  }
  b.origin = ''
  return wanted.map(plainOf)
}
