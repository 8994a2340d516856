import assert from 'node:assert/strict'
import { isPinGoError, type Tensor } from '@pingo/wire'
import { GraphBuilder } from '../../builder.ts'
import { differentiate } from '../../differentiate.ts'
import { importModel } from '../../import.ts'
import { inferShapes } from '../../infer-shapes.ts'
import type { Attribute, Attributes, Model } from '../../model.ts'
import type { Value } from '../../operator.ts'
import { allowedOperators } from '../../operators/index.ts'
import { parseModel } from '../../proto/read.ts'
import { writeModel } from '../../proto/write.ts'
import { sequenceFirst } from '../../sequence-first.ts'
import { tensorOf } from '../../tensors.ts'
import { fromTensor, interpret, type Ref } from '../interpreter/index.ts'
import { kindOf } from '../interpreter/tensor.ts'
import { runOnce } from '../runtime.ts'
import { centralDifferences, relative } from './differences.ts'
import { type Case, describe, nameOf, type Operand } from './draw.ts'

/** The emitted graph in double precision; what is left are constants that were rounded to float32. */
export const FORMULA_TOLERANCE = 1e-6
/** The emitted graph in the runtime's float32. */
export const FORWARD_TOLERANCE = 1e-5
export const GRADIENT_TOLERANCE = 1e-4

const outputNames = ({ outputs = 1 }: Case) => Array.from({ length: outputs }, (_, i) => `y${i}`)

const attributesOf = ({ attributes = {} }: Case): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter((entry): entry is [string, Attribute] => entry[1] !== undefined))

/** The operator as a model of one node. */
export function modelOf(c: Case): Model {
  const names = c.inputs.map((x, i) => (x ? nameOf(i, x) : ''))
  const named = c.inputs.flatMap((x, i) => (x ? [[names[i]!, x] as const] : []))
  return {
    irVersion: 8,
    opset: c.opset ?? 18,
    producer: 'pingo',
    metadata: {},
    graph: {
      name: 'case',
      nodes: c.nodes ?? [
        {
          name: 'node',
          op: c.op,
          domain: '',
          inputs: names,
          outputs: outputNames(c),
          attributes: attributesOf(c),
        },
      ],
      inputs: named
        .filter(([, x]) => x.role === 'input')
        .map(([name, { tensor }]) => ({ name, dtype: tensor.dtype, shape: [...tensor.shape] })),
      outputs: outputNames(c).map((name) => ({ name, dtype: 'float32', shape: [] })),
      initializers: new Map(named.filter(([, x]) => x.role !== 'input').map(([name, x]) => [name, x.tensor])),
    },
  }
}

const differentiable = (x: Operand | undefined): x is Operand =>
  x !== undefined && x.tensor.dtype === 'float32' && (x.role === 'input' || x.role === 'weight')

/** Sums outputs against fixed numbers, so that one scalar depends on all of them. */
const weighted = (outputs: readonly Ref[], cotangents: readonly Ref[]): number =>
  outputs.reduce((sum, y, i) => y.data.reduce((s, value, j) => s + value * cotangents[i]!.data[j]!, sum), 0)

/**
 * Checks one operator: types, forward values and gradients of what PinGo emits, against the reference interpreter and its central
 * differences; the emitted graph is evaluated in double precision (its formulas) and by the runtime (what users get).
 */
export async function check(c: Case): Promise<void> {
  try {
    await compare(c)
    if (!c.training) checkFolding(c)
    if (!c.ownSizes) checkSymbols(c)
  } catch (error) {
    throw new Error(`${describe(c)}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

async function compare(c: Case): Promise<void> {
  const model = modelOf(c)
  const given = new Map(c.inputs.flatMap((x, i) => (x ? [[nameOf(i, x), x.tensor] as const] : [])))
  const exact = new Map([...given].map(([name, tensor]) => [name, fromTensor(tensor)]))
  const evaluate = (feeds: ReadonlyMap<string, Ref>) => interpret(model, feeds, { training: c.training })
  const truth = evaluate(exact)
  const names = outputNames(c)

  const b = new GraphBuilder()
  const inputs = new Map(
    model.graph.inputs.map(({ name, dtype }) => [name, b.input(name, dtype, given.get(name)!.shape)]),
  )
  const imported = importModel(b, model, inputs, { training: c.training ?? false })
  const leaf = (name: string) => inputs.get(name) ?? imported.weights.get(name)
  const made = sequenceFirst(
    b,
    names.map((name) => imported.values.get(name)!),
    c.sequenceFirst ? Number.NEGATIVE_INFINITY : undefined,
  )
  made.forEach((value, i) => {
    sameType(value, truth.get(names[i]!)!, names[i]!)
  })

  const carries = names.map((_, i) => made[i]!.dtype === 'float32' && !c.undifferentiated?.includes(i))
  const cotangents = made.map((value, i) =>
    tensorOf(
      'float32',
      value.shape,
      Array.from({ length: value.shape.reduce((p, n) => p * n, 1) }, (_, j) =>
        Math.fround(0.4 + (((i + 1) * 0.37 + j * 0.618) % 1) * (j % 2 ? -1.3 : 1.1)),
      ),
    ),
  )
  const seeds = made.flatMap((value, i): [Value, Value][] =>
    carries[i] ? [[value, b.input(`r${i}`, 'float32', value.shape)]] : [],
  )
  const variables = c.inputs.flatMap((x, i) => (differentiable(x) && leaf(nameOf(i, x)) ? [nameOf(i, x)] : []))
  const found = differentiate(
    b,
    seeds,
    variables.map((name) => leaf(name)!),
  )
  const outputs: [string, Value][] = [
    ...names.map((name, i): [string, Value] => [`out.${name}`, made[i]!]),
    ...variables.flatMap((name): [string, Value][] => (found.has(name) ? [[`grad.${name}`, found.get(name)!]] : [])),
  ]
  const bytes = writeModel(b.finish('case', outputs, [...imported.weights.values()]))
  const emitted = parseModel(bytes)
  assert.deepEqual(
    emitted.graph.nodes.map(({ op }) => op).filter((op) => !allowedOperators.includes(op)),
    [],
  )

  const feeds = new Map<string, Tensor>(given)
  for (const [name, { data }] of imported.weights) if (!feeds.has(name)) feeds.set(name, data!)
  cotangents.forEach((tensor, i) => {
    if (carries[i]) feeds.set(`r${i}`, tensor)
  })
  const double = interpret(emitted, new Map([...feeds].map(([name, tensor]) => [name, fromTensor(tensor)])))
  const single = await runOnce(bytes, feeds)

  for (const name of names) {
    const expected = truth.get(name)!
    near('in double precision', name, double.get(`out.${name}`)!.data, expected.data, FORMULA_TOLERANCE, 0.1)
    near('by the runtime', name, numbers(single.get(`out.${name}`)!), expected.data, FORWARD_TOLERANCE, 0.1)
  }
  const seeded = cotangents.map(fromTensor)
  const loss = (feeds: ReadonlyMap<string, Ref>) => {
    const values = evaluate(feeds)
    const kept = names.filter((_, i) => carries[i])
    return weighted(
      kept.map((name) => values.get(name)!),
      seeded.filter((_, i) => carries[i]),
    )
  }
  if (!seeds.length) return
  for (const name of variables) {
    const numeric = centralDifferences(loss, exact, name)
    const key = `grad.${name}`
    const zeros = new Float64Array(numeric.length)
    near('in double precision', key, double.get(key)?.data ?? zeros, numeric, FORMULA_TOLERANCE, 0.1)
    near('by the runtime', key, found.has(name) ? numbers(single.get(key)!) : zeros, numeric, GRADIENT_TOLERANCE, 0.1)
  }
}

const numbers = ({ data }: Tensor): Float64Array => Float64Array.from(data as Iterable<number | bigint>, Number)

function near(
  how: string,
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  limit: number,
  scale: number,
): void {
  const far = relative(actual, expected, scale)
  if (!(far <= limit))
    throw new Error(
      `${name} ${how} is off by ${far.toExponential(2)} (limit ${limit}): ${short(actual)} instead of ${short(expected)}`,
    )
}

const short = (values: ArrayLike<number>) =>
  `[${Array.from(values)
    .slice(0, 24)
    .map((x) => +x.toPrecision(7))
    .join(', ')}${values.length > 24 ? ', …' : ''}]`

function sameType(value: Value, expected: Ref, name: string): void {
  assert.deepEqual([...value.shape], [...expected.shape], `the shape of ${name}`)
  assert.equal(kindOf(value.dtype), expected.kind, `the type of ${name}`)
  // What the builder believes to know of a value's elements must be what they are.
  if (value.data) near('as known while building', name, numbers(value.data), expected.data, FORWARD_TOLERANCE, 0.1)
}

/** With constants for all inputs, what folding makes is what the operator gives, up to float32's rounding of it. */
function checkFolding(c: Case): void {
  const fixed = (x: Operand): Operand => ({ ...x, role: 'constant' })
  const renamed = new Map(c.inputs.flatMap((x, i) => (x ? [[nameOf(i, x), nameOf(i, fixed(x))] as const] : [])))
  const nodes = c.nodes?.map((n) => ({ ...n, inputs: n.inputs.map((name) => renamed.get(name) ?? name) }))
  const model = modelOf({ ...c, inputs: c.inputs.map((x) => x && fixed(x)), ...(nodes ? { nodes } : {}) })
  const truth = interpret(model, new Map())
  const b = new GraphBuilder()
  const { values } = importModel(b, model, new Map(), { training: false })
  const outputs = outputNames(c).map((name): [string, Value] => [name, values.get(name)!])
  const emitted = parseModel(writeModel(b.finish('folded', outputs)))
  const result = interpret(emitted, new Map())
  for (const [name, value] of outputs) {
    sameType(value, truth.get(name)!, `${name} of constants`)
    near('of constants', name, result.get(name)!.data, truth.get(name)!.data, FORWARD_TOLERANCE, 0.1)
  }
}

const SYMBOL = /^(?:(\d+)\*)?n([+-]\d+)?$/
/** How often a symbolic shape could be compared, by whether it could. */
export const symbolic = { compared: 0, impossible: 0 }

/** A first axis that is left open: what inferShapes says of it holds at sizes it has not tried. */
function checkSymbols(c: Case): void {
  const first = c.inputs.findIndex((x) => differentiable(x) && x.tensor.shape.length > 0)
  if (first < 0) return
  const old = c.inputs[first]!.tensor.shape[0]!
  // Inputs of the same rank whose first axis is as long are batches too.
  const rank = c.inputs[first]!.tensor.shape.length
  const open = c.inputs.map(
    (x, i) =>
      i === first ||
      (differentiable(x) && x.role === 'input' && x.tensor.shape.length === rank && x.tensor.shape[0] === old),
  )
  const sized = (n: number): Case => ({
    ...c,
    inputs: c.inputs.map((x, i) => {
      if (!x || !open[i]) return x
      const shape = x.tensor.shape.with(0, n)
      return {
        role: 'input',
        tensor: tensorOf('float32', shape, new Array(shape.reduce((p, m) => p * m, 1)).fill(0.5)),
      }
    }),
  })
  const model = modelOf(sized(1))
  const opened: Model = {
    ...model,
    graph: {
      ...model.graph,
      inputs: model.graph.inputs.map((info) => ({
        ...info,
        shape: c.inputs.some((x, i) => open[i] && nameOf(i, { ...x!, role: 'input' }) === info.name)
          ? info.shape.with(0, 'n')
          : info.shape,
      })),
    },
  }
  let inferred: ReturnType<typeof inferShapes>
  try {
    inferred = inferShapes(opened)
  } catch (error) {
    if (!isPinGoError(error)) throw error
    symbolic.impossible++
    return
  }
  for (const n of [17, 36]) {
    const concrete = sized(n)
    let actual: Map<string, Ref>
    try {
      actual = interpret(
        modelOf(concrete),
        new Map(concrete.inputs.flatMap((x, i) => (x ? [[nameOf(i, x), fromTensor(x.tensor)]] : []))),
        { training: c.training },
      )
    } catch {
      continue
    }
    for (const name of outputNames(c)) {
      const told = inferred.get(name)?.shape
      if (!told) continue
      const real = actual.get(name)!.shape
      assert.equal(told.length, real.length, `the rank of ${name} with an open axis`)
      told.forEach((dimension, axis) => {
        if (typeof dimension === 'string' && dimension === '') return
        const [, factor = '1', plus = '0'] = typeof dimension === 'string' ? (SYMBOL.exec(dimension) ?? []) : []
        const size = typeof dimension === 'number' ? dimension : Number(factor) * n + Number(plus)
        assert.equal(size, real[axis], `axis ${axis} of ${name} is said to be ${dimension}, at n = ${n}`)
      })
      symbolic.compared++
    }
  }
}
