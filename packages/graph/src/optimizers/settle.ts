import type { Group, Optimizer } from '@pingo/wire'
import type { GraphBuilder, Operation } from '../builder.ts'
import type { Value } from '../operator.ts'
import { matchesAny } from '../patterns.ts'

/** Operations between the last matrix product and the model's output. */
const AFTER_HEAD = new Set(['Add', 'Mul', 'Div', 'Reshape', 'Transpose', 'Softmax', 'LogSoftmax', 'Sigmoid'])
const PRODUCTS = new Set(['MatMul', 'FusedMatMul', 'Gemm'])
const LAYERS = new Set([...PRODUCTS, 'Conv', 'ConvTranspose', 'Einsum'])

/**
 * The optimiser with what follows from the model: Muon is for hidden matrices, so that embeddings, positions and all else that multiplies
 * nothing, and the last layer, become AdamW's, unless a group says `adamw: false` (Jordan 2024).
 */
export function settleOptimizer(
  b: GraphBuilder,
  optimizer: Optimizer,
  weights: readonly Value[],
  output: Value,
): Optimizer {
  if (optimizer.kind !== 'muon') return optimizer
  const outer = new Set(
    weights.filter((w) => w.shape.length >= 2 && !isHidden(b, weights, w)).concat(headsOf(b, weights, output)),
  )
  const { groups = [] } = optimizer
  const settled = new Map<Group | undefined, string[]>()
  for (const { name } of outer) {
    const group = groups.find(({ match }) => matchesAny(match, name))
    if (group?.adamw === undefined) settled.set(group, [...(settled.get(group) ?? []), name])
  }
  const added = [...settled].map(([group, match]): Group => ({ ...group, match, adamw: true }))
  return added.length ? { ...optimizer, groups: [...added, ...groups] } : optimizer
}

/** Whether a weight multiplies as a matrix or kernel, and is not read by rows too. */
function isHidden(b: GraphBuilder, weights: readonly Value[], { name }: Value): boolean {
  const own = (v: Value | undefined) => weightBehind(b, weights, v)?.name === name
  const isTable = b.operations.some(({ op, inputs }) => op === 'Gather' && inputs[0]?.name === name)
  return !isTable && b.operations.some(({ op, inputs }) => LAYERS.has(op) && inputs.some(own))
}

/** Weights of the matrix product that makes the output. */
function headsOf(b: GraphBuilder, weights: readonly Value[], output: Value): Value[] {
  let at: Value | undefined = output
  for (;;) {
    const producer: Operation | undefined = at && b.producers.get(at.name)
    if (!producer) return []
    if (PRODUCTS.has(producer.op)) return producer.inputs.flatMap((v) => weightBehind(b, weights, v) ?? [])
    if (!AFTER_HEAD.has(producer.op)) return []
    at = producer.inputs.find((v) => v && b.producers.has(v.name) && !weightBehind(b, weights, v))
  }
}

function weightBehind(b: GraphBuilder, weights: readonly Value[], v: Value | undefined): Value | undefined {
  const producer = v && b.producers.get(v.name)
  if (producer)
    return ['Transpose', 'Reshape'].includes(producer.op) ? weightBehind(b, weights, producer.inputs[0]) : undefined
  return weights.find(({ name, shape }) => name === v?.name && shape.length >= 2)
}
