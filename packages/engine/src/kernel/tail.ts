import { type Model, type Node, numbersOf } from '@pingo/graph'
import { sizeOf, type TensorSpec } from '@pingo/wire'

/** Elementwise operations that a kernel can do, with how many operands each takes. */
const OPERATIONS = { Add: 2, Sub: 2, Mul: 2, Div: 2, Max: 2, Min: 2, Sqrt: 1, Neg: 1, Abs: 1, Sign: 1 } as const
export type KernelOp = keyof typeof OPERATIONS

/** Most arrays that one kernel reads: past that, streams through memory cost more than the graph's own operations. */
const MAX_READS = 8
/** Most operations of one kernel. */
const MAX_CODE = 64

/**
 * A loop over the elements of arrays of one size. Values are numbered: arrays read, then scalars, then constants, then the result
 * of each operation of `code`.
 */
export interface Kernel {
  /** Elements of every array. */
  size: number
  /** Names of the arrays read: kept tensors of the program, or cuts. */
  reads: string[]
  /** Names of the scalars read: scalar inputs of the program, or cuts. */
  scalars: string[]
  constants: number[]
  code: { op: KernelOp; args: number[] }[]
  /** Kept tensors that are overwritten, each with the number of its new value. */
  writes: { name: string; value: number }[]
}

/** The end of a step graph as kernels: what the optimiser does elementwise to parameters and state. */
export interface Tail {
  /** Outputs of the shortened graph that kernels read: gradients, and scalars such as a clipping factor. */
  cuts: TensorSpec[]
  kernels: Kernel[]
}

/**
 * Cuts the elementwise end off a training-step graph: the operations that lead to the outputs `next.<kept>` and to nothing else. What
 * remains of the graph computes the gradients; the kernels overwrite the kept tensors in place and do the very same roundings, operation by
 * operation, so that the bits are those of the whole graph. Any optimiser that is written elementwise is handled, without knowing which it is.
 * @param model a step graph with static shapes
 * @param shapes the shapes of all its values
 * @param kept parameters and optimiser state that are fed back
 * @param scalars names of the scalar inputs
 * @returns undefined when there is nothing to cut
 */
export function cutTail(
  model: Model,
  shapes: ReadonlyMap<string, { dtype: string; shape: readonly (number | string)[] }>,
  kept: readonly TensorSpec[],
  scalars: readonly string[],
): { model: Model; tail: Tail } | undefined {
  const { nodes, outputs, initializers } = model.graph
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const keptNames = new Set(kept.map(({ name }) => name))
  const wanted = kept.filter(({ name }) => producers.has(`next.${name}`))
  const elements = (name: string): number | undefined => {
    const type = shapes.get(name)
    return type?.dtype === 'float32' && type.shape.every((n) => typeof n === 'number')
      ? sizeOf(type.shape as number[])
      : undefined
  }
  const targets = new Set(wanted.map(({ name }) => `next.${name}`))
  const tailNodes = tailOf(nodes, targets, new Set(outputs.map(({ name }) => name)), elements)
  leaveSums(nodes, tailNodes, keptNames, elements)

  // A Reshape at the graph's end copies: what it reads has the same elements in the same order.
  const sourceOf = (name: string): string => {
    const node = producers.get(name)
    const [input] = node?.inputs ?? []
    const isView = node?.op === 'Reshape' && producers.has(input!) && elements(input!) === elements(name)
    return isView ? sourceOf(input!) : name
  }
  const groups = joined(wanted, producers, tailNodes, keptNames)
  const kernels: Kernel[] = []
  const cuts = new Map<string, TensorSpec>()
  const done = new Set<string>()
  for (const group of groups) {
    const kernel = kernelOf(group, { producers, sourceOf, tailNodes, elements, keptNames, scalars, initializers })
    if (!kernel) continue
    kernels.push(kernel)
    for (const { name } of group) done.add(`next.${name}`)
    for (const name of [...kernel.reads, ...kernel.scalars])
      if (!keptNames.has(name) && !scalars.includes(name))
        cuts.set(name, { name, dtype: 'float32', shape: [...(shapes.get(name)!.shape as number[])] })
  }
  if (!kernels.length) return undefined
  const ends = outputs.filter(({ name }) => !done.has(name)).concat([...cuts.values()])
  return { model: shortened(model, ends), tail: { cuts: [...cuts.values()], kernels } }
}

/** Nodes that a kernel can do and whose results go to such nodes or to `targets` alone. */
function tailOf(
  nodes: readonly Node[],
  targets: ReadonlySet<string>,
  outputs: ReadonlySet<string>,
  elements: (name: string) => number | undefined,
): Set<Node> {
  const readers = new Map<string, Node[]>()
  for (const node of nodes)
    for (const name of node.inputs) if (name) readers.set(name, [...(readers.get(name) ?? []), node])
  const tail = new Set<Node>()
  for (const node of nodes.toReversed()) {
    const [output, ...more] = node.outputs
    const arity = Object.hasOwn(OPERATIONS, node.op) ? OPERATIONS[node.op as KernelOp] : 0
    if (!output || more.length || node.domain || node.inputs.length !== arity) continue
    const size = elements(output)
    const broadcasts = node.inputs.some((name) => elements(name) !== size && elements(name) !== 1)
    if (size === undefined || broadcasts) continue
    const used = readers.get(output) ?? []
    if (targets.has(output) ? used.some((r) => !tail.has(r)) : outputs.has(output) || !used.every((r) => tail.has(r)))
      continue
    tail.add(node)
  }
  return tail
}

/**
 * Leaves to the graph what combines several of its own tensors before any kept one comes in, such as the sum of micro-batches' gradients: as
 * a cut each of them would need memory of its own for the whole step.
 */
function leaveSums(
  nodes: readonly Node[],
  tail: Set<Node>,
  kept: ReadonlySet<string>,
  elements: (name: string) => number | undefined,
): void {
  const withKept = new Set(kept)
  const makers = new Map<string, Node>()
  for (const node of nodes) {
    if (!tail.has(node)) continue
    const [output] = node.outputs as [string]
    makers.set(output, node)
    const operands = new Set(node.inputs.filter((name) => elements(name) === elements(output)))
    if (node.inputs.some((name) => withKept.has(name))) withKept.add(output)
    else if (operands.size > 1)
      for (const open = [node]; open.length; ) {
        const left = open.pop()!
        if (tail.delete(left)) open.push(...left.inputs.flatMap((name) => makers.get(name) ?? []))
      }
  }
}

/**
 * Kept tensors as one kernel overwrites them: whoever reads a kept tensor is in the kernel that overwrites it, for kernels run one after
 * the other and each must see what was there before the step.
 */
function joined(
  wanted: readonly TensorSpec[],
  producers: ReadonlyMap<string, Node>,
  tail: ReadonlySet<Node>,
  kept: ReadonlySet<string>,
): TensorSpec[][] {
  const groups = new Map<string, TensorSpec[]>()
  for (const spec of wanted) {
    const touched = new Set([spec.name])
    const seen = new Set<Node>()
    const open = [producers.get(`next.${spec.name}`)]
    while (open.length) {
      const node = open.pop()
      if (!node || seen.has(node) || !tail.has(node)) continue
      seen.add(node)
      for (const name of node.inputs) if (kept.has(name)) touched.add(name)
      open.push(...node.inputs.map((name) => producers.get(name)))
    }
    const met = new Set([...touched].flatMap((name) => groups.get(name) ?? []))
    const group = [...met, spec]
    const owners = new Set([...touched].map((name) => groups.get(name)))
    for (const [name, owner] of groups) if (owners.has(owner)) groups.set(name, group)
    for (const name of touched) groups.set(name, group)
  }
  // A kept tensor that is read and never overwritten brings a group, but no member.
  return [...new Set(groups.values())]
}

interface Surroundings {
  producers: ReadonlyMap<string, Node>
  /** The value whose elements a value has, before it was given another shape. */
  sourceOf(name: string): string
  tailNodes: ReadonlySet<Node>
  elements(name: string): number | undefined
  keptNames: ReadonlySet<string>
  scalars: readonly string[]
  initializers: Model['graph']['initializers']
}

/** The kernel that computes the next values of tensors of one size; undefined when it would be too wide or long. */
function kernelOf(group: readonly TensorSpec[], around: Surroundings): Kernel | undefined {
  const size = sizeOf(group[0]!.shape)
  const reads: string[] = []
  const scalars: string[] = []
  const constants: number[] = []
  const operations: { op: KernelOp; args: string[]; output: string }[] = []
  const seen = new Set<string>()
  const visit = (read: string): void => {
    const name = around.sourceOf(read)
    if (seen.has(name)) return
    seen.add(name)
    const node = around.producers.get(name)
    if (node && around.tailNodes.has(node)) {
      for (const input of node.inputs) visit(input)
      operations.push({ op: node.op as KernelOp, args: node.inputs, output: name })
      return
    }
    const constant = around.initializers.get(name)
    if (constant && sizeOf(constant.shape) === 1) constants.push(Number(numbersOf(constant)[0]))
    else (around.elements(name) === 1 && !around.keptNames.has(name) ? scalars : reads).push(name)
  }
  for (const { name } of group) visit(`next.${name}`)
  const fits = group.every(({ shape }) => sizeOf(shape) === size)
  // What is read must be kept, told anew at every step, or made by the graph, which can hand over nothing but its own values.
  const made = (name: string) => around.producers.has(name)
  const foreign =
    reads.some((name) => around.elements(name) !== size || !(around.keptNames.has(name) || made(name))) ||
    scalars.some((name) => !(around.scalars.includes(name) || made(name)))
  if (!fits || foreign || reads.length > MAX_READS || operations.length > MAX_CODE) return undefined
  const named = [...seen].filter((name) => {
    const constant = around.initializers.get(name)
    return constant && sizeOf(constant.shape) === 1
  })
  const numbers = new Map<string, number>()
  for (const name of [...reads, ...scalars, ...named, ...operations.map(({ output }) => output)])
    numbers.set(name, numbers.size)
  return {
    size,
    reads,
    scalars,
    constants,
    code: operations.map(({ op, args }) => ({ op, args: args.map((name) => numbers.get(around.sourceOf(name))!) })),
    writes: group.map(({ name }) => ({ name, value: numbers.get(`next.${name}`)! })),
  }
}

/** The graph with other outputs, without the nodes, inputs and initialisers that these do not need. */
function shortened(model: Model, outputs: Model['graph']['outputs']): Model {
  const needed = new Set(outputs.map(({ name }) => name))
  const nodes: Node[] = []
  for (const node of model.graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue
    for (const name of node.inputs) needed.add(name)
    nodes.push(node)
  }
  return {
    ...model,
    graph: {
      ...model.graph,
      nodes: nodes.reverse(),
      inputs: model.graph.inputs.filter(({ name }) => needed.has(name)),
      outputs,
      initializers: new Map([...model.graph.initializers].filter(([name]) => needed.has(name))),
    },
  }
}
