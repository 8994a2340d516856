import type { Attributes } from '../../model.ts'
import type { Ref } from './tensor.ts'

/** One node to be evaluated. */
export interface Call {
  op: string
  inputs: readonly (Ref | undefined)[]
  attributes: Attributes
  /** Operator set of the model: attributes and defaults differ between them. */
  opset: number
  /** Which outputs the node names. */
  outputs: readonly boolean[]
  /** Whether the model is being trained: BatchNormalization then uses the batch's statistics. */
  training: boolean
}

/** Evaluates a node by the words of the ONNX specification. */
export type Kernel = (call: Call) => Ref[]
export type Kernels = Record<string, Kernel>

/** Attributes without their types. */
const attribute = (c: Call, name: string): unknown => c.attributes[name]?.value
export const number = (c: Call, name: string, fallback: number): number =>
  (attribute(c, name) as number | undefined) ?? fallback
export const flag = (c: Call, name: string, fallback = 0): boolean => number(c, name, fallback) === 1
export const text = (c: Call, name: string, fallback: string): string =>
  (attribute(c, name) as string | undefined) ?? fallback
export const numbers = (c: Call, name: string): number[] | undefined => attribute(c, name) as number[] | undefined

/** The i-th input, which must be there. */
export function need(c: Call, i: number): Ref {
  const x = c.inputs[i]
  if (!x) throw new Error(`${c.op} has no input ${i}`)
  return x
}

/** Integers given as an attribute by older operator sets and as an input by newer ones. */
export const either = (c: Call, name: string, input: number): number[] | undefined =>
  c.inputs[input] ? Array.from(c.inputs[input].data) : numbers(c, name)
