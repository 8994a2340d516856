import type { Tensor } from '@pingo/wire'
import type { Model, Node } from './model.ts'
import { isFloat, tensorOf } from './tensors.ts'

/** A weight's name in PyTorch, as against the name of a value in between. */
export const STATE_NAME = /^(?!\d+$)\w+(\.\w+)*$/
/** Names that no module of a person's can have: exporters make them up for what they computed. */
export const MADE_UP_NAME = /^(onnx::.*|val_\d+|\d+)$/

/**
 * The weight that an Identity of an initialiser stands for, where that is not a tie. PyTorch's exporter stores equal tensors once,
 * so that the ones and zeros of many normalisations, and the copies of one layer, become one (a tie it writes without Identity). Of other
 * tools' files, and where the exporter computed them, only vectors of one repeated value are split: an embedding tied to its head stays
 * one parameter.
 */
export function splitTie(model: Model, { op, inputs, outputs }: Node): Tensor | undefined {
  const tensor = op === 'Identity' && outputs[0] ? model.graph.initializers.get(inputs[0] ?? '') : undefined
  if (!tensor || !isFloat(tensor.dtype)) return undefined
  if (model.producer === 'pytorch' && STATE_NAME.test(outputs[0]!)) return tensor
  const isVector = tensor.shape.length === 1 || tensor.shape.filter((n) => n !== 1).length === 1
  return isVector && isRepeated(tensor) ? tensor : undefined
}

const isRepeated = ({ data }: Tensor): boolean => {
  for (let i = 1; i < data.length; i++) if (data[i] !== data[0]) return false
  return true
}

const found = new WeakMap<Model, ReadonlyMap<string, string>>()

/**
 * Matrices that PyTorch's exporter computed as the transpose of a weight that is in the file too (constant folding of a head tied to its
 * embedding): the weight's name by the copy's. Such a copy is the same parameter, as it was in PyTorch.
 */
export function foldedTies(model: Model): ReadonlyMap<string, string> {
  const known = found.get(model)
  if (known) return known
  const ties = new Map<string, string>()
  if (model.producer === 'pytorch') {
    const matrices = [...model.graph.initializers].filter(([, t]) => isFloat(t.dtype) && t.shape.length === 2)
    const named = matrices.filter(([name]) => STATE_NAME.test(name) && !MADE_UP_NAME.test(name))
    for (const [copy, tensor] of matrices) {
      if (!MADE_UP_NAME.test(copy) || isRepeated(tensor)) continue
      const original = named.find(([, other]) => isTransposed(tensor, other))
      if (original) ties.set(copy, original[0])
    }
  }
  found.set(model, ties)
  return ties
}

function isTransposed(a: Tensor, b: Tensor): boolean {
  const [rows, columns] = a.shape as [number, number]
  if (a.dtype !== b.dtype || b.shape[0] !== columns || b.shape[1] !== rows) return false
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) if (a.data[i * columns + j] !== b.data[j * rows + i]) return false
  return true
}

/** A matrix with rows and columns exchanged. */
export function transposed({ dtype, shape, data }: Tensor): Tensor {
  const [rows, columns] = shape as [number, number]
  const result = tensorOf(dtype, [columns, rows], [])
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result.data[j * rows + i] = data[i * columns + j]!
  return result
}
