import { bytesView, type Tensor } from '@pingo/wire'
import { PbfWriter } from 'pbf'
import { type Attribute, CONTRIB_DOMAIN, type Graph, type Model, type Node, type ValueInfo } from '../model.ts'
import * as F from './fields.ts'

/** Lowest IR version that may carry an opset (onnx/helper.py's table), at least 7: the first whose initialisers are not inputs and opset >= 12. */
function irVersionFor(opset: number): number {
  if (opset <= 11) return 6
  if (opset <= 14) return 7
  if (opset <= 18) return 8
  if (opset <= 20) return 9
  if (opset <= 22) return 10
  return 11
}

/**
 * Writes a model as an ONNX file. Weights are written as raw little-endian bytes.
 * A file that was read keeps its IR version when that can carry the opset.
 */
export function writeModel(model: Model): Uint8Array {
  const pbf = new PbfWriter()
  writeInt(pbf, F.MODEL.irVersion, Math.max(model.irVersion, irVersionFor(model.opset)))
  pbf.writeStringField(F.MODEL.producer, model.producer)
  pbf.writeMessage(F.MODEL.graph, writeGraph, model.graph)
  pbf.writeMessage(F.MODEL.opsets, writeOpset, { domain: '', version: model.opset })
  if (model.graph.nodes.some((node) => node.domain === CONTRIB_DOMAIN))
    pbf.writeMessage(F.MODEL.opsets, writeOpset, { domain: CONTRIB_DOMAIN, version: 1 })
  for (const [key, value] of Object.entries(model.metadata))
    pbf.writeMessage(F.MODEL.metadata, writeEntry, { key, value })
  return pbf.finish()
}

function writeOpset({ domain, version }: { domain: string; version: number }, pbf: PbfWriter): void {
  if (domain) pbf.writeStringField(F.OPSET.domain, domain)
  writeInt(pbf, F.OPSET.version, version)
}

function writeEntry({ key, value }: { key: string; value: string }, pbf: PbfWriter): void {
  pbf.writeStringField(F.ENTRY.key, key)
  pbf.writeStringField(F.ENTRY.value, value)
}

function writeGraph(graph: Graph, pbf: PbfWriter): void {
  for (const node of graph.nodes) pbf.writeMessage(F.GRAPH.nodes, writeNode, node)
  pbf.writeStringField(F.GRAPH.name, graph.name || 'graph')
  for (const [name, tensor] of graph.initializers) pbf.writeMessage(F.GRAPH.initializers, writeTensor, { name, tensor })
  for (const info of graph.inputs) pbf.writeMessage(F.GRAPH.inputs, writeValueInfo, info)
  for (const info of graph.outputs) pbf.writeMessage(F.GRAPH.outputs, writeValueInfo, info)
  for (const info of graph.valueInfo ?? []) pbf.writeMessage(F.GRAPH.valueInfo, writeValueInfo, info)
}

function writeNode(node: Node, pbf: PbfWriter): void {
  for (const name of node.inputs) pbf.writeStringField(F.NODE.inputs, name)
  for (const name of node.outputs) pbf.writeStringField(F.NODE.outputs, name)
  if (node.name) pbf.writeStringField(F.NODE.name, node.name)
  pbf.writeStringField(F.NODE.op, node.op)
  for (const [name, attribute] of Object.entries(node.attributes))
    pbf.writeMessage(F.NODE.attributes, writeAttribute, { name, attribute })
  if (node.domain) pbf.writeStringField(F.NODE.domain, node.domain)
}

function writeAttribute({ name, attribute }: { name: string; attribute: Attribute }, pbf: PbfWriter): void {
  pbf.writeStringField(F.ATTRIBUTE.name, name)
  if (attribute.type === 'float') pbf.writeFloatField(F.ATTRIBUTE.f, attribute.value)
  else if (attribute.type === 'int') writeInt(pbf, F.ATTRIBUTE.i, attribute.value)
  else if (attribute.type === 'string') pbf.writeStringField(F.ATTRIBUTE.s, attribute.value)
  else if (attribute.type === 'tensor')
    pbf.writeMessage(F.ATTRIBUTE.t, writeTensor, { name: '', tensor: attribute.value })
  else if (attribute.type === 'graph') pbf.writeMessage(F.ATTRIBUTE.g, writeGraph, attribute.value)
  else if (attribute.type === 'floats')
    for (const value of attribute.value) pbf.writeFloatField(F.ATTRIBUTE.floats, value)
  else if (attribute.type === 'ints') for (const value of attribute.value) writeInt(pbf, F.ATTRIBUTE.ints, value)
  else for (const value of attribute.value) pbf.writeStringField(F.ATTRIBUTE.strings, value)
  writeInt(pbf, F.ATTRIBUTE.type, F.ATTRIBUTE_TYPE[attribute.type])
}

function writeTensor({ name, tensor }: { name: string; tensor: Tensor }, pbf: PbfWriter): void {
  for (const n of tensor.shape) writeInt(pbf, F.TENSOR.dims, n)
  writeInt(pbf, F.TENSOR.dataType, F.DATA_TYPE[tensor.dtype])
  if (name) pbf.writeStringField(F.TENSOR.name, name)
  pbf.writeBytesField(F.TENSOR.rawData, bytesView(tensor.data))
}

function writeValueInfo({ name, dtype, shape }: ValueInfo, pbf: PbfWriter): void {
  pbf.writeStringField(F.VALUE_INFO.name, name)
  pbf.writeMessage(
    F.VALUE_INFO.type,
    (type: { dtype: typeof dtype; shape: typeof shape }, p) => p.writeMessage(F.TYPE.tensor, writeTensorType, type),
    { dtype, shape },
  )
}

function writeTensorType({ dtype, shape }: Omit<ValueInfo, 'name'>, pbf: PbfWriter): void {
  writeInt(pbf, F.TENSOR_TYPE.elementType, F.DATA_TYPE[dtype])
  pbf.writeMessage(
    F.TENSOR_TYPE.shape,
    (dims: typeof shape, p) => {
      for (const dim of dims) p.writeMessage(F.SHAPE.dims, writeDimension, dim)
    },
    shape,
  )
}

function writeDimension(dimension: number | string, pbf: PbfWriter): void {
  if (typeof dimension === 'number') writeInt(pbf, F.DIMENSION.value, dimension)
  else if (dimension) pbf.writeStringField(F.DIMENSION.parameter, dimension)
}

const VARINT = 0

/** Any int64 as a varint: pbf's own takes numbers, whose negative and very large values need the two's complement spelt out. */
function writeInt(pbf: PbfWriter, tag: number, value: number): void {
  pbf.writeTag(tag, VARINT)
  if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
    pbf.writeVarint(value)
    return
  }
  const clamped = value >= 2 ** 63 ? 2n ** 63n - 1n : value < -(2 ** 63) ? -(2n ** 63n) : BigInt(Math.trunc(value))
  let bits = BigInt.asUintN(64, clamped)
  pbf.realloc(10)
  while (bits >= 0x80n) {
    pbf.buf[pbf.pos++] = Number(bits & 0x7fn) | 0x80
    bits >>= 7n
  }
  pbf.buf[pbf.pos++] = Number(bits)
}
