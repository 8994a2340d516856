import { sizeOf, type Tensor } from '@pingo/wire'
import type { Attributes, Model, Node, ValueInfo } from '../model.ts'
import { tensorOf } from '../tensors.ts'

/** Operator set of built models: the newest that every wide-spread runtime reads. */
const BUILT_OPSET = 17

/** A model being written node by node; names are given by the author, so that weights keep readable ones. */
export class Draft {
  protected readonly nodes: Node[] = []
  protected readonly initializers = new Map<string, Tensor>()

  /** A node; returns its last output, `output`. Outputs before it are named by `before` ('' leaves one out). */
  node(op: string, inputs: string[], output: string, attributes: Attributes = {}, before: string[] = []): string {
    this.nodes.push({ name: output, op, domain: '', inputs, outputs: [...before, output], attributes })
    return output
  }

  /** A float32 weight that begins with one value everywhere. */
  filled(name: string, shape: readonly number[], value: number): string {
    return this.tensor(name, tensorOf('float32', shape, new Float32Array(sizeOf(shape)).fill(value)))
  }

  tensor(name: string, tensor: Tensor): string {
    this.initializers.set(name, tensor)
    return name
  }

  /** A 1-D int64 constant. */
  ints(name: string, values: number[]): string {
    return this.tensor(name, tensorOf('int64', [values.length], values))
  }

  model(name: string, inputs: ValueInfo[], outputs: ValueInfo[]): Model {
    const graph = { name, nodes: this.nodes, inputs, outputs, initializers: this.initializers }
    return { irVersion: 8, opset: BUILT_OPSET, producer: 'pingo', metadata: {}, graph }
  }
}
