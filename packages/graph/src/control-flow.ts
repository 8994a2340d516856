import { PinGoError } from '@pingo/wire'
import type { GraphBuilder } from './builder.ts'
import { known } from './known.ts'
import { type Graph, int, intOf, type Node } from './model.ts'
import type { Value } from './operator.ts'
import { axisOf, mismatch, range } from './shape.ts'
import { castTensor, isFloat, tensorOf } from './tensors.ts'

/** Most times that a loop is unrolled, and most nodes that all loops of a model make. */
export const MAX_TRIPS = 4096
export const MAX_UNROLLED_NODES = 50_000

/** What names stand for while a model is translated: values, and lists of them (ONNX's sequences). */
export interface Scope {
  values: Map<string, Value>
  sequences: Map<string, readonly Value[]>
  /** Nodes that loops have made so far. */
  unrolled: number
}

const unsupported = (why: string, hint: string) => new PinGoError('GRAPH_UNSUPPORTED', why, { hint })

const LOOP_HINT = 'Export the model with its loops unrolled, or with fixed shapes so that their length is known.'

/** Lets a name stand for what another does; absent ones ('') for nothing. */
export function bind(scope: Scope, to: string, from: string): void {
  if (!to) return
  const value = scope.values.get(from)
  const sequence = scope.sequences.get(from)
  if (value) scope.values.set(to, value)
  else scope.values.delete(to)
  if (sequence) scope.sequences.set(to, sequence)
  else scope.sequences.delete(to)
}

/** What a value is known to be before the graph runs. */
const decided = (v: Value | undefined, what: string): number => {
  if (!v?.data) throw unsupported(`${what} depends on the data`, LOOP_HINT)
  return Number(v.data.data[0])
}

/**
 * Unrolls a Loop whose number of turns is known (nn.EmbeddingBag's, and loops over fixed lengths of scripted models).
 * @param run translates one node of the body in the scope
 * @throws PinGoError GRAPH_UNSUPPORTED when the end depends on the data or is too far off
 */
export function unrollLoop(b: GraphBuilder, node: Node, scope: Scope, run: (node: Node) => void): void {
  const body = node.attributes.body
  if (body?.type !== 'graph') throw mismatch('it has no body')
  const { inputs, outputs, nodes } = body.value
  const [tripName = '', conditionName = '', ...initial] = node.inputs
  const carried = inputs.length - 2
  if (carried < 0 || initial.length !== carried || outputs.length < 1 + carried)
    throw mismatch('its body does not fit it')
  const trips = tripName ? decided(scope.values.get(tripName), 'its number of turns') : Number.POSITIVE_INFINITY
  let going = conditionName ? decided(scope.values.get(conditionName), 'its condition') !== 0 : true
  fixConstants(b, body.value, scope)
  const moving = nodes.filter(({ op }) => op !== 'Constant')
  const scanned = outputs.slice(1 + carried).map((): Value[] => [])
  const variables = inputs.slice(2).map(({ name }) => name)
  for (const [i, name] of variables.entries()) bind(scope, name, initial[i]!)
  for (let turn = 0; going && turn < trips; turn++) {
    scope.unrolled += moving.length
    if (turn >= MAX_TRIPS || scope.unrolled > MAX_UNROLLED_NODES)
      throw unsupported(`it would be unrolled into more than ${MAX_UNROLLED_NODES} nodes`, LOOP_HINT)
    scope.values.set(inputs[0]!.name, b.constant(tensorOf('int64', [], [turn])))
    scope.values.set(inputs[1]!.name, b.constant(tensorOf('bool', [], [1])))
    for (const inner of moving) run(inner)
    going = decided(scope.values.get(outputs[0]!.name), 'its condition') !== 0
    for (const [i, list] of scanned.entries()) list.push(valueNamed(scope, outputs[1 + carried + i]!.name))
    // All at once: a variable may take another's old value.
    for (const i of variables.keys()) bind(scope, `${node.outputs[0]}/next/${i}`, outputs[1 + i]!.name)
    for (const [i, name] of variables.entries()) bind(scope, name, `${node.outputs[0]}/next/${i}`)
  }
  for (const [i, name] of variables.entries()) bind(scope, node.outputs[i] ?? '', name)
  scanned.forEach((list, i) => {
    const to = node.outputs[carried + i]
    if (!to) return
    if (!list.length) throw unsupported('it never turns, so that the shape of its output is not known', LOOP_HINT)
    scope.values.set(to, stacked(b, list, 0))
  })
}

/** Constants of a body are made once; they are no weights, for nothing could write them back. */
function fixConstants(b: GraphBuilder, { initializers, nodes }: Graph, scope: Scope): void {
  const held = (name: string, tensor: Parameters<typeof castTensor>[0]) =>
    scope.values.set(name, b.constant(isFloat(tensor.dtype) ? castTensor(tensor, 'float32') : tensor))
  for (const [name, tensor] of initializers) held(name, tensor)
  for (const { op, outputs, attributes } of nodes) {
    if (op !== 'Constant' || !outputs[0]) continue
    const [kind, attribute] = Object.entries(attributes)[0] ?? []
    if (attribute?.type === 'tensor') held(outputs[0], attribute.value)
    else if (attribute?.type === 'int' || attribute?.type === 'ints') {
      const list = [attribute.value].flat()
      held(outputs[0], tensorOf('int64', kind === 'value_int' ? [] : [list.length], list))
    } else if (attribute?.type === 'float' || attribute?.type === 'floats') {
      const list = [attribute.value].flat()
      held(outputs[0], tensorOf('float32', kind === 'value_float' ? [] : [list.length], list))
    } else throw unsupported('a constant of that kind is not supported', 'Use tensors of numbers.')
  }
}

function valueNamed(scope: Scope, name: string): Value {
  const value = scope.values.get(name)
  if (!value) throw mismatch(`nothing makes '${name}'`)
  return value
}

/** Values of one shape along a new axis. */
function stacked(b: GraphBuilder, list: readonly Value[], axis: number): Value {
  const at = axisOf(axis, list[0]!.shape.length + 1)
  return b.concat(
    list.map((v) => b.reshape(v, [...v.shape.slice(0, at), 1, ...v.shape.slice(at)])),
    at,
  )
}

const listOf = (scope: Scope, name: string | undefined): readonly Value[] => {
  const list = scope.sequences.get(name ?? '')
  if (!list) throw mismatch(`'${name}' is not a sequence`)
  return list
}

/** An index into a sequence of n, from the end when negative. */
function indexOf(v: Value | undefined, n: number, last: number): number {
  if (!v) return last
  const given = known(v, 'position')[0]!
  const at = given < 0 ? given + n : given
  if (!(at >= 0 && at <= last)) throw mismatch(`the position ${given} is outside a sequence of ${n}`)
  return at
}

/** The parts that SplitToSequence cuts x into: by sizes, by one size, or one by one. */
function parts(b: GraphBuilder, node: Node, x: Value, sizes: Value | undefined): Value[] {
  const axis = axisOf(intOf(node.attributes, 'axis', 0), x.shape.length)
  const size = x.shape[axis]!
  const given = sizes && known(sizes, 'split')
  const each = !given ? 1 : sizes.shape.length === 0 ? given[0]! : undefined
  if (each !== undefined && each < 1) throw mismatch('a part has no size')
  const list = each === undefined ? given! : range(Math.ceil(size / each)).map((i) => Math.min(each, size - i * each))
  let at = 0
  const cut = list.map((n) => b.slice(x, [axis], [at], [(at += n)]))
  if (sizes || intOf(node.attributes, 'keepdims', 1) === 1) return cut
  return cut.map((v) => b.reshape(v, [...v.shape.slice(0, axis), ...v.shape.slice(axis + 1)]))
}

/** Operators on sequences whose length is known while the graph is built: they leave no trace in it. */
export const sequenceOperators: Readonly<
  Record<string, (b: GraphBuilder, node: Node, scope: Scope, inputs: readonly (Value | undefined)[]) => void>
> = {
  SequenceEmpty: (_, { outputs }, scope) => void scope.sequences.set(outputs[0]!, []),
  SequenceConstruct: (_, { outputs }, scope, inputs) =>
    void scope.sequences.set(
      outputs[0]!,
      inputs.map((v) => v!),
    ),
  SequenceInsert: (_, node, scope, [, value, position]) => {
    const list = listOf(scope, node.inputs[0])
    scope.sequences.set(node.outputs[0]!, list.toSpliced(indexOf(position, list.length, list.length), 0, value!))
  },
  SequenceErase: (_, node, scope, [, position]) => {
    const list = listOf(scope, node.inputs[0])
    scope.sequences.set(node.outputs[0]!, list.toSpliced(indexOf(position, list.length, list.length - 1), 1))
  },
  SequenceAt: (_, node, scope, [, position]) => {
    const list = listOf(scope, node.inputs[0])
    scope.values.set(node.outputs[0]!, list[indexOf(position, list.length, list.length - 1)]!)
  },
  SequenceLength: (b, node, scope) =>
    void scope.values.set(node.outputs[0]!, b.constant(tensorOf('int64', [], [listOf(scope, node.inputs[0]).length]))),
  SplitToSequence: (b, node, scope, [x, sizes]) =>
    void scope.sequences.set(node.outputs[0]!, parts(b, node, x!, sizes)),
  ConcatFromSequence: (b, node, scope) => {
    const list = listOf(scope, node.inputs[0])
    if (!list.length) throw mismatch('it joins an empty sequence')
    const axis = intOf(node.attributes, 'axis', 0)
    const joined = intOf(node.attributes, 'new_axis', 0)
      ? stacked(b, list, axis)
      : b.one('Concat', list, { axis: int(axisOf(axis, list[0]!.shape.length)) })
    scope.values.set(node.outputs[0]!, joined)
  },
}
