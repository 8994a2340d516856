import { type DType, PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { adapterNames } from './adapters.ts'
import type { GraphBuilder } from './builder.ts'
import { bind, type Scope, sequenceOperators, unrollLoop } from './control-flow.ts'
import { located, type Place, placeOf, unsupported } from './failures.ts'
import { type Graph, intOf, type Model, type Node } from './model.ts'
import type { Value } from './operator.ts'
import { operatorOf } from './operators/index.ts'
import type { NoiseSource } from './operators/random.ts'
import { isParameter, learnsConstants } from './parameters.ts'
import { matchesAny } from './patterns.ts'
import { BatchPlaces, type Rebatch } from './rebatch.ts'
import { tablesOf } from './tables.ts'
import { castTensor, isFloat } from './tensors.ts'
import { foldedTies, splitTie } from './ties.ts'

/** How nodes behave that differ in training: as there, as in inference, or BatchNormalization as its own node says. */
export type TrainingMode = boolean | 'file'

export interface ImportOptions {
  /** True for the step graph: batch statistics, buffers move. */
  training: TrainingMode
  /** `all`: every float initialiser counts as a weight but lone constants; default: masks and what looks like a constant do not. */
  weights?: 'likely' | 'all' | undefined
  /** Where Dropout and random nodes get their numbers; without it Dropout passes its input through, and random nodes give their mean. */
  noise?: NoiseSource
  /** Names of initialisers that stay as they are, or patterns of them; running statistics move all the same. */
  frozen?: readonly string[]
  /** An earlier import of the same model into the same builder: its weights are shared, its running statistics go on from there. */
  after?: Imported
  /** Where another batch is wanted than the fixed one of the file. */
  exported?: Rebatch
  /** Called for a node that cannot be handled; without it the error is thrown. */
  onBlocked?(place: Place, error: PinGoError): void
}

interface Settled extends ImportOptions {
  isFrozen(name: string): boolean
}

export interface Imported extends Scope {
  /** Values by their names in the model. */
  values: Map<string, Value>
  /** Weights that could be trained, by initialiser name, in the model's order. */
  weights: Map<string, Value>
  /** Running statistics: the initialiser and its next value. */
  buffers: Map<string, Value>
  /** Names of the weights that stay as they are. */
  frozen: string[]
  /** Things the user should know. */
  notes: string[]
  /** Where the batch lies, when it is another than the file's. */
  places?: BatchPlaces
}

/**
 * Translates a model (opset 11 to 23) into the builder's operators, with static shapes from `inputs` on. Half and double precision weights
 * become float32.
 * @throws PinGoError GRAPH_UNSUPPORTED, GRAPH_SHAPE_MISMATCH naming node, operator and shapes
 */
export function importModel(
  b: GraphBuilder,
  model: Model,
  inputs: ReadonlyMap<string, Value>,
  asked: ImportOptions,
): Imported {
  const options: Settled = { ...asked, isFrozen: asked.weights === 'all' ? () => false : freezer(model, asked.frozen) }
  const buffers = new Map(options.after?.buffers)
  const imported: Imported = {
    values: new Map(inputs),
    sequences: new Map(),
    unrolled: 0,
    weights: new Map(),
    buffers,
    frozen: [],
    notes: [],
  }
  if (options.exported) imported.places = new BatchPlaces(options.exported, inputs.keys(), imported.values)
  const ties = foldedTies(model)
  const used = new Set([...namesRead(model.graph), ...model.graph.outputs.map(({ name }) => name)])
  for (const [name, tensor] of model.graph.initializers)
    if (used.has(name) && !ties.has(name)) imported.values.set(name, leaf(b, model, name, tensor, imported, options))
  for (const [copy, original] of ties) {
    if (!used.has(copy)) continue
    const weight = imported.weights.get(original)
    const tensor = model.graph.initializers.get(copy)!
    const value = weight ? b.transpose(weight, [1, 0]) : leaf(b, model, copy, tensor, imported, options)
    imported.values.set(copy, value)
    if (weight) imported.notes.push(`'${copy}' is '${original}' transposed: they are one weight, as in PyTorch.`)
  }
  for (const node of model.graph.nodes) importNode(b, model, node, imported, options)
  b.origin = ''
  if (options.weights !== 'all') imported.notes.push(...notesOnTables(model, used))
  return imported
}

/** What is not trained although it might be taken for weights. */
function notesOnTables(model: Model, used: ReadonlySet<string>): string[] {
  const told = [...tablesOf(model)].filter(([name]) => used.has(name)).map(([name, what]) => `'${name}' (${what})`)
  const more = told.length > 3 ? `, and ${told.length - 3} more` : ''
  return told.length ? [`Kept as they are, for they follow a formula: ${told.slice(0, 3).join(', ')}${more}.`] : []
}

/** Names that the nodes of a graph read, those of the graphs inside them too. */
function namesRead({ nodes }: Graph): string[] {
  return nodes.flatMap(({ inputs, attributes }) => [
    ...inputs,
    ...Object.values(attributes).flatMap((a) =>
      a.type === 'graph' ? [...namesRead(a.value), ...a.value.outputs.map(({ name }) => name)] : [],
    ),
  ])
}

/** An initialiser as a weight that may be trained, or as a constant. */
function leaf(
  b: GraphBuilder,
  model: Model,
  name: string,
  tensor: Tensor,
  imported: Imported,
  options: Settled,
): Value {
  const held = isFloat(tensor.dtype) ? castTensor(tensor, 'float32') : tensor
  if (tensor.dtype !== held.dtype)
    imported.notes.push(`'${name}' is ${tensor.dtype}: it is trained as float32 and rounded back in the result.`)
  if (!isParameter(model, name, held, options.weights ?? 'likely')) return b.constant(held)
  if (options.isFrozen(name)) {
    imported.frozen.push(name)
    return b.constant(held)
  }
  const value = options.after?.weights.get(name) ?? b.weight(name, held)
  imported.weights.set(name, value)
  return value
}

/** Which weights are not to be trained: those asked for, and all but a model's adapters. Running statistics are no weights. */
function freezer(model: Model, frozen: readonly string[] = []): (name: string) => boolean {
  const adapters = adapterNames(model)
  const norms = model.graph.nodes.filter(({ op }) => op === 'BatchNormalization')
  const statistics = new Set(norms.flatMap(({ inputs }) => inputs.slice(3, 5)))
  return (name) =>
    !statistics.has(name) && (matchesAny(frozen, name) || (adapters !== undefined && !adapters.has(name)))
}

/** Whether a node was exported in training mode: by its attribute, or (opset 13 and older) by the statistics among its outputs. */
export const saysTraining = ({ op, outputs, attributes }: Node): boolean =>
  op === 'BatchNormalization' && (intOf(attributes, 'training_mode', 0) === 1 || outputs.slice(1).some(Boolean))

function importNode(b: GraphBuilder, model: Model, node: Node, imported: Imported, options: Settled): void {
  const name = node.name || node.outputs.find((output) => output) || node.op
  b.origin = name
  const inputs = node.inputs.map((input) => (input === '' ? undefined : imported.values.get(input)))
  const place = placeOf(name, node.op, inputs)
  const blocked = (error: unknown) => {
    if (!options.onBlocked || !(error instanceof PinGoError)) throw error
    options.onBlocked(place, error)
  }
  // What an unsupported node should have made is missing: its readers say nothing new.
  const missing = node.inputs.find((input, i) => input !== '' && !inputs[i] && !imported.sequences.has(input))
  if (missing !== undefined) {
    if (options.onBlocked) return
    throw new PinGoError(
      'ONNX_MALFORMED',
      `The node '${name}' (${node.op}) reads '${missing}', which nothing before it makes.`,
    )
  }
  if (node.op === 'If' && importBranch(b, model, node, inputs[0], imported, options)) return
  try {
    const sequences = Object.hasOwn(sequenceOperators, node.op) ? sequenceOperators[node.op] : undefined
    if (sequences) {
      sequences(b, node, imported, inputs)
      return
    }
    if (node.op === 'Loop') {
      unrollLoop(b, node, imported, (inner) => importNode(b, model, inner, imported, options))
      b.origin = name
      return
    }
  } catch (error) {
    blocked(located(error instanceof PinGoError ? error : misfit(error), place))
    return
  }
  const rule = operatorOf(node)
  if (!rule) {
    blocked(unsupported(place, 'this operator is not supported'))
    return
  }
  const split = splitTie(model, node)
  if (split) {
    imported.values.set(node.outputs[0]!, leaf(b, model, node.outputs[0]!, split, imported, options))
    return
  }
  if (node.op === 'Constant') {
    const value = node.attributes.value
    if (value?.type === 'tensor' && sizeOf(value.value.shape) > 1 && node.outputs[0] && learnsConstants(model)) {
      imported.values.set(node.outputs[0], leaf(b, model, node.outputs[0], value.value, imported, options))
      return
    }
  }
  try {
    const outputs = rule.lower
      ? rule.lower({
          b,
          node,
          op: node.op,
          attributes: node.attributes,
          inputs,
          opset: model.opset,
          training: options.training === 'file' ? saysTraining(node) : options.training,
          noise: options.noise && ((shape) => options.noise!.take(shape)),
          ...(options.exported
            ? { exported: { ...options.exported, ...ofNode(node, options.exported, imported) } }
            : {}),
          currentBuffer: (buffer) => imported.buffers.get(buffer.name) ?? buffer,
          updateBuffer: (buffer, next) => imported.buffers.set(buffer.name, next),
          note: (text) => imported.notes.push(text),
        })
      : b.emit(node.op, inputs, node.attributes)
    node.outputs.forEach((output, i) => {
      const value = outputs[i]
      if (!output || !value) return
      const held = isHalf(value.dtype) ? b.cast(value, 'float32') : value
      imported.values.set(output, held)
      b.label(held, output)
    })
    imported.places?.note(node)
  } catch (error) {
    blocked(located(error instanceof PinGoError ? error : misfit(error), place))
  }
}

/** A node whose inputs or attributes are not those of its operator makes the code for it stumble: that is the file's fault. */
const misfit = (cause: unknown) =>
  new PinGoError('ONNX_MALFORMED', 'it has not the inputs and attributes of its operator', {
    cause,
    hint: 'Export the model again.',
  })

/** Puts the branch of an If in its place where the condition is a constant, as exporters write for sizes they did not know. */
function importBranch(
  b: GraphBuilder,
  model: Model,
  node: Node,
  condition: Value | undefined,
  imported: Imported,
  options: Settled,
): boolean {
  if (!condition?.data) return false
  const branch = node.attributes[Number(condition.data.data[0]) ? 'then_branch' : 'else_branch']
  if (branch?.type !== 'graph') return false
  for (const [name, tensor] of branch.value.initializers)
    imported.values.set(name, leaf(b, model, name, tensor, imported, options))
  for (const inner of branch.value.nodes) importNode(b, model, inner, imported, options)
  node.outputs.forEach((output, i) => {
    bind(imported, output, branch.value.outputs[i]?.name ?? '')
  })
  return true
}

const isHalf = (dtype: DType) => dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64'

/** What is known of a node's inputs and outputs at the file's batch. */
const ofNode = ({ inputs, outputs }: Node, { shapes }: Rebatch, { places }: Imported) => ({
  input: (i: number) => shapes.get(inputs[i] ?? ''),
  output: (i: number) => shapes.get(outputs[i] ?? ''),
  within: (i: number) => places?.within(inputs[i] ?? ''),
})
