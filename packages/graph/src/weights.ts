import { PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import type { Model, Node } from './model.ts'
import { FIXED_PREFIX } from './parameters.ts'
import { sameShape, shapeText } from './shape.ts'
import { castTensor, isFloat, tensorOf } from './tensors.ts'
import { foldedTies, splitTie, transposed } from './ties.ts'

/**
 * The model with trained parameters and buffers in place of its initial ones; everything else is the user's own graph, untouched.
 * A weight that the file keeps in half or double precision is rounded to that.
 * @throws PinGoError GRAPH_WEIGHT_UNKNOWN, GRAPH_WEIGHT_MISMATCH
 */
export function withWeights(model: Model, weights: ReadonlyMap<string, Tensor>): Model {
  const initializers = new Map(model.graph.initializers)
  let nodes = [...model.graph.nodes]
  const constants = new Map(nodes.map((node, i) => [node.op === 'Constant' ? (node.outputs[0] ?? '') : '', i]))
  const split = new Set<string>()
  for (const [name, tensor] of weights) {
    const old = initializers.get(name)
    if (old) {
      initializers.set(name, fitted(name, old, tensor))
      continue
    }
    const tied = nodes.find((node) => node.outputs[0] === name && splitTie(model, node))
    if (name !== '' && tied) {
      initializers.set(name, fitted(name, splitTie(model, tied)!, tensor))
      split.add(name)
      continue
    }
    const at = constants.get(name)
    const value = at === undefined ? undefined : nodes[at]!.attributes.value
    if (name === '' || at === undefined || value?.type !== 'tensor')
      throw new PinGoError('GRAPH_WEIGHT_UNKNOWN', `The model has no weight '${name}'.`, {
        hint: 'Use the weights of this very model.',
      })
    const attributes = {
      ...nodes[at]!.attributes,
      value: { type: 'tensor' as const, value: fitted(name, value.value, tensor) },
    }
    nodes[at] = { ...nodes[at]!, attributes }
  }
  for (const [copy, original] of foldedTies(model))
    if (weights.has(original) && !weights.has(copy)) initializers.set(copy, transposed(initializers.get(original)!))
  nodes = nodes.filter((node) => node.op !== 'Identity' || !split.has(node.outputs[0] ?? ''))
  return { ...model, graph: { ...model.graph, initializers, nodes } }
}

/**
 * All weights of a model by the names that {@link withWeights} takes them back by: its float initialisers but for PinGo's own constants
 * (masks and other constants of the exporter among them), running statistics too, and what an exporter had merged apart.
 */
export function weightsOf(model: Model): Map<string, Tensor> {
  const weights = new Map(
    [...model.graph.initializers].filter(([name, t]) => isFloat(t.dtype) && !name.startsWith(FIXED_PREFIX)),
  )
  for (const node of model.graph.nodes) {
    const tied = splitTie(model, node)
    if (tied) weights.set(node.outputs[0]!, tied)
  }
  return weights
}

function fitted(name: string, old: Tensor, tensor: Tensor): Tensor {
  if (!sameShape(old.shape, tensor.shape))
    throw new PinGoError(
      'GRAPH_WEIGHT_MISMATCH',
      `The weight '${name}' has shape ${shapeText(tensor.shape)}, the model wants ${shapeText(old.shape)}.`,
    )
  return castTensor(tensor, old.dtype)
}

/**
 * Puts (x - mean) / std in front of an input, as constants that training leaves alone.
 * @param mean one value for all, or one for each element of a sample, or one for each channel (the sample's first axis)
 * @param std the same; values that are zero count as 1
 * @throws PinGoError GRAPH_INPUT_MISMATCH when the input is not float or the counts do not fit
 */
export function standardize(model: Model, input: string, mean: readonly number[], std: readonly number[]): Model {
  const info = model.graph.inputs.find(({ name }) => name === input)
  const fault = (why: string) =>
    new PinGoError('GRAPH_INPUT_MISMATCH', `The input '${input}' cannot be standardised: ${why}.`)
  if (!info) throw fault('the model has no such input')
  if (!info.dtype.startsWith('float')) throw fault(`it is ${info.dtype}, not a float`)
  const sample = info.shape.slice(1)
  const shapeFor = (values: readonly number[]): number[] => {
    if (values.length === 1) return []
    const fixed = sample.every((n) => typeof n === 'number') ? (sample as number[]) : undefined
    if (fixed && sizeOf(fixed) === values.length) return fixed
    if (sample[0] === values.length) return sample.map((_, i) => (i === 0 ? values.length : 1))
    if (sample.length === 1 && typeof sample[0] === 'string') return [values.length]
    throw fault(`${values.length} values are given for a sample of shape ${shapeText(sample)}`)
  }
  const taken = new Set(model.graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs]))
  const fresh = (label: string) => {
    let name = `${FIXED_PREFIX}${input}/${label}`
    while (taken.has(name)) name += "'"
    taken.add(name)
    return name
  }
  const [meanName, stdName, centred, scaled] = ['mean', 'inverse_std', 'centred', 'standard'].map(fresh) as [
    string,
    string,
    string,
    string,
  ]
  const initializers = new Map(model.graph.initializers)
  initializers.set(meanName, tensorOf(info.dtype, shapeFor(mean), mean))
  initializers.set(
    stdName,
    tensorOf(
      info.dtype,
      shapeFor(std),
      std.map((s) => (s > 0 ? 1 / s : 1)),
    ),
  )
  const node = (op: string, inputs: string[], output: string): Node => ({
    name: output,
    op,
    domain: '',
    inputs,
    outputs: [output],
    attributes: {},
  })
  const renamed = model.graph.nodes.map((n) => ({
    ...n,
    inputs: n.inputs.map((name) => (name === input ? scaled : name)),
  }))
  const nodes = [node('Sub', [input, meanName], centred), node('Mul', [centred, stdName], scaled), ...renamed]
  return { ...model, graph: { ...model.graph, initializers, nodes } }
}

/**
 * Puts y · std + mean behind the first output, as constants that training leaves alone: for a model that learnt to tell standardised
 * numbers, which so tells them in their own units. @param mean one value for each element of a sample; @param std the same
 * @throws PinGoError GRAPH_OUTPUT_UNKNOWN
 */
export function restoreScale(model: Model, mean: readonly number[], std: readonly number[]): Model {
  const [output, ...others] = model.graph.outputs
  if (!output) throw new PinGoError('GRAPH_OUTPUT_UNKNOWN', 'The model has no output.')
  const sample = output.shape.slice(1)
  const shape = sample.every((n) => typeof n === 'number') ? (sample as number[]) : [mean.length]
  const name = (label: string) => `${FIXED_PREFIX}${output.name}/${label}`
  const initializers = new Map(model.graph.initializers)
  initializers.set(name('mean'), tensorOf('float32', shape, mean))
  initializers.set(name('std'), tensorOf('float32', shape, std))
  const inner = name('standard')
  const renamed = (names: string[]) => names.map((each) => (each === output.name ? inner : each))
  const nodes = model.graph.nodes.map((n) => ({ ...n, inputs: renamed(n.inputs), outputs: renamed(n.outputs) }))
  const node = (op: string, inputs: string[], to: string): Node => ({
    name: to,
    op,
    domain: '',
    inputs,
    outputs: [to],
    attributes: {},
  })
  nodes.push(
    node('Mul', [inner, name('std')], name('scaled')),
    node('Add', [name('scaled'), name('mean')], output.name),
  )
  return { ...model, graph: { ...model.graph, nodes, initializers, outputs: [output, ...others] } }
}
