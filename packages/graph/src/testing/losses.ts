import type { BatchInput, LossInput, Tensor } from '@pingo/wire'
import type { Model, Node } from '../model.ts'
import { buildGradients } from '../program.ts'
import { tensorOf } from '../tensors.ts'
import { runOnce } from './runtime.ts'

/** A model whose output is its one weight `y` (behind the operators of `ops`, over the last axis), whatever its input is. */
export function outputModel(y: Tensor, ops: string[] = []): Model {
  const names = ['raw', ...ops.map((_, i) => `after${i}`)]
  const node = (op: string, inputs: string[], to: string, attributes: Node['attributes'] = {}): Node => ({
    name: to,
    op,
    domain: '',
    inputs,
    outputs: [to],
    attributes,
  })
  const nodes = [node('Add', ['y', 'input'], 'raw')]
  for (const [i, op] of ops.entries())
    nodes.push(node(op, [names[i]!], names[i + 1]!, op === 'Sigmoid' ? {} : { axis: { type: 'int', value: -1 } }))
  return {
    irVersion: 8,
    opset: 17,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'output',
      nodes,
      inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', ...y.shape.slice(1).map(() => 1)] }],
      outputs: [{ name: names.at(-1)!, dtype: 'float32', shape: ['batch', ...y.shape.slice(1)] }],
      initializers: new Map([['y', y]]),
    },
  }
}

/** What the graphs of {@link outputModel} are fed and built with. */
export function lossCase(y: Tensor, target: Tensor, weights?: number[]) {
  const batch = y.shape[0]!
  const ones = y.shape.slice(1).map(() => 1)
  const options = {
    batch,
    inputs: [{ name: 'input', column: 'input', dtype: 'float32' as const, shape: ones }],
    target: {
      name: 'target',
      column: 'target',
      dtype: target.dtype as BatchInput['dtype'],
      shape: target.shape.slice(1),
    },
  }
  const feeds: [string, Tensor][] = [
    ['input', tensorOf('float32', [batch, ...ones], [])],
    ['target', target],
    ['sample_weight', tensorOf('float32', [batch], weights ?? new Array(batch).fill(1))],
  ]
  return { options, feeds }
}

/** A loss and its gradient by the output. */
export async function lossAndGradient(
  loss: LossInput,
  y: Tensor,
  target: Tensor,
  o: { weights?: number[]; ops?: string[] } = {},
): Promise<{ loss: number; gradient: Float32Array }> {
  const { options, feeds } = lossCase(y, target, o.weights)
  const program = buildGradients(outputModel(y, o.ops), { ...options, loss })
  const results = await runOnce(program.graph, [...program.initial, ...feeds])
  return { loss: Number(results.get('loss')!.data[0]), gradient: results.get('grad.y')!.data as Float32Array }
}
