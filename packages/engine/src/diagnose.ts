import { type Model, type Node, writeModel } from '@pingo/graph'
import { bytesOf, sizeOf } from '@pingo/wire'
import type { Spread } from './protocol.ts'
import { type Admitted, admit } from './screen.ts'

/** Bytes of values that one run hands out, and runs of one diagnosis. */
const MAX_PROBE_BYTES = 64 << 20
const MAX_PROBES = 64

/** Where the first NaN or infinity of a step came from. */
export interface Origin {
  /** `input`: it came in with the batch; `before`: a parameter or a state tensor held it before the step. */
  kind: 'input' | 'before' | 'node'
  /** The user's node ('' for the other kinds), and whether it was its forward or its backward computation. */
  node: string
  phase: 'forward' | 'backward' | 'update' | 'loss' | ''
  op: string
  tensor: string
  spread: Spread
  /** Greatest finite size of an element among the node's inputs. */
  largestInput: number
}

/** Runs a graph on the inputs of the failing step and tells of every output how its elements lie; without a graph, of the inputs. */
export type Probe = (graph?: Uint8Array) => Promise<Record<string, Spread>>

const isBroken = (s: Spread | undefined): boolean => s !== undefined && s.nan + s.infinite > 0

/**
 * Finds where the NaN or infinity in a step's results began: runs the step again on the same inputs with all its values handed out, and
 * follows the broken ones back from the results. Infinities that stem from the graph's own constants (an attention mask) are not what went
 * wrong unless they become NaN.
 * @returns undefined when all is finite this time
 */
export async function findOrigin(
  step: Uint8Array,
  batchNames: ReadonlySet<string>,
  probe: Probe,
): Promise<Origin | undefined> {
  const admitted = admit(step)
  const { model } = admitted
  const feeds = await probe()
  const found = new Map(Object.entries(feeds))
  for (const part of partsOf(admitted)) for (const [name, s] of Object.entries(await probe(part))) found.set(name, s)
  const { nodes, outputs } = model.graph
  const masked = maskedValues(model, found)
  const producers = new Map(nodes.flatMap((node, i) => node.outputs.map((output) => [output, i] as const)))
  const roots = outputs.flatMap(({ name }) => {
    if (!isBroken(found.get(name))) return []
    const root = rootOf(name, nodes, producers, found, masked)
    return [{ root, at: producers.get(root) ?? -1 }]
  })
  const first = roots.sort((a, b) => a.at - b.at)[0]
  if (!first) return undefined
  const spread = found.get(first.root)!
  const node = nodes[first.at]
  if (!node) {
    const kind = batchNames.has(first.root) ? 'input' : 'before'
    return { kind, node: '', phase: '', op: '', tensor: first.root, spread, largestInput: 0 }
  }
  const largestInput = Math.max(0, ...node.inputs.map((name) => found.get(name)?.largest ?? 0))
  return { kind: 'node', ...placeOf(node), op: node.op, tensor: first.root, spread, largestInput }
}

/** From a broken value back along broken ones, NaN before infinity, to the first whose makers were all finite. */
function rootOf(
  from: string,
  nodes: readonly Node[],
  producers: ReadonlyMap<string, number>,
  found: ReadonlyMap<string, Spread>,
  masked: ReadonlySet<string>,
): string {
  let at = from
  for (;;) {
    const node = nodes[producers.get(at) ?? -1]
    if (!node) return at
    const broken = node.inputs.filter((name) => isBroken(found.get(name)) && !masked.has(name))
    const isNan = found.get(at)!.nan > 0
    const next = (isNan ? broken.find((name) => found.get(name)!.nan > 0) : undefined) ?? broken[0]
    if (next === undefined) return at
    at = next
  }
}

/** Values that are infinite because a constant of the graph is. */
function maskedValues({ graph }: Model, found: ReadonlyMap<string, Spread>): Set<string> {
  const masked = new Set<string>()
  for (const [name, { dtype, data }] of graph.initializers)
    if (dtype === 'float32' && (data as Float32Array).some((x) => !Number.isFinite(x))) masked.add(name)
  for (const { inputs, outputs } of graph.nodes)
    for (const output of outputs) {
      const s = found.get(output)
      if (s && s.infinite > 0 && s.nan === 0 && inputs.some((name) => masked.has(name))) masked.add(output)
    }
  return masked
}

/** The step graph cut into graphs that hand out all float values, some at a time, each with the nodes that it needs. */
function* partsOf({ model, shapes: types }: Pick<Admitted, 'model' | 'shapes'>): Generator<Uint8Array> {
  const { nodes, inputs } = model.graph
  const values = nodes.flatMap(({ outputs }, i) =>
    outputs.flatMap((name) => {
      const type = types.get(name)
      if (!name || type?.dtype !== 'float32' || type.shape.some((n) => typeof n !== 'number')) return []
      return [
        { name, at: i, shape: type.shape as number[], bytes: sizeOf(type.shape as number[]) * bytesOf('float32') },
      ]
    }),
  )
  const total = values.reduce((sum, { bytes }) => sum + bytes, 0)
  const limit = Math.max(MAX_PROBE_BYTES, total / (MAX_PROBES / 2))
  for (let from = 0; from < values.length; ) {
    let [to, bytes] = [from, 0]
    while (to < values.length && (to === from || bytes + values[to]!.bytes <= limit)) bytes += values[to++]!.bytes
    const part = values.slice(from, to)
    from = to
    const needed = new Set(part.map(({ name }) => name))
    const kept: Node[] = []
    for (let i = part.at(-1)!.at; i >= 0; i--) {
      const node = nodes[i]!
      if (!node.outputs.some((name) => name !== '' && needed.has(name))) continue
      for (const name of node.inputs) needed.add(name)
      kept.push(node)
    }
    yield writeModel({
      ...model,
      graph: {
        ...model.graph,
        nodes: kept.reverse(),
        inputs: inputs.filter(({ name }) => needed.has(name)),
        outputs: part.map(({ name, shape }) => ({ name, dtype: 'float32', shape })),
        initializers: new Map([...model.graph.initializers].filter(([name]) => needed.has(name))),
      },
    })
  }
}

/** The user's node in the name of an emitted one (see `GraphBuilder.finish`). */
function placeOf({ name }: Node): Pick<Origin, 'node' | 'phase'> {
  const origin = name.replace(/:?v:\d+$/, '')
  if (origin === 'optimizer') return { node: '', phase: 'update' }
  if (origin === 'loss' || origin === '') return { node: '', phase: 'loss' }
  if (origin === 'grad') return { node: '', phase: 'backward' }
  return origin.endsWith('/grad')
    ? { node: origin.slice(0, -5), phase: 'backward' }
    : { node: origin, phase: 'forward' }
}

/** The finding in a sentence. @param step number of the failing step in its lease, from 1 */
export function originSentence({ kind, node, phase, op, tensor, spread, largestInput }: Origin, step: number): string {
  const held = `${spread.nan > 0 ? 'NaN' : 'infinity'} in ${spread.nan + spread.infinite} of ${spread.size} elements`
  if (kind === 'input') return `The batch of step ${step} brought it: '${tensor}' holds ${held}.`
  if (kind === 'before')
    return step > 1
      ? `It began in the update of step ${step - 1}: '${tensor}' holds ${held} since then.`
      : `'${tensor}' held ${held} before the first step.`
  const where = {
    forward: `the node '${node}' (${op})`,
    backward: node ? `the gradient of the node '${node}' (${op})` : `the gradient (${op})`,
    update: `the optimiser's update (${op})`,
    loss: `the loss (${op})`,
    '': op,
  }[phase]
  return `It began in step ${step} at ${where}: '${tensor}' holds ${held}, made of finite numbers of up to ${largestInput.toPrecision(3)}.`
}
