import { sizeOf, type Tensor } from '@pingo/wire'
import { GraphBuilder } from '../builder.ts'
import { importModel } from '../import.ts'
import type { Graph, Model, Node } from '../model.ts'
import { foldBatchNorms } from './fold-batch-norm.ts'

/** Largest constant (elements) that folding makes: a file is not to grow by what a runtime computes in no time. */
const MAX_FOLDED_ELEMENTS = 4096
/** Operators whose first output is their first input when a model is only used. */
const PASSED = new Set(['Identity', 'Dropout'])

export interface InferenceOptions {
  /** True: BatchNormalization goes into the weights of the Conv, ConvTranspose, Gemm or MatMul in front of it. Default false. */
  foldBatchNorm?: boolean
}

/**
 * The model as it is used, smaller: Dropout and Identity are left out, what only depends on constants is computed (where it is small),
 * and nodes and initialisers that no output needs are dropped. Its outputs are those of the original model but for rounding
 * (folding BatchNormalization moves the last bits); names of inputs and outputs stay, inner ones may not. Training goes on better with
 * the original, which knows its dropout and running statistics.
 */
export function toInference(model: Model, options: InferenceOptions = {}): Model {
  let graph = foldConstants(model, passOver(evaluating(model.graph)))
  if (options.foldBatchNorm) graph = foldBatchNorms({ ...model, graph })
  return { ...model, graph: withoutDeadCode(graph) }
}

/** BatchNormalization by its running statistics, whatever mode the model was exported in. */
function evaluating(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) => {
    if (node.op !== 'BatchNormalization') return node
    const { training_mode: _, ...attributes } = node.attributes
    return { ...node, outputs: node.outputs.slice(0, 1), attributes }
  })
  return { ...graph, nodes }
}

/** Leaves Identity and Dropout out: readers read what these read. */
function passOver(graph: Graph): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  const read = readNames(graph)
  const alias = new Map<string, string>()
  const kept: Node[] = []
  for (const node of graph.nodes) {
    const [from, to] = [node.inputs[0], node.outputs[0]]
    const mask = node.outputs[1]
    const passes = PASSED.has(node.op) && node.domain === '' && from && to && !(mask && read.has(mask))
    if (passes && !outputs.has(to)) alias.set(to, alias.get(from) ?? from)
    else kept.push(passes ? { ...node, op: 'Identity', inputs: [from], outputs: [to], attributes: {} } : node)
  }
  return nameOutputs(renamed({ ...graph, nodes: kept }, alias))
}

/** An Identity that only gives a value the name of an output goes too: the value gets that name at its source. */
function nameOutputs(graph: Graph): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  const made = new Set(graph.nodes.flatMap((node) => node.outputs))
  const alias = new Map<string, string>()
  const nodes = graph.nodes.filter(({ op, inputs, outputs: [to] }) => {
    const from = inputs[0]!
    if (op !== 'Identity' || !outputs.has(to!) || !made.has(from) || outputs.has(from) || alias.has(from)) return true
    alias.set(from, to!)
    return false
  })
  return renamed({ ...graph, nodes }, alias, true)
}

/** Other names for values, in graphs inside nodes too. @param sources whether the nodes that make them are renamed as well */
function renamed(graph: Graph, alias: ReadonlyMap<string, string>, sources = false): Graph {
  if (!alias.size) return graph
  const name = (each: string) => alias.get(each) ?? each
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(name),
    outputs: sources ? node.outputs.map(name) : node.outputs,
    attributes: Object.fromEntries(
      Object.entries(node.attributes).map(([key, attribute]) => {
        if (attribute.type !== 'graph') return [key, attribute]
        const inner = renamed(attribute.value, alias)
        const outputs = inner.outputs.map((info) => ({ ...info, name: name(info.name) }))
        return [key, { ...attribute, value: { ...inner, outputs } }]
      }),
    ),
  }))
  return { ...graph, nodes }
}

/** Computes what depends on constants alone, by the same rules as training graphs are built with. */
function foldConstants(model: Model, graph: Graph): Graph {
  const constant = new Set([...graph.initializers].filter(([, t]) => isExact(t)).map(([name]) => name))
  const candidates = graph.nodes.filter((node) => {
    const known = node.op === 'Constant' || (node.inputs.length > 0 && node.inputs.every((n) => !n || constant.has(n)))
    if (!known || node.op === 'If' || makesOtherFloats(node)) return false
    for (const output of node.outputs) constant.add(output)
    return true
  })
  if (!candidates.length) return graph
  const part: Model = { ...model, graph: { ...graph, nodes: candidates, inputs: [], outputs: [] } }
  const { values } = importModel(new GraphBuilder(), part, new Map(), {
    training: false,
    frozen: [...constant],
    onBlocked: () => {},
  })
  const found = (name: string) => {
    const value = values.get(name)
    return value?.data && !value.variable && sizeOf(value.shape) <= MAX_FOLDED_ELEMENTS ? value.data : undefined
  }
  const initializers = new Map(graph.initializers)
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  const folded = new Set<Node>()
  for (const node of candidates) {
    const data = node.outputs.map((name) => (name ? found(name) : undefined))
    if (node.outputs.some((name, i) => name && (!data[i] || outputs.has(name)))) continue
    node.outputs.forEach((name, i) => {
      if (name) initializers.set(name, data[i]!)
    })
    folded.add(node)
  }
  return { ...graph, nodes: graph.nodes.filter((node) => !folded.has(node)), initializers }
}

/** Folding computes other floats as float32: they are left to the runtime. */
const isExact = ({ dtype }: Tensor) => dtype !== 'float16' && dtype !== 'bfloat16' && dtype !== 'float64'

/** ONNX's codes of float16, float64 and bfloat16. */
const OTHER_FLOATS = [10, 11, 16]

const makesOtherFloats = ({ op, attributes }: Node): boolean =>
  op === 'CastLike' ||
  Object.entries(attributes).some(
    ([name, a]) =>
      (a.type === 'tensor' && !isExact(a.value)) ||
      (a.type === 'int' && (name === 'to' || name === 'dtype') && OTHER_FLOATS.includes(a.value)),
  )

function withoutDeadCode(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(({ name }) => name))
  const nodes = graph.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((name) => needed.has(name))) return false
    for (const name of readNames({ ...graph, nodes: [node] })) needed.add(name)
    return true
  })
  const initializers = new Map([...graph.initializers].filter(([name]) => needed.has(name)))
  const made = new Set(nodes.flatMap(({ outputs }) => outputs))
  const valueInfo = graph.valueInfo?.filter(({ name }) => made.has(name))
  return { ...graph, nodes: nodes.reverse(), initializers, ...(valueInfo ? { valueInfo } : {}) }
}

/** Names that the nodes of a graph read, those of the graphs inside them too. */
function readNames({ nodes }: Pick<Graph, 'nodes'>): Set<string> {
  const names = new Set<string>()
  for (const { inputs, attributes } of nodes) {
    for (const name of inputs) names.add(name)
    for (const attribute of Object.values(attributes)) {
      if (attribute.type !== 'graph') continue
      for (const name of readNames(attribute.value)) names.add(name)
      for (const { name } of attribute.value.outputs) names.add(name)
    }
  }
  return names
}
