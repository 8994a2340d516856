import { type DType, PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { CAST_CODES } from './casts.ts'
import {
  type Attribute,
  type Attributes,
  CONTRIB_DOMAIN,
  EMITTED_CONTRIB,
  EMITTED_OPSET,
  float,
  int,
  ints,
  type Model,
  type Node,
  type ValueInfo,
} from './model.ts'
import type { Type, Value, Values } from './operator.ts'
import { operators } from './operators/index.ts'
import { MAX_TENSOR_RANK } from './proto/tensor.ts'
import { broadcast, broadcastAxes, range, sameShape } from './shape.ts'
import { simplify } from './simplify.ts'
import { tensorOf } from './tensors.ts'

/** Largest constant (elements) that folding makes: beyond it the runtime folds faster, and the graph's file would grow. */
export const MAX_FOLDED_ELEMENTS = 1 << 16
/** Elements that folding handles in one graph. */
const MAX_TOTAL_FOLDED_ELEMENTS = 1 << 23
/** Largest value of a graph, elements: a step must fit a machine's memory. */
const MAX_VALUE_ELEMENTS = 2 ** 31
/** Largest value (elements) whose initial elements are kept known although it depends on weights: a shape or scale made of constants. */
const MAX_KNOWN_ELEMENTS = 64

/** A runtime turns the first factor of a product around for every so many columns of the result. */
const STRIP = 128

/** Names that the builder makes up. */
const GENERATED_NAME = /^[cv]:\d+$/
/** Operators that must name all their outputs: a Split's number is that of its parts, batch statistics come with running ones. */
const NAMES_ALL = new Set(['Split', 'BatchNormalization'])

/** One emitted operation. */
export interface Operation {
  op: string
  inputs: Values
  attributes: Attributes
  outputs: Value[]
  /** Name of the user's node it stems from. */
  origin: string
}

/**
 * Builds a graph of opset 18 with static shapes. While it builds, it infers types, folds constants, drops operations that do
 * nothing and shares equal ones; {@link finish} removes dead code.
 */
export class GraphBuilder {
  readonly operations: Operation[] = []
  /** Operation that makes a value, by the value's name. */
  readonly producers = new Map<string, Operation>()
  readonly #inputs = new Map<string, Value>()
  readonly #constants = new Map<string, Value>()
  readonly #known = new Map<string, Value[]>()
  readonly #names = new Set<string>()
  readonly #reserved = new Set<string>()
  #next = 0
  #foldedElements = 0
  readonly #labels = new Map<string, string>()
  /** Name of the user's node being translated, for messages. */
  origin = ''

  /** A graph input of that very name. */
  input(name: string, dtype: DType, shape: readonly number[]): Value {
    if (this.#names.has(name)) throw taken(name)
    const value: Value = { name, dtype, shape: [...shape], variable: true }
    this.#names.add(name)
    this.#inputs.set(name, value)
    return value
  }

  /** Keeps a name free of what the builder makes up. */
  reserve(name: string): void {
    this.#reserved.add(name)
  }

  /** A weight that training may change: known at the start, not folded. It becomes an input or an initialiser in {@link finish}. */
  weight(name: string, data: Tensor): Value {
    if (this.#names.has(name)) throw taken(name)
    this.#names.add(name)
    return { name, dtype: data.dtype, shape: data.shape, data, variable: true }
  }

  /** The name that a value gets in the finished graph where it is free: that in the user's model. The first label stands. */
  label(value: Value, name: string): void {
    if (this.producers.has(value.name) && !this.#labels.has(value.name)) this.#labels.set(value.name, name)
  }

  labelOf(value: Value): string | undefined {
    return this.#labels.get(value.name)
  }

  /** A constant; equal small ones are shared. */
  constant(data: Tensor): Value {
    const key = sizeOf(data.shape) <= 64 ? `${data.dtype}|${data.shape.join()}|${data.data.join()}` : undefined
    const known = key === undefined ? undefined : this.#constants.get(key)
    if (known) return known
    const value: Value = { name: this.#fresh('c'), dtype: data.dtype, shape: data.shape, data, variable: false }
    if (key !== undefined) this.#constants.set(key, value)
    return value
  }

  /** A float32 scalar, shape []. */
  scalar(value: number): Value {
    return this.constant(tensorOf('float32', [], [value]))
  }

  /** A 1-D int64 constant. */
  ints(values: readonly number[]): Value {
    return this.constant(tensorOf('int64', [values.length], values))
  }

  /** float32 zeros (or another value), made when the graph runs. */
  filled(shape: readonly number[], value = 0): Value {
    if (sizeOf(shape) <= 64) return this.constant(tensorOf('float32', shape, new Array(sizeOf(shape)).fill(value)))
    return this.#append(
      'ConstantOfShape',
      [this.ints(shape)],
      { value: { type: 'tensor', value: tensorOf('float32', [1], [value]) } },
      [{ dtype: 'float32', shape }],
    )[0]!
  }

  /**
   * Emits an operation and returns its outputs.
   * @throws PinGoError GRAPH_SHAPE_MISMATCH when types do not fit
   */
  emit(op: string, inputs: Values, attributes: Attributes = {}): Value[] {
    const rule = operators.get(op)
    const simpler = simplify(this, op, inputs, attributes) ?? rule?.simplify?.(this, inputs, attributes)
    if (simpler) return [simpler]
    if (!rule?.infer) throw new PinGoError('GRAPH_UNSUPPORTED', `The operator ${op} cannot be emitted.`)
    const types = rule.infer({ op, inputs, attributes })
    for (const { shape } of types) checkSize(shape)
    const folded = this.#fold(op, inputs, attributes, types)
    if (folded && !folded.variable) return [this.constant(folded.data)]
    return this.#append(op, inputs, attributes, types, folded?.data)
  }

  /** {@link emit} for the one or first output. */
  one(op: string, inputs: Values, attributes: Attributes = {}): Value {
    return this.emit(op, inputs, attributes)[0]!
  }

  /** The output's elements where all inputs' are known; `variable` when a weight is among them. */
  #fold(
    op: string,
    inputs: Values,
    attributes: Attributes,
    types: Type[],
  ): { data: Tensor; variable: boolean } | undefined {
    const fold = operators.get(op)?.fold
    if (!fold || types.length !== 1 || inputs.some((v) => v && !v.data)) return undefined
    const variable = inputs.some((v) => v?.variable)
    if (sizeOf(types[0]!.shape) > (variable ? MAX_KNOWN_ELEMENTS : MAX_FOLDED_ELEMENTS)) return undefined
    // What folding reads and writes is bounded over the whole graph, so that a hostile one cannot keep it busy.
    const work = [...inputs, types[0]].reduce((sum, v) => sum + (v ? sizeOf(v.shape) : 0), 0)
    if ((this.#foldedElements += work) > MAX_TOTAL_FOLDED_ELEMENTS) return undefined
    const data = fold({ op, inputs, attributes, types, tensors: inputs.map((v) => v?.data) })
    return data && { data, variable }
  }

  #append(op: string, inputs: Values, attributes: Attributes, types: readonly Type[], data?: Tensor): Value[] {
    const key = `${op}|${inputs.map((v) => v?.name ?? '').join('|')}|${attributesKey(attributes)}`
    const known = this.#known.get(key)
    if (known) return known
    const outputs = types.map(({ dtype, shape }) => ({
      name: this.#fresh('v'),
      dtype,
      shape: [...shape],
      ...(data ? { data } : {}),
      variable: true,
    }))
    const operation: Operation = { op, inputs, attributes, outputs, origin: this.origin }
    this.operations.push(operation)
    for (const output of outputs) this.producers.set(output.name, operation)
    this.#known.set(key, outputs)
    return outputs
  }

  /** An operation once more on the inputs given, with results of its own: {@link emit} would share those of the first. */
  repeat({ op, attributes, outputs, origin }: Operation, inputs: Values): Operation {
    const again: Operation = {
      op,
      inputs,
      attributes,
      outputs: outputs.map((v) => ({ ...v, name: this.#fresh('v') })),
      origin,
    }
    for (const output of again.outputs) this.producers.set(output.name, again)
    return again
  }

  #fresh(letter: string): string {
    let name: string
    do name = `${letter}:${this.#next++}`
    while (this.#names.has(name) || this.#reserved.has(name))
    return name
  }

  // What gradients are written with.
  add = (a: Value, b: Value): Value => this.one('Add', [a, b])
  sub = (a: Value, b: Value): Value => this.one('Sub', [a, b])
  mul = (a: Value, b: Value): Value => this.one('Mul', [a, b])
  div = (a: Value, b: Value): Value => this.one('Div', [a, b])
  scale = (a: Value, by: number): Value => this.one('Mul', [a, this.scalar(by)])
  where = (condition: Value, a: Value, b: Value): Value => this.one('Where', [condition, a, b])
  reshape = (x: Value, shape: readonly number[]): Value => this.one('Reshape', [x, this.ints(shape)])
  transpose = (x: Value, perm: readonly number[]): Value => this.one('Transpose', [x], { perm: ints(perm) })
  matmul = (a: Value, b: Value): Value => this.one('MatMul', [a, b])
  concat = (parts: readonly Value[], axis: number): Value => this.one('Concat', parts, { axis: int(axis) })
  cast = (x: Value, dtype: DType): Value => this.one('Cast', [x], { to: int(CAST_CODES[dtype]!) })

  /** Matrix products with transposes folded in; batch axes broadcast. */
  fusedMatmul(a: Value, b: Value, transA: boolean, transB: boolean, alpha = 1): Value {
    if (!transA && !transB && alpha === 1) return this.matmul(a, b)
    return this.one('FusedMatMul', [a, b], { transA: int(+transA), transB: int(+transB), alpha: float(alpha) })
  }

  gemm(a: Value, b: Value, transA: boolean, transB: boolean, alpha = 1): Value {
    const columns = b.shape[transB ? 0 : 1]!
    // Turned around once, before, it takes an eighth less time for 768 × 3072; and the turned one may serve several products.
    if (transA && columns >= STRIP && a.shape[1]! <= columns)
      return this.gemm(this.transpose(a, [1, 0]), b, false, transB, alpha)
    return this.one('Gemm', [a, b], { transA: int(+transA), transB: int(+transB), alpha: float(alpha), beta: float(1) })
  }

  /** Sum over axes (all when not given). */
  sum(x: Value, axes: readonly number[] = range(x.shape.length), keepdims = false): Value {
    return this.one('ReduceSum', [x, this.ints(axes)], { keepdims: int(+keepdims) })
  }

  mean(x: Value, axes: readonly number[], keepdims = false): Value {
    return this.one('ReduceMean', [x, this.ints(axes)], { keepdims: int(+keepdims) })
  }

  expand(x: Value, shape: readonly number[]): Value {
    return sameShape(x.shape, shape) ? x : this.one('Expand', [x, this.ints(shape)])
  }

  /** Elements start, start+step, … before end, for each axis given. */
  slice(
    x: Value,
    axes: readonly number[],
    starts: readonly number[],
    ends: readonly number[],
    steps?: readonly number[],
  ): Value {
    const list = [x, this.ints(starts), this.ints(ends), this.ints(axes), this.ints(steps ?? axes.map(() => 1))]
    return this.one('Slice', list)
  }

  /** Zeros (or `value`) around: `before` and `after` for every axis. */
  pad(x: Value, before: readonly number[], after: readonly number[], value = 0): Value {
    const pads = this.ints([...before, ...after])
    return this.one('Pad', value === 0 ? [x, pads] : [x, pads, this.scalar(value)])
  }

  /** Sums `g` over the axes along which a tensor of `shape` was broadcast. */
  unbroadcast(g: Value, shape: readonly number[]): Value {
    if (sameShape(g.shape, shape)) return g
    const wide = broadcast(g.shape, shape)
    const axes = broadcastAxes(shape, wide)
    if (!axes.length) return this.reshape(g, shape)
    const whole = this.expand(g, wide)
    const [size, isLeading] = [sizeOf(shape), axes.every((axis, i) => axis === i)]
    // Rows are added by a product with ones in two thirds of the time of a ReduceSum.
    if (isLeading && size > 1 && g.dtype === 'float32') {
      const rows = sizeOf(wide) / size
      return this.reshape(this.matmul(this.filled([1, rows], 1), this.reshape(whole, [rows, size])), shape)
    }
    return this.reshape(this.sum(whole, axes), shape)
  }

  /**
   * The graph as a model: operations that no output needs are left out. A node is named `origin:value`, so that whoever runs the graph can
   * say which node of the user's it stems from.
   * @param outputs values by the name they get; @param weights weights that become inputs (in this order); the others that
   * are used become initialisers; @param live the operations in the order in which they are written
   */
  finish(
    name: string,
    outputs: readonly (readonly [string, Value])[],
    weights: readonly Value[] = [],
    live: readonly Operation[] = this.live(outputs.map(([, value]) => value)),
  ): Model {
    const used = new Set(live.flatMap((o) => o.inputs.map((v) => v?.name)).concat(outputs.map(([, v]) => v.name)))
    const names = new Map<string, string>()
    const nodes: Node[] = []
    for (const [output, value] of outputs) {
      const free = this.producers.has(value.name) && !names.has(value.name)
      if (free) names.set(value.name, output)
    }
    const rename = (v: Value | undefined) => (v ? (names.get(v.name) ?? v.name) : '')
    const initializers = new Map<string, Tensor>()
    const inputs = new Map<string, ValueInfo>()
    const keep = (v: Value | undefined) => {
      if (v?.data && !this.producers.has(v.name) && !inputs.has(v.name)) initializers.set(v.name, v.data)
    }
    const inform = (v: Value) => inputs.set(v.name, { name: v.name, dtype: v.dtype, shape: [...v.shape] })
    for (const weight of weights) inform(weight)
    for (const input of this.#inputs.values()) inform(input)
    for (const [output] of outputs) if (inputs.has(output)) throw taken(output)
    const given = new Set([...inputs.keys(), ...this.#names, ...this.#reserved, ...outputs.map(([output]) => output)])
    for (const v of live.flatMap((operation) => operation.outputs)) {
      const label = this.#labels.get(v.name)
      if (label === undefined || names.has(v.name) || given.has(label) || GENERATED_NAME.test(label)) continue
      names.set(v.name, label)
      given.add(label)
    }
    for (const operation of live) {
      for (const v of operation.inputs) keep(v)
      nodes.push({
        name: [...(operation.origin ? [operation.origin] : []), operation.outputs[0]!.name].join(':'),
        op: operation.op,
        domain: EMITTED_CONTRIB.includes(operation.op) ? CONTRIB_DOMAIN : '',
        inputs: trimmed(operation.inputs.map(rename)),
        outputs: trimmed(
          operation.outputs.map((v, k) =>
            k === 0 || used.has(v.name) || NAMES_ALL.has(operation.op) ? rename(v) : '',
          ),
        ),
        attributes: operation.attributes,
      })
    }
    for (const [output, value] of outputs)
      if (names.get(value.name) !== output) {
        keep(value)
        nodes.push({
          name: output,
          op: 'Identity',
          domain: '',
          inputs: [rename(value)],
          outputs: [output],
          attributes: {},
        })
      }
    const info = ([output, v]: readonly [string, Value]): ValueInfo => ({
      name: output,
      dtype: v.dtype,
      shape: [...v.shape],
    })
    return {
      irVersion: 8,
      opset: EMITTED_OPSET,
      producer: 'pingo',
      metadata: {},
      graph: { name, nodes, inputs: [...inputs.values()], outputs: outputs.map(info), initializers },
    }
  }

  /** The operations that `outputs` need, in order. */
  live(outputs: readonly Value[]): Operation[] {
    const needed = new Set(outputs.map((v) => v.name))
    const live: Operation[] = []
    for (let i = this.operations.length - 1; i >= 0; i--) {
      const operation = this.operations[i]!
      if (!operation.outputs.some((v) => needed.has(v.name))) continue
      for (const v of operation.inputs) if (v) needed.add(v.name)
      live.push(operation)
    }
    return live.reverse()
  }
}

function checkSize(shape: readonly number[]): void {
  const valid = shape.length <= MAX_TENSOR_RANK && shape.every((n) => Number.isSafeInteger(n) && n >= 0)
  if (valid && sizeOf(shape) <= MAX_VALUE_ELEMENTS) return
  throw new PinGoError('GRAPH_SHAPE_MISMATCH', `a value of shape [${shape.slice(0, 20)}] is not possible`)
}

const taken = (name: string) =>
  new PinGoError('GRAPH_NAME_TAKEN', `The name '${name}' is needed twice in the training graph.`, {
    hint: 'Rename that input or initialiser of the model.',
  })

const trimmed = (names: string[]): string[] => {
  while (names.length && names.at(-1) === '') names.pop()
  return names
}

function attributesKey(attributes: Attributes): string {
  const parts = Object.entries(attributes).map(([name, attribute]) => [name, attributeKey(attribute)])
  return JSON.stringify(parts.sort(([a], [b]) => (a! < b! ? -1 : 1)))
}

const attributeKey = (attribute: Attribute): string =>
  attribute.type === 'tensor'
    ? `${attribute.value.dtype}${attribute.value.shape}|${attribute.value.data.join()}`
    : JSON.stringify(attribute.value)
