import { type DType, PinGoError, type Tensor } from '@pingo/wire'

/** Oldest and newest operator set of the default domain that is read. */
export const MIN_OPSET = 11
export const MAX_OPSET = 23
/** The operator set of every graph that PinGo emits. */
export const EMITTED_OPSET = 18
/** The one domain besides ONNX's own that a graph may use: ONNX Runtime's. */
export const CONTRIB_DOMAIN = 'com.microsoft'
/** The operators of it that PinGo's own graphs use. */
export const EMITTED_CONTRIB: readonly string[] = ['FusedMatMul', 'Gelu']

/** An attribute of a node. Integers are numbers: those beyond 2^53 lose their last bits and are clamped to int64 when written. */
export type Attribute =
  | { type: 'int'; value: number }
  | { type: 'float'; value: number }
  | { type: 'string'; value: string }
  | { type: 'tensor'; value: Tensor }
  | { type: 'graph'; value: Graph }
  | { type: 'ints'; value: number[] }
  | { type: 'floats'; value: number[] }
  | { type: 'strings'; value: string[] }
export type Attributes = Record<string, Attribute>

/** One operation. `inputs` and `outputs` are names of values; '' stands for an optional one that is absent. */
export interface Node {
  name: string
  op: string
  /** '' is ONNX's own domain. */
  domain: string
  inputs: string[]
  outputs: string[]
  attributes: Attributes
}

/** A named value's type. A string dimension is symbolic ('' when the file gives it no name). */
export interface ValueInfo {
  name: string
  dtype: DType
  shape: (number | string)[]
}

export interface Graph {
  name: string
  /** In topological order. */
  nodes: Node[]
  /** Without the initialisers that old files repeat as inputs. */
  inputs: ValueInfo[]
  outputs: ValueInfo[]
  initializers: Map<string, Tensor>
  valueInfo?: ValueInfo[]
}

/** An ONNX model in memory. */
export interface Model {
  irVersion: number
  /** Version of the default operator set. */
  opset: number
  producer: string
  metadata: Record<string, string>
  graph: Graph
}

export const int = (value: number): Attribute => ({ type: 'int', value })
export const float = (value: number): Attribute => ({ type: 'float', value })
export const string = (value: string): Attribute => ({ type: 'string', value })
export const ints = (value: readonly number[]): Attribute => ({ type: 'ints', value: [...value] })
export const tensorAttribute = (value: Tensor): Attribute => ({ type: 'tensor', value })

const wrongType = (name: string, want: string) =>
  new PinGoError('ONNX_MALFORMED', `The attribute '${name}' is not ${want}. Export the model again.`)

/** An integer attribute, or `fallback` when absent. */
export function intOf(attributes: Attributes, name: string, fallback: number): number {
  const attribute = attributes[name]
  if (!attribute) return fallback
  if (attribute.type !== 'int') throw wrongType(name, 'an integer')
  return attribute.value
}

/** A float attribute (an integer one serves too), or `fallback` when absent. */
export function floatOf(attributes: Attributes, name: string, fallback: number): number {
  const attribute = attributes[name]
  if (!attribute) return fallback
  if (attribute.type !== 'float' && attribute.type !== 'int') throw wrongType(name, 'a number')
  return attribute.value
}

/** A string attribute, or `fallback` when absent. */
export function stringOf(attributes: Attributes, name: string, fallback: string): string {
  const attribute = attributes[name]
  if (!attribute) return fallback
  if (attribute.type !== 'string') throw wrongType(name, 'a string')
  return attribute.value
}

/** A list of integers, or undefined when absent. */
export function intsOf(attributes: Attributes, name: string): number[] | undefined {
  const attribute = attributes[name]
  if (!attribute) return undefined
  if (attribute.type !== 'ints') throw wrongType(name, 'a list of integers')
  return attribute.value
}
