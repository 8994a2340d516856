import { type LoraAdapter as Adapter, type LoraSettings, PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { adaptersOf, METADATA_KEY, nameA, nameB } from './adapters.ts'
import { intOf, ints, type Model, type Node } from './model.ts'
import { checkPatterns, matchesAny } from './patterns.ts'
import { Random } from './templates/random.ts'
import { isFloat, numbersOf, tensorOf } from './tensors.ts'
import { splitTie } from './ties.ts'
import { withWeights } from './weights.ts'

/** Of the names of nodes, values and constants that adapters are made of. */
const PREFIX = 'pingo.lora/'

export interface LoraOptions extends LoraSettings {
  /** Seed of the initial A matrices. Default 0. */
  seed?: number
}

/**
 * Puts low-rank adapters (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models") beside the weights of MatMul, Gemm and
 * Conv whose names match, and freezes all others: `buildProgram` and `buildGradients` train the adapters alone (and move running
 * statistics of BatchNormalization).
 *
 * A layer y = x W becomes y = x W + alpha / rank * (x A) B with the new initialisers `<weight>.lora_A` [in, rank] and `<weight>.lora_B`
 * [rank, out]; a convolution gets A [rank, in, k, k] and B [out, rank, 1, 1], a grouped one B [out, rank] A [rank, (in / group) k k] added
 * to its weight. A starts as uniform numbers of ±1/sqrt(in), B as zeros, so that the model gives what it gave. The list of adapters stands
 * in the model's metadata: it can be written, read and trained on; {@link mergeLora} folds them in.
 * @param options alpha: default the rank (scale 1); match: default all weights of two and more axes that such nodes read
 * @throws PinGoError LORA_EXISTS, LORA_NOTHING, GRAPH_PATTERN_UNKNOWN
 */
export function withLora(given: Model, options: LoraOptions): Model {
  const model = untied(given)
  if (METADATA_KEY in model.metadata)
    throw new PinGoError('LORA_EXISTS', 'The model has adapters already.', {
      hint: 'Merge them first, or train these.',
    })
  const { rank, alpha = rank, match = ['*'], seed = 0 } = options
  const readers = model.graph.nodes.flatMap((node) => readerOf(model, node) ?? [])
  if (!readers.length)
    throw new PinGoError('LORA_NOTHING', 'The model has no MatMul, Gemm or Conv that reads a stored weight.', {
      hint: 'Train the model itself, without lora.',
    })
  checkPatterns(
    'lora.match',
    match,
    readers.map(({ weight }) => weight),
  )
  const random = new Random(seed)
  const initializers = new Map(model.graph.initializers)
  const adapters: Adapter[] = []
  const nodes = model.graph.nodes.flatMap((node): Node[] => {
    const reader = readers.find((r) => r.node === node)
    if (!reader || !matchesAny(match, reader.weight)) return [node]
    // A weight that is read in two ways is adapted for the first alone.
    const other = adapters.find(({ weight }) => weight === reader.weight)
    if (other && (other.form !== reader.form || other.transposed !== reader.transposed)) return [node]
    const prefix = `${PREFIX}${adapters.length}/`
    const adapter: Adapter = {
      weight: reader.weight,
      output: node.outputs[0]!,
      base: `${prefix}base`,
      form: reader.form,
      transposed: reader.transposed,
      scale: alpha / rank,
      rank,
    }
    adapters.push(adapter)
    return adapted(node, adapter, prefix, model.graph.initializers.get(reader.weight)!, initializers, random)
  })
  const metadata = { ...model.metadata, [METADATA_KEY]: JSON.stringify(adapters) }
  return { ...model, metadata, graph: { ...model.graph, nodes, initializers } }
}

/** The model with the weights of their own that training would give to layers which an exporter stored once. */
function untied(model: Model): Model {
  const ties = model.graph.nodes.flatMap((node): [string, Tensor][] => {
    const tensor = splitTie(model, node)
    return tensor ? [[node.outputs[0]!, tensor]] : []
  })
  return ties.length ? withWeights(model, new Map(ties)) : model
}

interface Reader {
  node: Node
  weight: string
  form: Adapter['form']
  transposed: boolean
}

/** The stored weight that a MatMul, Gemm or Conv multiplies by. */
function readerOf(model: Model, node: Node): Reader | undefined {
  const held = (name: string | undefined, rank: (n: number) => boolean) => {
    const tensor = model.graph.initializers.get(name ?? '')
    return tensor && isFloat(tensor.dtype) && rank(tensor.shape.length) ? name : undefined
  }
  const from = node.inputs[1]
  if (node.domain !== '' || !node.outputs[0]) return undefined
  if (node.op === 'Conv') {
    const weight = held(from, (n) => n >= 3)
    if (weight === undefined) return undefined
    return { node, weight, form: intOf(node.attributes, 'group', 1) === 1 ? 'conv' : 'grouped', transposed: false }
  }
  if (node.op !== 'MatMul' && node.op !== 'Gemm') return undefined
  const turned = node.op === 'Gemm' && intOf(node.attributes, 'transB', 0) === 1
  const direct = held(from, (n) => n === 2)
  if (direct !== undefined) return { node, weight: direct, form: 'product', transposed: turned }
  const transpose = model.graph.nodes.find(({ op, outputs }) => op === 'Transpose' && outputs[0] === from)
  const behind = held(transpose?.inputs[0], (n) => n === 2)
  if (behind === undefined || !isSwap(transpose!)) return undefined
  return { node, weight: behind, form: 'product', transposed: !turned }
}

/** Whether a Transpose of a matrix swaps its axes. */
function isSwap({ attributes }: Node): boolean {
  const perm = attributes.perm?.type === 'ints' ? attributes.perm.value : [1, 0]
  return perm[0] === 1
}

/** The node and, behind it, its adapter; A and B are added to `initializers` (once for a weight that several nodes read). */
function adapted(
  node: Node,
  { weight, output, base, form, transposed, scale, rank }: Adapter,
  prefix: string,
  tensor: Tensor,
  initializers: Map<string, Tensor>,
  random: Random,
): Node[] {
  const [a, b, factor] = [nameA(weight), nameB(weight), `${prefix}scale`]
  const { dtype, shape } = tensor
  const make = (op: string, inputs: string[], to: string, attributes: Node['attributes'] = {}): Node => ({
    name: to,
    op,
    domain: '',
    inputs,
    outputs: [to],
    attributes,
  })
  const start = (shapeA: number[], shapeB: number[], fanIn: number) => {
    if (initializers.has(a)) return
    const bound = 1 / Math.sqrt(fanIn)
    const draw = () => (2 * random.uniform() - 1) * bound
    initializers.set(a, tensorOf(dtype, shapeA, Array.from({ length: sizeOf(shapeA) }, draw)))
    initializers.set(b, tensorOf(dtype, shapeB, []))
  }
  initializers.set(factor, tensorOf(dtype, [], [scale]))
  if (form === 'grouped') {
    const inner = sizeOf(shape.slice(1))
    start([rank, inner], [shape[0]!, rank], inner)
    initializers.set(`${prefix}shape`, tensorOf('int64', [shape.length], shape))
    return [
      make('MatMul', [b, a], `${prefix}product`),
      make('Mul', [`${prefix}product`, factor], `${prefix}scaled`),
      make('Reshape', [`${prefix}scaled`, `${prefix}shape`], `${prefix}delta`),
      make('Add', [weight, `${prefix}delta`], `${prefix}weight`),
      { ...node, inputs: node.inputs.map((name, i) => (i === 1 ? `${prefix}weight` : name)) },
    ]
  }
  const renamed = { ...node, outputs: [base, ...node.outputs.slice(1)] }
  const tail = [make('Mul', [`${prefix}up`, factor], `${prefix}scaled`), make('Add', [base, `${prefix}scaled`], output)]
  tail[1]!.name = `${prefix}sum`
  const [x] = node.inputs as [string]
  if (form === 'conv') {
    const ones = shape.slice(2).map(() => 1)
    start([rank, ...shape.slice(1)], [shape[0]!, rank, ...ones], sizeOf(shape.slice(1)))
    return [
      renamed,
      make('Conv', [x, a], `${prefix}down`, node.attributes),
      make('Conv', [`${prefix}down`, b], `${prefix}up`),
      ...tail,
    ]
  }
  const [fanIn, fanOut] = transposed ? [shape[1]!, shape[0]!] : [shape[0]!, shape[1]!]
  start([fanIn, rank], [rank, fanOut], fanIn)
  const turn = node.op === 'Gemm' && intOf(node.attributes, 'transA', 0) === 1
  const alpha = node.op === 'Gemm' && node.attributes.alpha?.type === 'float' ? node.attributes.alpha.value : 1
  // A Gemm's own alpha scales the adapter too: it is part of the weight.
  if (alpha !== 1) initializers.set(factor, tensorOf(dtype, [], [scale * alpha]))
  return [
    renamed,
    ...(turn ? [make('Transpose', [x], `${prefix}turned`, { perm: ints([1, 0]) })] : []),
    make('MatMul', [turn ? `${prefix}turned` : x, a], `${prefix}down`),
    make('MatMul', [`${prefix}down`, b], `${prefix}up`),
    ...tail,
  ]
}

/** Whether a model has adapters. */
export const hasLora = (model: Model): boolean => METADATA_KEY in model.metadata

/**
 * The plain model that a model with adapters is equal to: each weight W becomes W + scale * A B, the adapters are gone. Where a weight is
 * also read by something that has no adapter (an embedding tied to the head), the adapted layer gets a copy of its own,
 * `<weight>.merged`. A model without adapters comes back as it is.
 * @throws PinGoError LORA_INVALID
 */
export function mergeLora(model: Model): Model {
  const adapters = adaptersOf(model)
  if (!adapters) return model
  const initializers = new Map(model.graph.initializers)
  let nodes = model.graph.nodes
  for (const [i, adapter] of adapters.entries()) {
    const prefix = `${PREFIX}${i}/`
    const { weight, base, output, form } = adapter
    nodes = nodes
      .filter(({ name }) => !name.startsWith(prefix))
      .map((node) => {
        if (form === 'grouped')
          return { ...node, inputs: node.inputs.map((name) => (name === `${prefix}weight` ? weight : name)) }
        return { ...node, outputs: node.outputs.map((name) => (name === base ? output : name)) }
      })
    for (const part of ['scale', 'shape']) initializers.delete(`${prefix}${part}`)
  }
  const byWeight = new Map(adapters.map((adapter) => [adapter.weight, adapter]))
  for (const [weight, adapter] of byWeight) {
    const merged = mergedWeight(model.graph.initializers, adapter)
    initializers.delete(nameA(weight))
    initializers.delete(nameB(weight))
    const outputs = new Set(adapters.filter((other) => other.weight === weight).map(({ output }) => output))
    const isAdapted = (node: Node) => outputs.has(node.outputs[0] ?? '')
    const transposes = nodes.filter(({ op, inputs }) => op === 'Transpose' && inputs[0] === weight)
    const turned = new Set(transposes.flatMap((node) => node.outputs))
    const foreign = nodes.some(
      (node) =>
        !isAdapted(node) &&
        node.inputs.some((name) => turned.has(name) || (name === weight && !transposes.includes(node))),
    )
    if (!foreign && !model.graph.outputs.some(({ name }) => turned.has(name))) {
      initializers.set(weight, merged)
      continue
    }
    const copy = `${weight}.merged`
    initializers.set(copy, merged)
    nodes = nodes.flatMap((node): Node[] => {
      if (!isAdapted(node)) return [node]
      const from = node.inputs[1]!
      if (from === weight) return [{ ...node, inputs: node.inputs.map((name, i) => (i === 1 ? copy : name)) }]
      const own = `${node.outputs[0]}.weight`
      return [
        { name: own, op: 'Transpose', domain: '', inputs: [copy], outputs: [own], attributes: { perm: ints([1, 0]) } },
        { ...node, inputs: node.inputs.map((name, i) => (i === 1 ? own : name)) },
      ]
    })
  }
  const metadata = { ...model.metadata }
  delete metadata[METADATA_KEY]
  return { ...model, metadata, graph: { ...model.graph, nodes, initializers } }
}

/** W + scale * A B, summed in double precision. */
function mergedWeight(
  tensors: ReadonlyMap<string, Tensor>,
  { weight, form, transposed, scale, rank }: Adapter,
): Tensor {
  const tensor = tensors.get(weight)!
  const [w, a, b] = [weight, nameA(weight), nameB(weight)].map((name) => numbersOf(tensors.get(name)!)) as [
    ArrayLike<number>,
    ArrayLike<number>,
    ArrayLike<number>,
  ]
  const columns = sizeOf(tensor.shape.slice(1))
  const values = Float64Array.from(w)
  if (a.length % rank !== 0 || b.length % rank !== 0 || (a.length / rank) * (b.length / rank) !== w.length)
    throw new PinGoError('LORA_INVALID', `The adapter of '${weight}' is not of its rank ${rank} and size.`)
  const isProduct = form === 'product'
  const [fanIn, fanOut] = [a.length / rank, b.length / rank]
  for (let i = 0; i < values.length; i++) {
    const [row, column] = [Math.floor(i / columns), i % columns]
    const [into, out] = isProduct && !transposed ? [row, column] : [column, row]
    let sum = 0
    for (let r = 0; r < rank; r++)
      sum += isProduct ? a[into * rank + r]! * b[r * fanOut + out]! : a[r * fanIn + into]! * b[out * rank + r]!
    values[i]! += scale * sum
  }
  return tensorOf(tensor.dtype, tensor.shape, values)
}
