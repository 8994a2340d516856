import { isPinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { inferShapes } from '../infer-shapes.ts'
import { float, floatOf, type Graph, intOf, type Model, type Node } from '../model.ts'
import { numbersOf, tensorOf } from '../tensors.ts'

/** y = x · scale + shift, one for each channel. */
interface Affine {
  scale: Float64Array
  shift: Float64Array
}

/**
 * Puts each BatchNormalization that follows a Conv, ConvTranspose, Gemm or MatMul (with or without an added bias) into its weights
 * (Jacob et al. 2018, section 3.2). One whose neighbours are read elsewhere too, or whose weights are not constants, stays.
 */
export function foldBatchNorms(model: Model): Graph {
  const folding = new Folding(model)
  for (const node of model.graph.nodes) if (node.op === 'BatchNormalization') folding.fold(node)
  return folding.graph()
}

class Folding {
  readonly #model: Model
  readonly #initializers: Map<string, Tensor>
  readonly #makers = new Map<string, Node>()
  readonly #uses = new Map<string, number>()
  /** What takes the place of a node; undefined: nothing. */
  readonly #changed = new Map<Node, Node | undefined>()
  readonly #ranks: ReadonlyMap<string, { shape: readonly unknown[] }>

  constructor(model: Model) {
    this.#model = model
    this.#initializers = new Map(model.graph.initializers)
    for (const node of model.graph.nodes) {
      for (const name of node.outputs) this.#makers.set(name, node)
      for (const name of inputsOf(node)) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1)
    }
    for (const { name } of model.graph.outputs) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1)
    this.#ranks = shapesOf(model)
  }

  graph(): Graph {
    const nodes = this.#model.graph.nodes.flatMap((node) => {
      if (!this.#changed.has(node)) return [node]
      const other = this.#changed.get(node)
      return other ? [other] : []
    })
    return { ...this.#model.graph, nodes, initializers: this.#initializers }
  }

  fold(norm: Node): void {
    const affine = this.#affine(norm)
    const from = norm.inputs[0]!
    const before = this.#makers.get(from)
    if (!affine || !before || this.#uses.get(from) !== 1 || this.#changed.has(before)) return
    const output = norm.outputs[0]!
    if (before.op === 'Conv' || before.op === 'ConvTranspose') this.#foldConv(norm, before, affine, output)
    if (before.op === 'Gemm') this.#foldGemm(norm, before, affine, output)
    if (before.op === 'MatMul') this.#foldMatMul(norm, before, undefined, affine, output)
    if (before.op === 'Add') {
      const at = before.inputs.findIndex((name) => this.#makers.get(name)?.op === 'MatMul')
      const product = this.#makers.get(before.inputs[at] ?? '')
      if (product && this.#uses.get(before.inputs[at]!) === 1 && !this.#changed.has(product))
        this.#foldMatMul(norm, product, before, affine, output, before.inputs[1 - at])
    }
  }

  /** The layer's line in evaluation; undefined where its statistics are not constants or it hands them out. */
  #affine({ inputs, outputs, attributes }: Node): Affine | undefined {
    if (intOf(attributes, 'training_mode', 0) || outputs.slice(1).some(Boolean)) return undefined
    const [gamma, beta, mean, variance] = inputs.slice(1).map((name) => this.#constant(name))
    if (!gamma || !beta || !mean || !variance) return undefined
    const epsilon = floatOf(attributes, 'epsilon', 1e-5)
    const scale = Float64Array.from(gamma, (g, i) => g / Math.sqrt(variance[i]! + epsilon))
    return { scale, shift: scale.map((s, i) => beta[i]! - mean[i]! * s) }
  }

  #foldConv(norm: Node, node: Node, affine: Affine, output: string): void {
    const { scale } = affine
    const weight = this.#initializers.get(node.inputs[1] ?? '')
    const bias: ArrayLike<number> | undefined = node.inputs[2]
      ? this.#constant(node.inputs[2])
      : new Float64Array(scale.length)
    if (!weight || !bias) return
    const groups = intOf(node.attributes, 'group', 1)
    const each = sizeOf(weight.shape.slice(2))
    const [rows, columns] = weight.shape as [number, number]
    // Conv weights are [out, in/groups, …]; those of ConvTranspose [in, out/groups, …].
    const channel =
      node.op === 'Conv'
        ? (i: number) => Math.floor(i / (each * columns))
        : (i: number) => {
            const group = Math.floor(Math.floor(i / (each * columns)) / (rows / groups))
            return group * columns + (Math.floor(i / each) % columns)
          }
    const inputs = [
      node.inputs[0]!,
      this.#scaled(node.inputs[1]!, weight, (i) => scale[channel(i)]!),
      this.#bias(norm, weight, bias, affine),
    ]
    this.#replace(norm, undefined, node, { ...node, inputs, outputs: [output] })
  }

  #foldGemm(norm: Node, node: Node, affine: Affine, output: string): void {
    const { scale } = affine
    const weight = this.#initializers.get(node.inputs[1] ?? '')
    const [alpha, beta] = [floatOf(node.attributes, 'alpha', 1), floatOf(node.attributes, 'beta', 1)]
    const given = node.inputs[2] ? this.#constant(node.inputs[2]) : new Float64Array(1)
    const n = scale.length
    if (!weight || !given || (given.length !== n && given.length !== 1)) return
    const turned = intOf(node.attributes, 'transB', 0) === 1
    const width = weight.shape[1]!
    const scaled = this.#scaled(node.inputs[1]!, weight, (i) => scale[turned ? Math.floor(i / width) : i % width]!)
    const bias = Float64Array.from({ length: n }, (_, i) => beta * given[given.length === 1 ? 0 : i]!)
    const attributes = { ...node.attributes, alpha: float(alpha), beta: float(1) }
    const inputs = [node.inputs[0]!, scaled, this.#bias(norm, weight, bias, affine)]
    this.#replace(norm, undefined, node, { ...node, inputs, outputs: [output], attributes })
  }

  #foldMatMul(
    norm: Node,
    product: Node,
    add: Node | undefined,
    affine: Affine,
    output: string,
    biasName?: string,
  ): void {
    const { scale } = affine
    const weight = this.#initializers.get(product.inputs[1] ?? '')
    const n = scale.length
    const bias = biasName === undefined ? new Float64Array(n) : this.#constant(biasName)
    // The channels of the normalisation are the columns of the product only where that is a matrix.
    const isMatrix = this.#ranks.get(product.outputs[0]!)?.shape.length === 2
    if (weight?.shape.length !== 2 || !isMatrix || !bias || (bias.length !== n && bias.length !== 1)) return
    const scaled = this.#scaled(product.inputs[1]!, weight, (i) => scale[i % n]!)
    const wide = Float64Array.from({ length: n }, (_, i) => bias[bias.length === 1 ? 0 : i]!)
    const held = this.#bias(norm, weight, wide, affine)
    this.#changed.set(product, { ...product, inputs: [product.inputs[0]!, scaled] })
    const sum = { ...norm, op: 'Add', inputs: [product.outputs[0]!, held], outputs: [output], attributes: {} }
    this.#replace(norm, add, undefined, sum)
  }

  /** `made` stands where the node `at` stood (or the normalisation itself); the rest goes. */
  #replace(norm: Node, dropped: Node | undefined, at: Node | undefined, made: Node): void {
    if (dropped) this.#changed.set(dropped, undefined)
    this.#changed.set(norm, at ? undefined : made)
    if (at) this.#changed.set(at, made)
  }

  /** A weight times a factor for each element, under a name of its own where others read it too. */
  #scaled(name: string, weight: Tensor, factor: (i: number) => number): string {
    const numbers = numbersOf(weight)
    const values = Float64Array.from({ length: numbers.length }, (_, i) => numbers[i]! * factor(i))
    return this.#put(
      this.#uses.get(name) === 1 ? name : `${name}.folded`,
      tensorOf(weight.dtype, weight.shape, values),
      name,
    )
  }

  #bias({ inputs }: Node, like: Tensor, bias: ArrayLike<number>, { scale, shift }: Affine): string {
    const values = scale.map((s, i) => bias[i]! * s + shift[i]!)
    return this.#put(`${inputs[2]}.folded`, tensorOf(like.dtype, [values.length], values))
  }

  #put(name: string, tensor: Tensor, over?: string): string {
    let free = name
    while (free !== over && (this.#initializers.has(free) || this.#makers.has(free))) free += "'"
    this.#initializers.set(free, tensor)
    return free
  }

  #constant(name: string): ArrayLike<number> | undefined {
    const tensor = this.#initializers.get(name)
    return tensor && numbersOf(tensor)
  }
}

/** Names that a node reads, also in graphs inside it. */
function inputsOf(node: Node): string[] {
  const inner = Object.values(node.attributes).flatMap((a) =>
    a.type === 'graph' ? [...a.value.nodes.flatMap(inputsOf), ...a.value.outputs.map(({ name }) => name)] : [],
  )
  return [...node.inputs, ...inner]
}

/** Shapes where they can be inferred; without them no MatMul is folded. */
function shapesOf(model: Model) {
  try {
    return inferShapes(model)
  } catch (error) {
    if (isPinGoError(error)) return new Map<string, { shape: readonly unknown[] }>()
    throw error
  }
}
