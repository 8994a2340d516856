import {
  allowedOperators,
  inferShapes,
  type Model,
  type Node,
  parseModel,
  peakBytes,
  type ValueInfo,
} from '@pingo/graph'
import { bytesOf, isPinGoError, PinGoError, sizeOf } from '@pingo/wire'

/** Longest graph file that is looked at, bytes. */
export const MAX_GRAPH_BYTES = 1 << 30
/** Most nodes of a graph. A training step of a 12-layer transformer has about 5,000. */
export const MAX_GRAPH_NODES = 50_000
/** Most bytes of constants and weights inside a graph, together with those in attributes. */
export const MAX_INITIALIZER_BYTES = 1 << 30
/** Most bytes of tensors alive at once while a graph runs, as estimated from its shapes. */
export const MAX_PEAK_BYTES = 8 * 2 ** 30
/** Sizes tried for symbolic dimensions. */
const TRIAL_SIZES = [1, 4, 16, 64, 224, 512]
/** Longest name in a refusal. */
const MAX_NAME = 100

export interface ScreenLimits {
  maxGraphBytes?: number
  maxNodes?: number
  maxInitializerBytes?: number
  maxPeakBytes?: number
  /** Refuse inputs with symbolic dimensions. */
  staticInputs?: boolean
  /** Sizes assumed for symbolic dimensions in the estimate of memory; the smallest that works where none is given. */
  symbols?: Record<string, number>
}

/** What is known of a graph before it runs. */
export interface ScreenReport {
  nodes: number
  /** Nodes by operator. */
  operators: Record<string, number>
  inputs: ValueInfo[]
  outputs: ValueInfo[]
  initializerBytes: number
  /** Bytes of inputs, constants and intermediate values alive at once, at most; workspace inside operators is not counted. */
  peakBytes: number
  /** Symbolic dimensions of the inputs. */
  symbols: string[]
}

/** What was found wrong: `op` and `node` are '' when it is not about one node. */
export interface Refusal {
  op: string
  node: string
  reason: string
}

/**
 * Judges a graph by its bytes, before any runtime sees it: standard operators of the allow-list alone, no control flow, no data in
 * other files, no functions, sparse tensors or training information, bounded size, and memory that follows from its shapes.
 * @throws PinGoError GRAPH_REFUSED with `details` {@link Refusal}
 */
export function screen(graph: Uint8Array, limits: ScreenLimits = {}): ScreenReport {
  return admit(graph, limits).report
}

/** A graph that was let in. */
export interface Admitted {
  report: ScreenReport
  /** What was judged, and nothing else: to be written anew for the runtime. */
  model: Model
  /** Types of all its values. */
  shapes: Shapes
}

/**
 * Screens a graph and gives it as what was read, to be written anew, so that what runs is exactly what was judged: whatever a second parser could read
 * differently (repeated fields, unknown fields) is gone.
 */
export function admit(graph: Uint8Array, limits: ScreenLimits = {}): Admitted {
  const maxBytes = limits.maxGraphBytes ?? MAX_GRAPH_BYTES
  if (graph.byteLength > maxBytes) throw refusal(`it has ${graph.byteLength} bytes, over the limit of ${maxBytes}`)
  const model = parsed(graph)
  checkNodes(model, limits)
  const initializerBytes = checkInitializers(model, limits)
  const inputs = named(model.graph.inputs)
  const symbols = [...new Set(inputs.flatMap(({ shape }) => shape.filter((n) => typeof n === 'string')))]
  if (limits.staticInputs && symbols.length > 0)
    throw refusal(`its input has the symbolic dimension '${clip(symbols[0]!)}'; its shapes must be fixed`)
  const nodes = withStandIns(model.graph.nodes)
  const shapes = inferred({ ...model, graph: { ...model.graph, inputs, nodes } }, symbols, limits.symbols)
  const peakSize = peak(model, shapes) + initializerBytes
  const maxPeak = limits.maxPeakBytes ?? MAX_PEAK_BYTES
  if (peakSize > maxPeak)
    throw refusal(`it needs about ${mebibytes(peakSize)} MiB of memory, over the limit of ${mebibytes(maxPeak)} MiB`)
  const operators: Record<string, number> = {}
  for (const { op } of model.graph.nodes) operators[op] = (operators[op] ?? 0) + 1
  return {
    report: {
      nodes: model.graph.nodes.length,
      operators,
      inputs: model.graph.inputs,
      outputs: model.graph.outputs,
      initializerBytes,
      peakBytes: peakSize,
      symbols,
    },
    model: plain(model, shapes),
    shapes,
  }
}

/**
 * The model without hints between its nodes, which the runtime infers itself. An output whose file gives it no shape has shape []
 * here: where it is no scalar, its dimensions are left open.
 */
function plain(model: Model, shapes: Shapes): Model {
  const { valueInfo: _, ...graph } = model.graph
  const outputs = graph.outputs.map((output) => {
    const rank = shapes.get(output.name)?.shape.length ?? 0
    return output.shape.length === 0 && rank > 0 ? { ...output, shape: Array.from({ length: rank }, () => '') } : output
  })
  return { ...model, graph: { ...graph, outputs } }
}

function parsed(bytes: Uint8Array): Model {
  try {
    return parseModel(bytes)
  } catch (error) {
    throw refusalOf(error, 'it cannot be read')
  }
}

/** Whatever a hostile file makes a reader throw is a refusal. */
function refusalOf(cause: unknown, otherwise: string): PinGoError {
  if (!isPinGoError(cause)) return refusal(otherwise, { cause })
  const { op, node } = (cause.details ?? {}) as Partial<Refusal>
  const at = { op: String(op ?? ''), node: String(node ?? '') }
  return refusal(lower(cause.message), { cause, hint: cause.hint }, at)
}

function checkNodes(model: Model, limits: ScreenLimits): void {
  const { nodes } = model.graph
  const maxNodes = limits.maxNodes ?? MAX_GRAPH_NODES
  if (nodes.length > maxNodes) throw refusal(`it has ${nodes.length} nodes, over the limit of ${maxNodes}`)
  const allowed = new Set(allowedOperators)
  for (const node of nodes) {
    const at = { op: node.op, node: node.name }
    if (!allowed.has(node.op))
      throw refusal(
        `its node '${clip(node.name)}' uses the operator ${clip(node.op)}, which is not on the list`,
        {},
        at,
      )
    for (const [name, { type }] of Object.entries(node.attributes))
      if (type === 'graph')
        throw refusal(
          `its node '${clip(node.name)}' (${clip(node.op)}) holds a graph in '${clip(name)}': control flow is not run`,
          {},
          at,
        )
  }
}

function checkInitializers(model: Model, limits: ScreenLimits): number {
  const max = limits.maxInitializerBytes ?? MAX_INITIALIZER_BYTES
  let bytes = 0
  for (const { data } of model.graph.initializers.values()) bytes += data.byteLength
  for (const { attributes } of model.graph.nodes)
    for (const attribute of Object.values(attributes))
      if (attribute.type === 'tensor') bytes += attribute.value.data.byteLength
  if (bytes > max) throw refusal(`its weights have ${mebibytes(bytes)} MiB, over the limit of ${mebibytes(max)} MiB`)
  return bytes
}

/** The inputs with a name for every symbolic dimension, so that it can be bound: those that the file leaves nameless get one here. */
function named(inputs: readonly ValueInfo[]): ValueInfo[] {
  return inputs.map((input) => ({
    ...input,
    shape: input.shape.map((n, axis) => (n === '' ? `${input.name}.${axis}` : n)),
  }))
}

/**
 * For shapes alone: the further outputs of normalisations in a training step (batch statistics; a layer's mean and inverse deviation)
 * come from nodes of their own, since shape inference knows the first output only. A layer's are taken as large as its input.
 */
function withStandIns(nodes: readonly Node[]): Node[] {
  return nodes.flatMap((node) => {
    const from = { BatchNormalization: [3, 4], LayerNormalization: [0, 0] }[node.op]
    const extra = node.outputs.slice(1).map((output, i) => ({ output, input: from && node.inputs[from[i] ?? -1] }))
    const known = extra.filter(({ output, input }) => output && input)
    if (known.length === 0 || known.length < extra.filter(({ output }) => output).length) return [node]
    const same = ({ output, input }: { output: string; input: string | undefined }): Node => ({
      name: node.name,
      op: 'Identity',
      domain: '',
      inputs: [input!],
      outputs: [output],
      attributes: {},
    })
    return [{ ...node, outputs: node.outputs.slice(0, 1) }, ...known.map(same)]
  })
}

export type Shapes = ReturnType<typeof inferShapes>

/**
 * Shapes of all values, with symbolic dimensions at the sizes given. Those that are not are tried small, then greater: an
 * image has a least size below which a model does not work.
 */
function inferred(model: Model, symbols: readonly string[], given: Record<string, number> = {}): Shapes {
  let first: unknown
  for (const size of symbols.length ? TRIAL_SIZES : TRIAL_SIZES.slice(0, 1)) {
    try {
      return inferShapes(model, Object.fromEntries(symbols.map((name) => [name, given[name] ?? size])))
    } catch (error) {
      first ??= error
    }
  }
  throw refusalOf(first, 'its nodes do not fit together')
}

/** Bytes alive at once at most. Each node's own outputs are checked on the way: a value whose size is unknown is refused. */
const peak = ({ graph: { nodes, inputs, outputs } }: Model, shapes: Shapes): number =>
  peakBytes({
    nodes,
    inputs: inputs.map(({ name }) => name),
    outputs: outputs.map(({ name }) => name),
    bytesOf: (name) => sizeIn(shapes, name),
    unknown: (name, i) => {
      throw unknownSize(name, nodes[i]!)
    },
  })

function sizeIn(shapes: Shapes, name: string): number | undefined {
  const type = shapes.get(name)
  return type?.shape.every((n) => typeof n === 'number')
    ? sizeOf(type.shape as number[]) * bytesOf(type.dtype)
    : undefined
}

const unknownSize = (name: string, { op, name: node }: { op: string; name: string }): PinGoError =>
  refusal(
    `the size of '${clip(name)}', made by its node '${clip(node)}' (${op}), cannot be told before it runs`,
    {},
    { op, node },
  )

function refusal(
  reason: string,
  options: { cause?: unknown; hint?: string } = {},
  at = { op: '', node: '' },
): PinGoError {
  const details: Refusal = { op: clip(at.op), node: clip(at.node), reason }
  return new PinGoError('GRAPH_REFUSED', `The graph is refused: ${reason.replace(/\.$/, '')}.`, {
    ...options,
    details: { ...details },
  })
}

const clip = (text: string): string => (text.length > MAX_NAME ? `${text.slice(0, MAX_NAME)}…` : text)
const lower = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)
const mebibytes = (bytes: number): number => Math.ceil(bytes / 2 ** 20)
