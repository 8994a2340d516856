import { PinGoError, type Tensor } from '@pingo/wire'
import {
  type Attribute,
  CONTRIB_DOMAIN,
  type Graph,
  MAX_OPSET,
  MIN_OPSET,
  type Model,
  type ValueInfo,
} from '../model.ts'
import { contribOperators } from '../operators/index.ts'
import * as F from './fields.ts'
import { inlineFunctions, type LocalFunction, type RawNode } from './functions.ts'
import { type Field, malformed, readMessage } from './message.ts'
import { type ExternalData, knownDtype, MAX_TENSOR_RANK, readTensor } from './tensor.ts'

/** Longest ONNX file that is read (protobuf's own limit is 2 GiB). */
export const MAX_MODEL_BYTES = 2 ** 31 - 1
export const MAX_NODES = 100_000
export const MAX_INITIALIZERS = 50_000
export const MAX_FUNCTIONS = 10_000

const unsupported = (message: string, hint?: string) => new PinGoError('ONNX_UNSUPPORTED', message, { hint })

/**
 * Reads an ONNX file (ModelProto). Names, shapes and weights are kept; documentation strings are not.
 * @param external reads weights that are in other files; without it a model that has such is refused
 * @throws PinGoError ONNX_MALFORMED when cut off or not ONNX at all; ONNX_UNSUPPORTED for what PinGo refuses: sparse
 * tensors, training information, foreign operator domains, opsets before 11 or after 23. The model's own functions
 * are put in the place of their calls
 */
export function parseModel(bytes: Uint8Array, external?: ExternalData): Model {
  if (bytes.byteLength > MAX_MODEL_BYTES) throw unsupported('The model file is over 2 GiB.')
  if (bytes.byteLength === 0) throw malformed('it is empty')
  try {
    return readModel(bytes, { inFunction: false, external })
  } catch (cause) {
    if (cause instanceof PinGoError) throw cause
    throw malformed('it cannot be decoded', cause)
  }
}

/** What reading of a part depends on. */
interface Reading {
  /** Attributes of nodes may refer to a function's. */
  inFunction: boolean
  external?: ExternalData | undefined
}

function readModel(bytes: Uint8Array, reading: Reading): Model {
  let irVersion = 0
  let producer = ''
  let opset = 0
  let graph: Graph | undefined
  const functions: LocalFunction[] = []
  const metadata: Record<string, string> = {}
  readMessage(bytes, (f) => {
    if (f.number === F.MODEL.irVersion) irVersion = f.int
    else if (f.number === F.MODEL.producer) producer = f.string
    else if (f.number === F.MODEL.graph) graph = readGraph(f, reading)
    else if (f.number === F.MODEL.opsets) {
      const { domain, version } = readOpset(f)
      if (domain === '' || domain === 'ai.onnx') opset = version
    } else if (f.number === F.MODEL.metadata) {
      const { key, value } = readEntry(f)
      if (key !== '__proto__') metadata[key] = value
    } else if (f.number === F.MODEL.trainingInfo)
      throw unsupported(
        'The model carries training information of its own.',
        'Export it for inference: PinGo adds the training.',
      )
    else if (f.number === F.MODEL.functions) {
      if (functions.length >= MAX_FUNCTIONS) throw unsupported(`The model has more than ${MAX_FUNCTIONS} functions.`)
      functions.push(readFunction(f, { ...reading, inFunction: true }))
    }
  })
  if (!graph) throw malformed('it has no graph')
  if (opset < MIN_OPSET || opset > MAX_OPSET)
    throw unsupported(
      `The model uses the ONNX operator set ${opset}; PinGo reads ${MIN_OPSET} to ${MAX_OPSET}.`,
      `Export it with opset_version=17.`,
    )
  if (functions.length) inlineFunctions(graph, functions, opset, MAX_NODES)
  checkDomains(graph)
  return { irVersion, opset, producer, metadata, graph }
}

/** Refuses operators of other domains than ONNX's and the known ones of ONNX Runtime's. */
function checkDomains({ nodes }: Graph): void {
  for (const node of nodes) {
    const known = node.domain === '' || (node.domain === CONTRIB_DOMAIN && contribOperators.has(node.op))
    if (!known)
      throw unsupported(
        `The node '${node.name}' uses ${node.op} of the domain '${node.domain}', which is not a standard ONNX operator.`,
        'Export the model before any runtime-specific optimisation.',
      )
    for (const attribute of Object.values(node.attributes))
      if (attribute.type === 'graph') checkDomains(attribute.value)
  }
}

function readFunction(field: Field, reading: Reading): LocalFunction {
  const made: LocalFunction = {
    name: '',
    domain: '',
    overload: '',
    inputs: [],
    outputs: [],
    nodes: [],
    defaults: {},
    opset: 0,
  }
  field.message((f) => {
    if (f.number === F.FUNCTION.name) made.name = f.string
    else if (f.number === F.FUNCTION.domain) made.domain = f.string === 'ai.onnx' ? '' : f.string
    else if (f.number === F.FUNCTION.overload) made.overload = f.string
    else if (f.number === F.FUNCTION.inputs) made.inputs.push(f.string)
    else if (f.number === F.FUNCTION.outputs) made.outputs.push(f.string)
    else if (f.number === F.FUNCTION.nodes) {
      if (made.nodes.length >= MAX_NODES) throw unsupported(`A function has more than ${MAX_NODES} nodes.`)
      made.nodes.push(readNode(f, reading))
    } else if (f.number === F.FUNCTION.opsets) {
      const { domain, version } = readOpset(f)
      if (domain === '' || domain === 'ai.onnx') made.opset = version
    } else if (f.number === F.FUNCTION.defaults) {
      const { name, attribute } = readAttribute(f, { ...reading, inFunction: false })
      if (name !== '__proto__' && attribute) made.defaults[name] = attribute
    }
  })
  // A second meaning for a standard operator is nothing that an exporter writes.
  if (made.domain === '' || made.domain === CONTRIB_DOMAIN)
    throw unsupported(
      'The model defines functions in the domain of standard operators.',
      'Give its functions a domain of their own, or inline them (onnx.inliner.inline_local_functions).',
    )
  if (!made.name) throw malformed('a function has no name')
  return made
}

function readOpset(field: Field): { domain: string; version: number } {
  const opset = { domain: '', version: 0 }
  field.message((f) => {
    if (f.number === F.OPSET.domain) opset.domain = f.string
    else if (f.number === F.OPSET.version) opset.version = f.int
  })
  return opset
}

function readEntry(field: Field): { key: string; value: string } {
  const entry = { key: '', value: '' }
  field.message((f) => {
    if (f.number === F.ENTRY.key) entry.key = f.string
    else if (f.number === F.ENTRY.value) entry.value = f.string
  })
  return entry
}

function readGraph(field: Field, reading: Reading): Graph {
  const graph: Graph = { name: '', nodes: [], inputs: [], outputs: [], initializers: new Map() }
  const valueInfo: ValueInfo[] = []
  field.message((f) => {
    if (f.number === F.GRAPH.name) graph.name = f.string
    else if (f.number === F.GRAPH.nodes) {
      if (graph.nodes.length >= MAX_NODES) throw unsupported(`The model has more than ${MAX_NODES} nodes.`)
      graph.nodes.push(readNode(f, reading))
    } else if (f.number === F.GRAPH.initializers) {
      const { name, tensor } = readTensor(f, reading.external)
      if (graph.initializers.size >= MAX_INITIALIZERS)
        throw unsupported(`The model has more than ${MAX_INITIALIZERS} initialisers.`)
      if (!name || graph.initializers.has(name)) throw malformed('an initialiser has no name of its own')
      graph.initializers.set(name, tensor)
    } else if (f.number === F.GRAPH.inputs) graph.inputs.push(readValueInfo(f, true))
    else if (f.number === F.GRAPH.outputs) graph.outputs.push(readValueInfo(f, true))
    else if (f.number === F.GRAPH.valueInfo) {
      const info = readValueInfo(f, false)
      if (info.name) valueInfo.push(info)
    } else if (f.number === F.GRAPH.sparse)
      throw unsupported('The model has sparse weights.', 'Make them dense before the export.')
    else if (f.number === F.GRAPH.quantization)
      throw unsupported('The model is quantised.', 'Train the float32 model and quantise the result.')
  })
  if (new Set(graph.inputs.map(({ name }) => name)).size < graph.inputs.length)
    throw malformed('two inputs have one name')
  graph.inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name))
  if (valueInfo.length) graph.valueInfo = valueInfo
  return graph
}

function readNode(field: Field, reading: Reading): RawNode {
  const node: RawNode = { name: '', op: '', domain: '', inputs: [], outputs: [], attributes: {} }
  field.message((f) => {
    if (f.number === F.NODE.inputs) node.inputs.push(f.string)
    else if (f.number === F.NODE.outputs) node.outputs.push(f.string)
    else if (f.number === F.NODE.name) node.name = f.string
    else if (f.number === F.NODE.op) node.op = f.string
    else if (f.number === F.NODE.domain) node.domain = f.string
    else if (f.number === F.NODE.attributes) {
      const { name, attribute, reference } = readAttribute(f, reading)
      if (name === '__proto__') return
      if (attribute) node.attributes[name] = attribute
      else node.references = { ...node.references, [name]: reference }
    } else if (f.number === F.NODE.overload) node.overload = f.string
  })
  if (!node.op) throw malformed('a node has no operator')
  if (node.domain === 'ai.onnx') node.domain = ''
  return node
}

/** The type of an attribute whose file leaves it out (IR versions before 2): that of the field that is there. */
const IMPLIED_TYPE: Readonly<Record<number, number>> = {
  [F.ATTRIBUTE.f]: F.ATTRIBUTE_TYPE.float,
  [F.ATTRIBUTE.i]: F.ATTRIBUTE_TYPE.int,
  [F.ATTRIBUTE.s]: F.ATTRIBUTE_TYPE.string,
  [F.ATTRIBUTE.t]: F.ATTRIBUTE_TYPE.tensor,
  [F.ATTRIBUTE.g]: F.ATTRIBUTE_TYPE.graph,
  [F.ATTRIBUTE.floats]: F.ATTRIBUTE_TYPE.floats,
  [F.ATTRIBUTE.ints]: F.ATTRIBUTE_TYPE.ints,
  [F.ATTRIBUTE.strings]: F.ATTRIBUTE_TYPE.strings,
}

/** An attribute's value; inside a function, instead, the name of the function's attribute that gives it. */
function readAttribute(
  field: Field,
  reading: Reading,
):
  | { name: string; attribute: Attribute; reference?: undefined }
  | { name: string; attribute?: undefined; reference: string } {
  const T = F.ATTRIBUTE_TYPE
  let name = ''
  let type = 0
  let scalar = 0
  let text = ''
  let tensor: Tensor | undefined
  let graph: Graph | undefined
  const numbers: number[] = []
  const strings: string[] = []
  let refused = ''
  let reference = ''
  field.message((f) => {
    type ||= IMPLIED_TYPE[f.number] ?? 0
    if (f.number === F.ATTRIBUTE.name) name = f.string
    else if (f.number === F.ATTRIBUTE.type) type = f.int
    else if (f.number === F.ATTRIBUTE.f) scalar = f.float
    else if (f.number === F.ATTRIBUTE.i) scalar = f.int
    else if (f.number === F.ATTRIBUTE.s) text = f.string
    else if (f.number === F.ATTRIBUTE.t) tensor = readTensor(f, reading.external).tensor
    else if (f.number === F.ATTRIBUTE.g) graph = readGraph(f, reading)
    else if (f.number === F.ATTRIBUTE.floats) f.floats(numbers)
    else if (f.number === F.ATTRIBUTE.ints) f.ints(numbers)
    else if (f.number === F.ATTRIBUTE.strings) strings.push(f.string)
    else if (f.number === F.ATTRIBUTE.reference) {
      reference = f.string
      if (!reading.inFunction) refused = 'refers to a function’s attribute'
    } else if (f.number === F.ATTRIBUTE.sparse || f.number === F.ATTRIBUTE.sparses) refused = 'is a sparse tensor'
    else if (f.number === F.ATTRIBUTE.tensors || f.number === F.ATTRIBUTE.graphs)
      refused = 'is a list of tensors or graphs'
    else if (f.number === F.ATTRIBUTE.typeProto || f.number === F.ATTRIBUTE.typeProtos) refused = 'is a type'
  })
  if (!name) throw malformed('an attribute has no name')
  if (refused)
    throw unsupported(
      `The attribute '${name.slice(0, 100)}' ${refused}.`,
      'Export the model for inference, as one plain graph.',
    )
  if (reference) return { name, reference }
  if (type === T.float) return { name, attribute: { type: 'float', value: scalar } }
  if (type === T.int) return { name, attribute: { type: 'int', value: scalar } }
  if (type === T.string) return { name, attribute: { type: 'string', value: text } }
  if (type === T.floats) return { name, attribute: { type: 'floats', value: numbers } }
  if (type === T.ints) return { name, attribute: { type: 'ints', value: numbers } }
  if (type === T.strings) return { name, attribute: { type: 'strings', value: strings } }
  if (type === T.tensor && tensor) return { name, attribute: { type: 'tensor', value: tensor } }
  if (type === T.graph && graph) return { name, attribute: { type: 'graph', value: graph } }
  throw malformed(`the attribute '${name.slice(0, 100)}' has no value`)
}

/** @param strict refuse what is not a tensor; else (hints between nodes) such a type is passed over, its name is '' */
function readValueInfo(field: Field, strict: boolean): ValueInfo {
  const info: ValueInfo = { name: '', dtype: 'float32', shape: [] }
  let isTensor = false
  field.message((f) => {
    if (f.number === F.VALUE_INFO.name) info.name = f.string
    else if (f.number === F.VALUE_INFO.type)
      f.message((t) => {
        if (t.number !== F.TYPE.tensor) return
        isTensor = true
        t.message((tt) => {
          if (tt.number === F.TENSOR_TYPE.elementType)
            info.dtype = knownDtype(tt.int, `The value '${info.name.slice(0, 100)}'`)
          else if (tt.number === F.TENSOR_TYPE.shape)
            tt.message((s) => {
              if (s.number === F.SHAPE.dims) info.shape.push(readDimension(s))
              if (info.shape.length > MAX_TENSOR_RANK) throw malformed('a value has too many dimensions')
            })
        })
      })
  })
  if (!info.name && strict) throw malformed('an input or output has no name')
  if (!isTensor && strict)
    throw unsupported(
      `The value '${info.name.slice(0, 100)}' is not a tensor.`,
      'Export the model with plain tensors in and out.',
    )
  return isTensor ? info : { ...info, name: '' }
}

function readDimension(field: Field): number | string {
  let dimension: number | string = ''
  field.message((f) => {
    if (f.number === F.DIMENSION.value) {
      if (!Number.isSafeInteger(f.int) || f.int < -1) throw malformed('a value has an impossible shape')
      dimension = f.int < 0 ? '' : f.int
    } else if (f.number === F.DIMENSION.parameter) dimension = f.string
  })
  return dimension
}
