/**
 * Writes small ONNX files for tests, byte by byte, so that graphs which no honest writer makes (weights in other files, foreign
 * domains, local functions) can be put before the screen.
 */
export interface NodeText {
  op: string
  inputs: string[]
  outputs: string[]
  domain?: string
  attributes?: Uint8Array[]
}

export interface GraphText {
  nodes: NodeText[]
  inputs?: [name: string, shape: (number | string)[], code?: number][]
  /** Without a shape: the file does not say. */
  outputs?: [name: string, shape?: (number | string)[], code?: number][]
  initializers?: Uint8Array[]
  /** More fields of the model, already encoded. */
  extra?: Uint8Array
  opset?: number
}

export const FLOAT = 1
export const UINT8 = 2
export const INT32 = 6
export const INT64 = 7

export function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0))
    rest >>= 7n
  } while (rest)
  return Uint8Array.from(bytes)
}

export function join(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.byteLength
  }
  return whole
}
export const number = (field: number, value: number): Uint8Array => join(varint(field * 8), varint(value))
export const bytes = (field: number, value: Uint8Array): Uint8Array =>
  join(varint(field * 8 + 2), varint(value.byteLength), value)
export const text = (field: number, value: string): Uint8Array => bytes(field, new TextEncoder().encode(value))

const NONE = new Uint8Array(0)

/** TensorProto of raw bytes. */
export const tensor = (name: string, code: number, shape: number[], data: ArrayBufferView): Uint8Array =>
  join(
    ...shape.map((n) => number(1, n)),
    number(2, code),
    text(8, name),
    bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  )

export const intAttribute = (name: string, value: number): Uint8Array =>
  join(text(1, name), number(3, value), number(20, 2))
export const intsAttribute = (name: string, values: number[]): Uint8Array =>
  join(text(1, name), ...values.map((value) => number(8, value)), number(20, 7))
export const graphAttribute = (name: string, graph: Uint8Array): Uint8Array =>
  join(text(1, name), bytes(6, graph), number(20, 5))

const valueInfo = ([name, shape, code = FLOAT]: [string, (number | string)[]?, number?]): Uint8Array => {
  const dims = shape?.map((n) => bytes(1, typeof n === 'number' ? number(1, n) : text(2, n)))
  return join(text(1, name), bytes(2, bytes(1, join(number(1, code), dims ? bytes(2, join(...dims)) : NONE))))
}

/** GraphProto. */
export const graph = ({ nodes, inputs = [], outputs = [], initializers = [] }: GraphText): Uint8Array =>
  join(
    ...nodes.map(({ op, inputs, outputs, domain = '', attributes = [] }, i) =>
      bytes(
        1,
        join(
          ...inputs.map((name) => text(1, name)),
          ...outputs.map((name) => text(2, name)),
          text(3, `${op}_${i}`),
          text(4, op),
          ...attributes.map((attribute) => bytes(5, attribute)),
          domain ? text(7, domain) : NONE,
        ),
      ),
    ),
    text(2, 'test'),
    ...initializers.map((value) => bytes(5, value)),
    ...inputs.map((value) => bytes(11, valueInfo(value))),
    ...outputs.map((value) => bytes(12, valueInfo(value))),
  )

/** ModelProto. */
export const model = (spec: GraphText): Uint8Array =>
  join(
    number(1, 8),
    bytes(7, graph(spec)),
    bytes(8, number(2, spec.opset ?? 18)),
    ...(spec.nodes.some(({ domain }) => domain)
      ? [bytes(8, join(text(1, spec.nodes.find(({ domain }) => domain)!.domain!), number(2, 1)))]
      : []),
    spec.extra ?? NONE,
  )

/** One node from `input` [..shape] to `output`. */
export const unary = (op: string, shape: (number | string)[] = [4]): Uint8Array =>
  model({
    nodes: [{ op, inputs: ['input'], outputs: ['output'] }],
    inputs: [['input', shape]],
    outputs: [['output', shape]],
  })
