import { sizeOf, type Tensor } from '@pingo/wire'
import type { Attributes, Model, Node, ValueInfo } from '../model.ts'
import { tensorOf } from '../tensors.ts'
import { Random } from './random.ts'

/** Opset of the template models: the newest that every wide-spread runtime reads. */
const TEMPLATE_OPSET = 17

/** A model being written node by node; names are given by the author, so that weights keep readable ones. */
export class Draft {
  readonly #nodes: Node[] = []
  readonly #initializers = new Map<string, Tensor>()
  readonly #random: Random

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  /** A node; returns its (first) output. */
  node(op: string, inputs: string[], output: string, attributes: Attributes = {}): string {
    this.#nodes.push({ name: output, op, domain: '', inputs, outputs: [output], attributes })
    return output
  }

  /** A weight of normal deviates with the given standard deviation. */
  normal(name: string, shape: number[], std: number): string {
    return this.tensor(
      name,
      tensorOf(
        'float32',
        shape,
        Float32Array.from({ length: sizeOf(shape) }, () => this.#random.normal() * std),
      ),
    )
  }

  filled(name: string, shape: number[], value: number): string {
    return this.tensor(name, tensorOf('float32', shape, new Array(sizeOf(shape)).fill(value)))
  }

  tensor(name: string, tensor: Tensor): string {
    this.#initializers.set(name, tensor)
    return name
  }

  ints(name: string, values: number[]): string {
    return this.tensor(name, tensorOf('int64', [values.length], values))
  }

  /** x·W + b with W [from, to]; `std` defaults to He's for ReLU (He et al. 2015). */
  dense(x: string, name: string, from: number, to: number, std = Math.sqrt(2 / from)): string {
    const inputs = [x, this.normal(`${name}.weight`, [from, to], std), this.filled(`${name}.bias`, [to], 0)]
    return this.node('Gemm', inputs, `${name}.out`)
  }

  model(name: string, inputs: ValueInfo[], outputs: ValueInfo[]): Model {
    const graph = { name, nodes: this.#nodes, inputs, outputs, initializers: this.#initializers }
    return { irVersion: 8, opset: TEMPLATE_OPSET, producer: 'pingo', metadata: {}, graph }
  }
}

/** Standard deviation of Glorot and Bengio 2010, for layers without a ReLU behind them. */
export const glorot = (from: number, to: number): number => Math.sqrt(2 / (from + to))
