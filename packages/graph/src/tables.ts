import { sizeOf, type Tensor } from '@pingo/wire'
import type { Model } from './model.ts'
import { castTensor, isFloat, numbersOf } from './tensors.ts'

/** Fewest elements that a formula is believed for. */
const MIN_ELEMENTS = 8
/** Fewest terms of a progression. */
const MIN_TERMS = 4
/** A table in half precision is off by as much. */
const TOLERANCE = 2e-3

const found = new WeakMap<Model, ReadonlyMap<string, string>>()

/**
 * Float initialisers whose elements follow a formula, with what they are. Models keep such tables among their weights (PyTorch's buffers), and a file does not
 * say that they are not learnt: sines and cosines of positions (Vaswani et al. 2017; Su et al. 2021, "RoFormer"), their frequencies and other
 * geometric progressions (Press et al. 2022, "ALiBi"), and triangles of ones that leave the future out.
 */
export function tablesOf(model: Model): ReadonlyMap<string, string> {
  const known = found.get(model)
  if (known) return known
  const tables = new Map<string, string>()
  /** Tensors of numbers between -1 and 1 by their shape: of two, one may hold the sines and one the cosines. */
  const waves = new Map<string, [string, ArrayLike<number>][]>()
  for (const [name, tensor] of model.graph.initializers) {
    if (!isFloat(tensor.dtype) || sizeOf(tensor.shape) < MIN_TERMS) continue
    const list = numbersOf(castTensor(tensor, 'float32'))
    if (isProgression(tensor, list)) tables.set(name, 'a geometric progression')
    else if (isTriangle(tensor, list)) tables.set(name, 'a triangle of ones')
    else if (isWave(list)) {
      const key = tensor.shape.join()
      const width = tensor.shape.at(-1)!
      if (isCircle(list, width, 1, 2) || isCircle(list, width, width / 2, 1))
        tables.set(name, 'a table of sines and cosines')
      for (const [other, numbers] of waves.get(key) ?? [])
        if (isUnit(list, numbers)) for (const each of [name, other]) tables.set(each, 'a table of sines or cosines')
      waves.set(key, [...(waves.get(key) ?? []), [name, list]])
    }
  }
  // PyTorch's exporter stores equal tensors once: the same table of another layer is an Identity of the first.
  for (const { op, inputs, outputs } of model.graph.nodes) {
    const table = op === 'Identity' ? tables.get(inputs[0] ?? '') : undefined
    if (table !== undefined && outputs[0]) tables.set(outputs[0], table)
  }
  found.set(model, tables)
  return tables
}

const isOne = (squares: number) => Math.abs(squares - 1) < TOLERANCE

/** Numbers from -1 to 1, a good part of them between: ones and zeros have a formula too, but are what weights begin with. */
function isWave(list: ArrayLike<number>): boolean {
  if (list.length < MIN_ELEMENTS) return false
  let between = 0
  for (let i = 0; i < list.length; i++) {
    const size = Math.abs(list[i]!)
    if (!(size <= 1 + TOLERANCE)) return false
    if (size > 0.01 && size < 0.99) between++
  }
  return between > list.length / 8
}

/** Whether in each row the elements i · step and i · step + apart, taken in pairs, lie on a circle. */
function isCircle(list: ArrayLike<number>, width: number, apart: number, step: number): boolean {
  if (width % 2) return false
  for (let row = 0; row < list.length; row += width)
    for (let i = 0; i < width / 2; i++) {
      const at = row + i * step
      if (!isOne(list[at]! ** 2 + list[at + apart]! ** 2)) return false
    }
  return true
}

function isUnit(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  for (let i = 0; i < a.length; i++) if (!isOne(a[i]! ** 2 + b[i]! ** 2)) return false
  return true
}

/** One axis of numbers above 0, each the same part of the one before. */
function isProgression({ shape }: Tensor, list: ArrayLike<number>): boolean {
  if (shape.filter((n) => n !== 1).length !== 1 || list.length < MIN_TERMS || !(list[0]! > 0)) return false
  const ratio = list[1]! / list[0]!
  if (!(ratio > 0 && ratio < 0.99)) return false
  for (let i = 1; i < list.length; i++)
    if (!(Math.abs(list[i]! / list[i - 1]! - ratio) < TOLERANCE * ratio)) return false
  return true
}

/** Square matrices of ones up to the diagonal and zeros behind it. */
function isTriangle({ shape }: Tensor, list: ArrayLike<number>): boolean {
  const size = shape.at(-1)!
  if (shape.length < 2 || size < 2 || shape.at(-2) !== size) return false
  for (let i = 0; i < list.length; i++) {
    const [row, column] = [Math.floor(i / size) % size, i % size]
    if (list[i] !== Number(column <= row)) return false
  }
  return true
}
