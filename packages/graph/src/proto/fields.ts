import type { DType } from '@pingo/wire'

/**
 * Field numbers of the ONNX protobuf messages (onnx/onnx.proto of ONNX 1.16, IR version 10). Only those that PinGo reads,
 * writes or must refuse.
 */
export const MODEL = {
  irVersion: 1,
  producer: 2,
  graph: 7,
  opsets: 8,
  metadata: 14,
  trainingInfo: 20,
  functions: 25,
} as const
export const OPSET = { domain: 1, version: 2 } as const
export const ENTRY = { key: 1, value: 2 } as const
export const GRAPH = {
  nodes: 1,
  name: 2,
  initializers: 5,
  inputs: 11,
  outputs: 12,
  valueInfo: 13,
  quantization: 14,
  sparse: 15,
} as const
export const NODE = { inputs: 1, outputs: 2, name: 3, op: 4, attributes: 5, domain: 7, overload: 8 } as const
export const FUNCTION = {
  name: 1,
  inputs: 4,
  outputs: 5,
  nodes: 7,
  opsets: 9,
  domain: 10,
  defaults: 11,
  overload: 13,
} as const
export const ATTRIBUTE = {
  name: 1,
  f: 2,
  i: 3,
  s: 4,
  t: 5,
  g: 6,
  floats: 7,
  ints: 8,
  strings: 9,
  tensors: 10,
  graphs: 11,
  typeProto: 14,
  typeProtos: 15,
  type: 20,
  reference: 21,
  sparse: 22,
  sparses: 23,
} as const
export const TENSOR = {
  dims: 1,
  dataType: 2,
  segment: 3,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const
export const VALUE_INFO = { name: 1, type: 2 } as const
export const TYPE = { tensor: 1 } as const
export const TENSOR_TYPE = { elementType: 1, shape: 2 } as const
export const SHAPE = { dims: 1 } as const
export const DIMENSION = { value: 1, parameter: 2 } as const

/** AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPE = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const

/** TensorProto.DataType by our names. */
export const DATA_TYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
}
const DTYPES = new Map(Object.entries(DATA_TYPE).map(([dtype, code]) => [code, dtype as DType]))

/** The element type of a TensorProto.DataType, undefined for those PinGo does not know (strings, complex, 8-bit floats). */
export const dtypeOf = (code: number): DType | undefined => DTYPES.get(code)
