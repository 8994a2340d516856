import { sizeOf } from '@pingo/wire'
import type { GraphBuilder, Operation } from './builder.ts'
import { intOf } from './model.ts'
import type { Value } from './operator.ts'
import { scatterRows } from './operators/indexing.ts'
import { axisOf } from './shape.ts'

/**
 * The gradients of tables that are read in several places (shared embeddings, the bags of an unrolled EmbeddingBag): all rows are added into
 * one table of zeros, where a table for each place would be as large as the vocabulary.
 */
export class JoinedGathers {
  readonly #b: GraphBuilder
  readonly #rows = new Map<string, { indices: Value; g: Value }[]>()

  constructor(b: GraphBuilder) {
    this.#b = b
  }

  /** Keeps the gradient of rows gathered from the first axis for later; false for any other operation. */
  take({ op, attributes, inputs: [x, indices] }: Operation, g: Value): boolean {
    if (op !== 'Gather' || axisOf(intOf(attributes, 'axis', 0), x!.shape.length) !== 0) return false
    const list = this.#rows.get(x!.name)
    if (list) list.push({ indices: indices!, g })
    else this.#rows.set(x!.name, [{ indices: indices!, g }])
    return true
  }

  /** What was kept for a table, as one gradient of its shape; undefined when nothing was. */
  flush(value: Value): Value | undefined {
    const list = this.#rows.get(value.name)
    if (!list) return undefined
    this.#rows.delete(value.name)
    const b = this.#b
    if (list.length === 1) return scatterRows(b, value.shape, list[0]!.indices, list[0]!.g)
    const inner = value.shape.slice(1)
    const joined = list.toReversed().map(({ indices, g }) => {
      const n = sizeOf(indices.shape)
      const wide = indices.dtype === 'int64' ? indices : b.cast(indices, 'int64')
      return { indices: b.reshape(wide, [n]), g: b.reshape(g, [n, ...inner]) }
    })
    const all = b.concat(
      joined.map(({ indices }) => indices),
      0,
    )
    return scatterRows(
      b,
      value.shape,
      all,
      b.concat(
        joined.map(({ g }) => g),
        0,
      ),
    )
  }
}
