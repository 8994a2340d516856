import { type Attributes, type Graph, MAX_OPSET, MIN_OPSET, type Node } from '../model.ts'
import { malformed } from './message.ts'

/** Deepest nesting of functions in functions. */
export const MAX_FUNCTION_DEPTH = 32

/** A node as a file has it: it may call a function, and inside one its attributes may refer to the function's. */
export interface RawNode extends Node {
  /** Which of the functions of one name and domain (IR version 10). */
  overload?: string
  /** Attributes that take the value of the function's attribute of that name. */
  references?: Record<string, string>
}

/** A function that a model defines (FunctionProto): PyTorch's exporters write whole layers so. */
export interface LocalFunction {
  name: string
  domain: string
  overload: string
  inputs: string[]
  outputs: string[]
  nodes: RawNode[]
  /** Default values of its attributes. */
  defaults: Attributes
  /** Version of ONNX's own operators in it, 0 when it uses none. */
  opset: number
}

const keyOf = (domain: string, name: string, overload = '') => `${domain}\n${name}\n${overload}`

/**
 * Puts the bodies of functions in the place of the nodes that call them, in a graph and the graphs inside it.
 * @param limit most nodes of the result
 * @throws PinGoError ONNX_MALFORMED when functions call each other in a circle, are nested too deep or grow too large
 */
export function inlineFunctions(graph: Graph, functions: readonly LocalFunction[], opset: number, limit: number): void {
  const byName = new Map(functions.map((f) => [keyOf(f.domain, f.name, f.overload), f]))
  let calls = 0
  let count = 0

  const attributesOf = (node: RawNode, given: Attributes): Attributes => {
    const attributes = { ...node.attributes }
    for (const [name, from] of Object.entries(node.references ?? {})) {
      // A reference to an attribute that the caller leaves out leaves this one out too.
      const value = Object.hasOwn(given, from) ? given[from] : undefined
      if (value) attributes[name] = value
    }
    return attributes
  }

  /** Nodes as they stand in the caller: names put through `rename`, attributes resolved, calls replaced. */
  const expand = (
    nodes: readonly RawNode[],
    rename: (name: string) => string,
    given: Attributes,
    depth: number,
  ): Node[] => {
    if (depth > MAX_FUNCTION_DEPTH) throw malformed('its functions are nested too deep, or call each other in a circle')
    return nodes.flatMap((raw) => {
      const inputs = raw.inputs.map(rename)
      const outputs = raw.outputs.map(rename)
      const attributes = attributesOf(raw, given)
      const called = byName.get(keyOf(raw.domain, raw.op, raw.overload))
      if (++count > limit) throw malformed(`its functions make more than ${limit} nodes`)
      if (called) return body(called, inputs, outputs, { ...called.defaults, ...attributes }, depth + 1)
      for (const [name, attribute] of Object.entries(attributes))
        if (attribute.type === 'graph')
          attributes[name] = { type: 'graph', value: inner(attribute.value, rename, given, depth) }
      const { name, op, domain } = raw
      return [{ name, op, domain, inputs, outputs, attributes }]
    })
  }

  const inner = (graph: Graph, rename: (name: string) => string, given: Attributes, depth: number): Graph => ({
    ...graph,
    nodes: expand(graph.nodes, rename, given, depth),
    inputs: graph.inputs.map((info) => ({ ...info, name: rename(info.name) })),
    outputs: graph.outputs.map((info) => ({ ...info, name: rename(info.name) })),
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [rename(name), tensor])),
  })

  const body = (f: LocalFunction, inputs: string[], outputs: string[], given: Attributes, depth: number): Node[] => {
    if (f.opset && f.opset !== opset && !(f.opset >= MIN_OPSET && f.opset <= MAX_OPSET))
      throw malformed(`its function '${f.name}' uses the operator set ${f.opset}`)
    const prefix = `${f.name}/${calls++}/`
    const names = new Map<string, string>([['', '']])
    for (const [i, name] of f.inputs.entries()) names.set(name, inputs[i] ?? '')
    for (const [i, name] of f.outputs.entries()) if (outputs[i] && !names.has(name)) names.set(name, outputs[i])
    const rename = (name: string) => names.get(name) ?? `${prefix}${name}`
    // An input that is handed out as it came needs a node of its own.
    const passed = f.outputs.flatMap((name, i): Node[] =>
      outputs[i] && f.inputs.includes(name)
        ? [
            {
              name: outputs[i],
              op: 'Identity',
              domain: '',
              inputs: [rename(name)],
              outputs: [outputs[i]],
              attributes: {},
            },
          ]
        : [],
    )
    const named = f.nodes.map((node) => ({ ...node, name: `${prefix}${node.name || node.op}` }))
    return [...expand(named, rename, given, depth), ...passed]
  }

  graph.nodes = expand(graph.nodes, (name) => name, {}, 0)
}
