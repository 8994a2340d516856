import { model } from './onnx.ts'
import { float32 } from './tensors.ts'

/** Sides of the matrices of {@link slowGraph}. */
const SIDE = 1024

/** A chain of matrix products that takes seconds: 2·1024³ operations each. */
export const slowGraph = (products = 200): Uint8Array =>
  model({
    nodes: Array.from({ length: products }, (_, i) => ({
      op: 'MatMul',
      inputs: [i === 0 ? 'input' : `x${i}`, 'input'],
      outputs: [i === products - 1 ? 'output' : `x${i + 1}`],
    })),
    inputs: [['input', [SIDE, SIDE]]],
    outputs: [['output', [SIDE, SIDE]]],
  })

export const slowFeeds = () => ({ input: float32([SIDE, SIDE]) })

/** The outer product of a column and a row: small inputs of n elements make n² of them, four times over. */
export const outerGraph = (): Uint8Array =>
  model({
    nodes: [
      { op: 'MatMul', inputs: ['column', 'row'], outputs: ['a'] },
      { op: 'Mul', inputs: ['a', 'column'], outputs: ['b'] },
      { op: 'Mul', inputs: ['b', 'a'], outputs: ['c'] },
      { op: 'Add', inputs: ['c', 'a'], outputs: ['output'] },
    ],
    inputs: [
      ['column', ['n', 1]],
      ['row', [1, 'n']],
    ],
    outputs: [['output', ['n', 'n']]],
  })
