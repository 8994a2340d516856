import type { GraphBuilder, Operation } from './builder.ts'
import type { Value } from './operator.ts'
import { plannedSlice } from './operators/movement.ts'

/** dL/d of the elements from `start` to `end` of an axis. */
interface Piece {
  axis: number
  start: number
  end: number
  g: Value
}

/**
 * The gradients of values that are cut into slices (time steps, gates, halves of a rotary embedding). Where the slices do not overlap,
 * their gradients are joined by one Concat; padding each to the whole and adding them up would cost a pass over the whole for every one.
 */
export class JoinedSlices {
  readonly #b: GraphBuilder
  readonly #pieces = new Map<string, Piece[]>()

  constructor(b: GraphBuilder) {
    this.#b = b
  }

  /** Keeps the gradient of a plain slice along one axis for later; false for any other operation. */
  take({ op, inputs }: Operation, g: Value): boolean {
    if (op !== 'Slice') return false
    const { axes, starts, steps, counts } = plannedSlice(inputs)
    if (axes.length !== 1 || steps[0] !== 1 || !counts[0]) return false
    const piece = { axis: axes[0]!, start: starts[0]!, end: starts[0]! + counts[0]!, g }
    const list = this.#pieces.get(inputs[0]!.name)
    if (list) list.push(piece)
    else this.#pieces.set(inputs[0]!.name, [piece])
    return true
  }

  /** What was kept for a value, as one gradient of its shape; undefined when nothing was. */
  flush(value: Value): Value | undefined {
    const pieces = this.#pieces.get(value.name)
    if (!pieces) return undefined
    this.#pieces.delete(value.name)
    const layers: Piece[][] = []
    for (const piece of pieces.toSorted((p, q) => p.axis - q.axis || p.start - q.start)) {
      const layer = layers.find((l) => l[0]!.axis === piece.axis && l.at(-1)!.end <= piece.start)
      if (layer) layer.push(piece)
      else layers.push([piece])
    }
    return layers.map((layer) => this.#whole(value.shape, layer)).reduce((a, g) => this.#b.add(a, g))
  }

  /** Pieces of one axis, in order and apart from each other, with zeros in the gaps. */
  #whole(shape: readonly number[], layer: readonly Piece[]): Value {
    const b = this.#b
    const { axis, start, end, g } = layer[0]!
    const along = (n: number) => shape.map((_, d) => (d === axis ? n : 0))
    if (layer.length === 1) return b.pad(g, along(start), along(shape[axis]! - end))
    const parts: Value[] = []
    let at = 0
    const fill = (to: number) => {
      if (to > at) parts.push(b.filled(shape.map((n, d) => (d === axis ? to - at : n))))
    }
    for (const piece of layer) {
      fill(piece.start)
      parts.push(piece.g)
      at = piece.end
    }
    fill(shape[axis]!)
    return b.concat(parts, axis)
  }
}
