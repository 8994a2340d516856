import { allowedOperators, inferShapes, type Model, parseModel, type ValueInfo, writeModel } from '@pingo/graph'
import { bytesOf, type DType, isPinGoError, PinGoError, sizeOf } from '@pingo/wire'

/** Longest graph file that is looked at, bytes. */
export const MAX_GRAPH_BYTES = 1 << 30
/** Most nodes of a graph. A training step of a 12-layer transformer has about 5,000. */
export const MAX_GRAPH_NODES = 50_000
/** Most bytes of constants and weights inside a graph, together with those in attributes. */
export const MAX_INITIALIZER_BYTES = 1 << 30
/** Most bytes of tensors alive at once while a graph runs, as estimated from its shapes. */
export const MAX_PEAK_BYTES = 8 * 2 ** 30
/** Longest name in a refusal. */
const MAX_NAME = 100

export interface ScreenLimits {
  maxGraphBytes?: number
  maxNodes?: number
  maxInitializerBytes?: number
  maxPeakBytes?: number
  /** Refuse inputs with symbolic dimensions. */
  staticInputs?: boolean
  /** Sizes assumed for symbolic dimensions in the estimate of memory; 1 where none is given. */
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

/**
 * Screens a graph and writes it anew, so that what runs is exactly what was judged: whatever a second parser could read
 * differently (repeated fields, unknown fields) is gone.
 */
export function admit(graph: Uint8Array, limits: ScreenLimits = {}): { report: ScreenReport; bytes: Uint8Array } {
  const maxBytes = limits.maxGraphBytes ?? MAX_GRAPH_BYTES
  if (graph.byteLength > maxBytes) throw refusal(`it has ${graph.byteLength} bytes, over the limit of ${maxBytes}`)
  const model = parsed(graph)
  checkNodes(model, limits)
  const initializerBytes = checkInitializers(model, limits)
  const symbols = symbolsOf(model.graph.inputs)
  if (limits.staticInputs && symbols.length > 0)
    throw refusal(`its input has the symbolic dimension '${clip(symbols[0]!)}'; its shapes must be fixed`)
  const shapes = inferred(model, Object.fromEntries(symbols.map((name) => [name, limits.symbols?.[name] ?? 1])))
  const peakBytes = peak(model, shapes) + initializerBytes
  const maxPeak = limits.maxPeakBytes ?? MAX_PEAK_BYTES
  if (peakBytes > maxPeak)
    throw refusal(`it needs about ${mebibytes(peakBytes)} MiB of memory, over the limit of ${mebibytes(maxPeak)} MiB`)
  const operators: Record<string, number> = {}
  for (const { op } of model.graph.nodes) operators[op] = (operators[op] ?? 0) + 1
  const { inputs, outputs, nodes } = model.graph
  return {
    report: { nodes: nodes.length, operators, inputs, outputs, initializerBytes, peakBytes, symbols },
    bytes: writeModel(model),
  }
}

function parsed(bytes: Uint8Array): Model {
  try {
    return parseModel(bytes)
  } catch (error) {
    throw isPinGoError(error) ? refusal(lower(error.message), { cause: error, hint: error.hint }) : error
  }
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

/** Names of the inputs' symbolic dimensions; a nameless one is given a name of its own, in the model, so that it can be bound. */
function symbolsOf(inputs: ValueInfo[]): string[] {
  const symbols = new Set<string>()
  for (const input of inputs)
    for (const [axis, n] of input.shape.entries()) {
      if (typeof n === 'number') continue
      const symbol = n || `${input.name}.${axis}`
      input.shape[axis] = symbol
      symbols.add(symbol)
    }
  return [...symbols]
}

type Shapes = ReturnType<typeof inferShapes>

function inferred(model: Model, symbols: Record<string, number>): Shapes {
  try {
    return inferShapes(model, symbols)
  } catch (error) {
    if (!isPinGoError(error)) throw error
    const { op, node } = (error.details ?? {}) as Partial<Refusal>
    throw refusal(
      lower(error.message),
      { cause: error, hint: error.hint },
      { op: String(op ?? ''), node: String(node ?? '') },
    )
  }
}

/**
 * Greatest sum of the bytes of values alive at once when nodes run in the order of the file and a value is freed after its last
 * reader. Each node's own outputs are checked on the way: a value whose size is unknown is refused.
 */
function peak(model: Model, shapes: Shapes): number {
  const { nodes, inputs, outputs, initializers } = model.graph
  const lastUse = new Map<string, number>()
  for (const [i, node] of nodes.entries()) for (const name of node.inputs) lastUse.set(name, i)
  for (const { name } of outputs) lastUse.set(name, nodes.length)
  const size = (name: string): number | undefined => {
    const type = shapes.get(name)
    return type && bytesOfType(type)
  }
  let alive = inputs.reduce((sum, { name }) => sum + (size(name) ?? 0), 0)
  let most = alive
  for (const [i, node] of nodes.entries()) {
    const made = node.outputs.filter((name) => name !== '')
    for (const name of made) {
      const bytes = size(name)
      if (bytes === undefined)
        throw refusal(
          `the size of '${clip(name)}', made by its node '${clip(node.name)}' (${node.op}), cannot be told before it runs`,
          {},
          { op: node.op, node: node.name },
        )
      alive += bytes
    }
    most = Math.max(most, alive)
    for (const name of new Set([...node.inputs, ...made]))
      if (
        name !== '' &&
        !initializers.has(name) &&
        (lastUse.get(name) ?? i) === i &&
        (lastUse.has(name) || made.includes(name))
      )
        alive -= inputs.some((input) => input.name === name) ? 0 : (size(name) ?? 0)
  }
  return most
}

function bytesOfType({ dtype, shape }: { dtype: DType; shape: readonly (number | string)[] }): number | undefined {
  return shape.every((n) => typeof n === 'number') ? sizeOf(shape as number[]) * bytesOf(dtype) : undefined
}

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
