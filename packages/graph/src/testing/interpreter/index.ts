import type { Graph, Model, Node } from '../../model.ts'
import { attentions } from './attention.ts'
import { elementwise } from './elementwise.ts'
import { indexing } from './indexing.ts'
import type { Kernels } from './kernel.ts'
import { linear } from './linear.ts'
import { local } from './local.ts'
import { movement } from './movement.ts'
import { normalisation } from './normalisation.ts'
import { recurrences } from './recurrent.ts'
import { reductions } from './reduction.ts'
import { resizing } from './resize.ts'
import { fromTensor, type Ref, ref } from './tensor.ts'
import { window } from './window.ts'

export { fromTensor, type Ref } from './tensor.ts'

/**
 * A reference of ONNX in double precision, written from the operators' specification and slow on purpose: it shares nothing with
 * the lowering and the gradients it is compared with. It evaluates users' graphs of opset 11 to 23 and PinGo's emitted ones. A new
 * operator is one entry in a family's table.
 */
export const kernels: Kernels = {
  ...elementwise,
  ...linear,
  ...window,
  ...normalisation,
  ...reductions,
  ...movement,
  ...indexing,
  ...resizing,
  ...local,
  ...recurrences,
  ...attentions,
}

export interface InterpretOptions {
  /** BatchNormalization uses the batch's statistics. */
  training?: boolean
}

/** All values of a model's graph, by name. What is fed stays as it is, whatever the graph says of it: initialisers, values in between. */
export function interpret(
  model: Model,
  feeds: ReadonlyMap<string, Ref>,
  options: InterpretOptions = {},
): Map<string, Ref> {
  return run(model.graph, model.opset, new Map(feeds), { ...options, fed: new Set(feeds.keys()) })
}

interface RunOptions extends InterpretOptions {
  fed: ReadonlySet<string>
}

function run(graph: Graph, opset: number, values: Map<string, Ref>, options: RunOptions): Map<string, Ref> {
  for (const [name, tensor] of graph.initializers) if (!values.has(name)) values.set(name, fromTensor(tensor))
  for (const node of graph.nodes) runNode(node, opset, values, options)
  return values
}

function runNode(node: Node, opset: number, values: Map<string, Ref>, options: RunOptions): void {
  const inputs = node.inputs.map((name) => {
    if (name === '') return undefined
    const value = values.get(name)
    if (!value) throw new Error(`${node.op} reads '${name}', which nothing makes`)
    return value
  })
  if (node.op === 'If' || node.op === 'Loop') {
    const results = (node.op === 'If' ? branch : loop)(node, inputs, opset, values, options)
    node.outputs.forEach((name, i) => {
      if (name !== '') values.set(name, results[i]!)
    })
    return
  }
  const kernel = kernels[node.op]
  if (!kernel) throw new Error(`the reference interpreter has no ${node.op}: add it to a family in testing/interpreter`)
  const results = kernel({
    op: node.op,
    inputs,
    attributes: node.attributes,
    opset,
    outputs: node.outputs.map((name) => name !== ''),
    training: options.training ?? false,
  })
  node.outputs.forEach((name, i) => {
    if (name !== '' && results[i] && !options.fed.has(name)) values.set(name, results[i])
  })
}

type Control = (
  node: Node,
  inputs: readonly (Ref | undefined)[],
  opset: number,
  values: ReadonlyMap<string, Ref>,
  options: RunOptions,
) => Ref[]

/** Graphs inside a node see the values around it. */
const branch: Control = (node, inputs, opset, values, options) => {
  const graph = node.attributes[inputs[0]!.data[0] ? 'then_branch' : 'else_branch']!.value as Graph
  const inner = run(graph, opset, new Map(values), options)
  return graph.outputs.map(({ name }) => inner.get(name)!)
}

/** The last values of what is carried, then every turn's of what is scanned, stacked. */
const loop: Control = (node, [trips, condition, ...initial], opset, values, options) => {
  const body = node.attributes.body!.value as Graph
  let carried = initial.map((x) => x!)
  let going = condition ? condition.data[0] !== 0 : true
  const scanned: Ref[][] = body.outputs.slice(1 + carried.length).map(() => [])
  for (let turn = 0; going && turn < (trips?.data[0] ?? Number.POSITIVE_INFINITY); turn++) {
    const scope = new Map(values)
    const given = [ref('int', [], [turn]), ref('bool', [], [1]), ...carried]
    body.inputs.forEach(({ name }, i) => {
      scope.set(name, given[i]!)
    })
    const inner = run(body, opset, scope, options)
    const results = body.outputs.map(({ name }) => inner.get(name)!)
    going = results[0]!.data[0] !== 0
    carried = results.slice(1, 1 + carried.length)
    scanned.forEach((list, i) => {
      list.push(results[1 + carried.length + i]!)
    })
  }
  const stacked = scanned.map((list) =>
    ref(
      list[0]!.kind,
      [list.length, ...list[0]!.shape],
      list.flatMap((x) => [...x.data]),
    ),
  )
  return [...carried, ...stacked]
}
