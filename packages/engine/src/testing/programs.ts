import type { TrainerProgram } from '../trainer.ts'
import { FLOAT, intAttribute, model } from './onnx.ts'

/** The scalar input by which plain SGD gets its learning rate (`optimizerScalars` of `@pingo/graph`). */
const RATE = 'optimizer.rate'
const keepdims = intAttribute('keepdims', 0)

/**
 * Least squares by plain SGD, written by hand: y = x·w, loss = Σ s·(y-t)² / max(Σ s, 1), next.w = w - rate·dL/dw; the buffer counts
 * the samples seen and the state is the sum of all gradients, by which `momentum` steps.
 */
export function linearProgram(features = 3, batch = 4, optimizer: 'sgd' | 'momentum' = 'sgd'): TrainerProgram {
  const step = model({
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] },
      { op: 'Sub', inputs: ['y', 'target'], outputs: ['e'] },
      { op: 'Mul', inputs: ['e', 'e'], outputs: ['e2'] },
      { op: 'Mul', inputs: ['e2', 'sample_weight'], outputs: ['weighted'] },
      { op: 'ReduceSum', inputs: ['weighted'], outputs: ['sum'], attributes: [keepdims] },
      { op: 'ReduceSum', inputs: ['sample_weight'], outputs: ['n'], attributes: [keepdims] },
      { op: 'Div', inputs: ['sum', 'n'], outputs: ['loss'] },
      { op: 'Mul', inputs: ['e', 'sample_weight'], outputs: ['g0'] },
      { op: 'Div', inputs: ['g0', 'n'], outputs: ['g1'] },
      { op: 'Add', inputs: ['g1', 'g1'], outputs: ['g2'] },
      { op: 'MatMul', inputs: ['g2', 'x'], outputs: ['dw'] },
      { op: 'Add', inputs: ['moment', 'dw'], outputs: ['next.moment'] },
      { op: 'Mul', inputs: [optimizer === 'sgd' ? 'dw' : 'next.moment', RATE], outputs: ['update'] },
      { op: 'Sub', inputs: ['w', 'update'], outputs: ['next.w'] },
      { op: 'Add', inputs: ['seen', 'n'], outputs: ['next.seen'] },
      { op: 'Add', inputs: ['sum', 'sum'], outputs: ['metric_sum'] },
    ],
    inputs: [
      ['w', [features]],
      ['seen', []],
      ['moment', [features]],
      ['x', [batch, features]],
      ['target', [batch]],
      ['sample_weight', [batch]],
      [RATE, []],
    ],
    outputs: [
      ['next.w', [features], FLOAT],
      ['next.seen', []],
      ['next.moment', [features]],
      ['loss', []],
      ['metric_sum', []],
    ],
  })
  return {
    step,
    parameters: [{ name: 'w', dtype: 'float32', shape: [features] }],
    buffers: [{ name: 'seen', dtype: 'float32', shape: [] }],
    state: [{ name: 'moment', dtype: 'float32', shape: [features] }],
    inputs: [{ name: 'x', column: 'x', dtype: 'float32', shape: [features] }],
    target: { name: 'target', column: 'y', dtype: 'float32', shape: [] },
    batch,
    optimizer: { kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
  }
}
