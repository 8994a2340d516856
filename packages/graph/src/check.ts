import { sizeOf } from '@pingo/wire'
import { GraphBuilder } from './builder.ts'
import { flopsOf } from './flops.ts'
import { importModel } from './import.ts'
import { symbolsOf } from './infer-shapes.ts'
import type { Model, ValueInfo } from './model.ts'
import { operators } from './operators/index.ts'

/** Something in a model that cannot be trained. */
export interface Blocking {
  node: string
  op: string
  /** Shapes of the node's inputs. */
  shape: string
  reason: string
  hint: string
}

export interface ModelReport {
  /** Number of trainable numbers. */
  parameters: number
  /** Trainable tensors by name. */
  tensors: { name: string; shape: number[] }[]
  /** Floating-point operations of the forward pass for one sample (multiplications and additions counted apart). */
  flopsPerSample: number
  /** Bytes of the values of one forward pass for one sample. */
  activationBytesPerSample: number
  inputs: ValueInfo[]
  outputs: ValueInfo[]
  opset: number
  /** Operators with how often they occur. */
  operators: Record<string, number>
  /** What blocks training; empty when the model can be trained. */
  blocking: Blocking[]
  /** What is allowed but may surprise. */
  notes: string[]
}

/** Sizes tried for symbolic dimensions other than the batch when a model is checked without data. */
const TRIAL_SIZES = [16, 64, 224]

/** Reports what a model holds and what blocks its training. Never throws for a model that `parseModel` read. */
export function checkModel(model: Model): ModelReport {
  let report: ModelReport | undefined
  for (const size of symbolsOf(model).length > 1 ? TRIAL_SIZES : TRIAL_SIZES.slice(0, 1)) {
    report = checkAt(model, size)
    if (!report.blocking.length) break
  }
  return report!
}

function checkAt(model: Model, size: number): ModelReport {
  const b = new GraphBuilder()
  const blocking: Blocking[] = []
  const inputs = new Map(
    model.graph.inputs.map(({ name, dtype, shape }) => [
      name,
      b.input(
        name,
        dtype,
        shape.map((n, axis) => (typeof n === 'number' ? n : axis === 0 ? 1 : size)),
      ),
    ]),
  )
  const imported = importModel(b, model, inputs, {
    training: false,
    onBlocked: (place, error) => blocking.push({ ...place, reason: error.message, hint: error.hint ?? '' }),
  })
  const outputs = model.graph.outputs.flatMap(({ name }) => imported.values.get(name) ?? [])
  const live = b.live(outputs)
  const reached = new Set([...imported.weights.values()].map((w) => w.name))
  const used = new Set<string>()
  for (const { op, inputs: from, outputs: to, origin } of live) {
    const rule = operators.get(op)!
    if (rule.stopsGradient || !from.some((v) => v && reached.has(v.name))) continue
    for (const v of to) if (v.dtype === 'float32') reached.add(v.name)
    for (const [i, v] of from.entries()) if (v && (op !== 'BatchNormalization' || i < 3)) used.add(v.name)
    if (rule.gradient) continue
    const shape = from.map((v) => (v ? `[${v.shape.join(', ')}]` : '-')).join(' ')
    blocking.push({
      node: origin,
      op,
      shape,
      reason: `The gradient of ${op} is not supported.`,
      hint: 'Leave it out of the trained part.',
    })
  }
  const trained = [...imported.weights.values()].filter((w) => used.has(w.name) && !imported.buffers.has(w.name))
  const counts: Record<string, number> = {}
  for (const { op } of model.graph.nodes) counts[op] = (counts[op] ?? 0) + 1
  const batch = Math.max(1, Number(model.graph.inputs[0]?.shape[0]) || 1)
  return {
    parameters: trained.reduce((sum, w) => sum + sizeOf(w.shape), 0),
    tensors: trained.map(({ name, shape }) => ({ name, shape: [...shape] })),
    flopsPerSample: Math.round(flopsOf(live) / batch),
    activationBytesPerSample: Math.round(live.reduce((sum, o) => sum + 4 * sizeOf(o.outputs[0]!.shape), 0) / batch),
    inputs: model.graph.inputs,
    outputs: model.graph.outputs,
    opset: model.opset,
    operators: counts,
    blocking,
    notes: [...new Set(imported.notes)],
  }
}
