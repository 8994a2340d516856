import { PinGoError } from '@pingo/wire'

/** `[2, 3]` as text for a message. */
export const shapeText = (shape: readonly (number | string)[]): string =>
  `[${shape.map((n) => n || (n === 0 ? 0 : '?')).join(', ')}]`

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i])

/** An axis counted from the end made one from the front. @throws PinGoError GRAPH_SHAPE_MISMATCH */
export function axisOf(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis
  if (!(positive >= 0 && positive < Math.max(rank, 1)))
    throw mismatch(`axis ${axis} is outside a tensor of rank ${rank}`)
  return positive
}

export const mismatch = (why: string): PinGoError => new PinGoError('GRAPH_SHAPE_MISMATCH', why)

/** numpy's broadcasting of shapes. @throws PinGoError GRAPH_SHAPE_MISMATCH */
export function broadcast(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length))
  return Array.from({ length: rank }, (_, i) => {
    let size = 1
    for (const shape of shapes) {
      const n = shape[i - rank + shape.length] ?? 1
      if (n === 1 || n === size) continue
      if (size !== 1) throw mismatch(`the shapes ${shapes.map(shapeText).join(' and ')} do not go together`)
      size = n
    }
    return size
  })
}

/** Axes along which a tensor of shape `from` was repeated to get shape `to`, counted in `to`. */
export function broadcastAxes(from: readonly number[], to: readonly number[]): number[] {
  const lead = to.length - from.length
  return to.map((_, i) => i).filter((i) => i < lead || (from[i - lead] === 1 && to[i] !== 1))
}

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1)
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!
  return strides
}

/** Strides of a tensor of shape `from` read as if it had shape `to`: 0 where it repeats. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(from)
  const lead = to.length - from.length
  return to.map((_, i) => (i < lead || from[i - lead] === 1 ? 0 : strides[i - lead]!))
}

/** 0, 1, … n-1. */
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** The shape after reduction over `axes`. */
export const reducedShape = (shape: readonly number[], axes: readonly number[], keep: boolean): number[] =>
  keep ? shape.map((n, i) => (axes.includes(i) ? 1 : n)) : shape.filter((_, i) => !axes.includes(i))
