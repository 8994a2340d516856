import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LossKind, Tensor } from '@pingo/wire'
import { buildGradients, type Model, parseModel } from './index.ts'
import { Random } from './templates/random.ts'
import { tensorOf } from './tensors.ts'
import { fixture, fixtureNames } from './testing/fixture.ts'
import { fromTensor, interpret, type Ref } from './testing/interpreter/index.ts'
import { count } from './testing/interpreter/tensor.ts'
import { relative } from './testing/numeric/differences.ts'
import { meanLoss } from './testing/numeric/losses.ts'

/** PyTorch's own numbers are float32. */
const PYTORCH_TOLERANCE = 2e-5
/** Slope along a direction, against the gradient's length. */
const SLOPE_TOLERANCE = 1e-6
/** Small, so that hardly any of a model's many kinks lies within it. */
const STEP = 2e-6

/** The model's output; a model exported for a few samples sees so many at a time, the last ones with some before them once more. */
function outputOf(model: Model, input: Ref, weights: ReadonlyMap<string, Ref>, training: boolean, wanted: string): Ref {
  const { name, shape } = model.graph.inputs[0]!
  const evaluate = (x: Ref) => interpret(model, new Map([...weights, [name, x]]), { training }).get(wanted)!
  const [batch, ...rest] = input.shape as [number, ...number[]]
  const size = shape[0]!
  if (typeof size === 'string' || size === batch) return evaluate(input)
  const length = input.data.length / batch
  const parts = count(Math.ceil(batch / size)).map((i) => {
    const from = Math.min(i * size, batch - size)
    const data = input.data.slice(from * length, (from + size) * length)
    const y = evaluate({ ...input, shape: [size, ...rest], data })
    return { y, own: y.data.slice((y.data.length / size) * (i * size - from)) }
  })
  return {
    kind: 'float',
    shape: [batch, ...parts[0]!.y.shape.slice(1)],
    data: Float64Array.from(parts.flatMap(({ own }) => [...own])),
  }
}

/** The value that the loss is taken on: what stands in front of a final Softmax or Sigmoid. */
function logitsName(model: Model, loss: LossKind): string {
  const output = model.graph.outputs[0]!.name
  const last = model.graph.nodes.find((node) => node.outputs.includes(output))!
  const passed = loss === 'cross_entropy' ? ['Softmax', 'LogSoftmax'] : loss === 'bce' ? ['Sigmoid'] : []
  return passed.includes(last.op) ? last.inputs[0]! : output
}

for (const name of fixtureNames) {
  test(`${name}: the reference's output in double precision is PyTorch's`, () => {
    const { model, tensors, input, training } = fixture(name)
    const y = outputOf(model, fromTensor(input), new Map(), training, model.graph.outputs[0]!.name)
    const far = relative(y.data, fromTensor(tensors.get('output')!).data, 1e-3)
    assert.ok(far < 1e-5, `off by ${far}`)
  })

  test(`${name}: the emitted gradients in double precision are PyTorch's and the reference's slopes`, () => {
    const { model, tensors, input, target, batch, loss, options, training } = fixture(name)
    const program = buildGradients(model, options, training)
    const ones = tensorOf('float32', [batch], new Array(batch).fill(1))
    const feeds = new Map<string, Tensor>([
      ...program.initial,
      ['input', input],
      ['target', target],
      ['sample_weight', ones],
    ])
    const results = interpret(
      parseModel(program.graph),
      new Map([...feeds].map(([key, tensor]) => [key, fromTensor(tensor)])),
    )
    // Some gradients are zero but for PyTorch's rounding (a bias before a normalisation): the others are the measure.
    const all = [...tensors].flatMap(([key, { data }]) => (key.startsWith('grad.') ? [...(data as Float32Array)] : []))
    const typical = Math.hypot(...all) / Math.sqrt(all.length)
    for (const [key, expected] of tensors) {
      const got = results.get(key)
      if (!key.startsWith('grad.') || !got) continue
      const far = relative(got.data, fromTensor(expected).data, 0.1 * typical)
      assert.ok(far < PYTORCH_TOLERANCE, `${key} is off by ${far}`)
    }

    const wanted = logitsName(model, loss)
    const exact = new Map(program.parameters.map((p) => [p.name, fromTensor(program.initial.get(p.name)!)]))
    const [x, t] = [fromTensor(input), fromTensor(target)]
    const lossAt = (weights: ReadonlyMap<string, Ref>) => {
      const output = outputOf(model, x, weights, training, wanted)
      const classAxis = output.shape.length === t.shape.length + 1 && output.shape.length > 3 ? 1 : axisOf(output, t)
      return meanLoss({ output, target: t, classAxis, settings: { kind: loss } }, new Array(batch).fill(1))
    }
    const near = relative([results.get('loss')!.data[0]!], [lossAt(exact)], 1e-3)
    assert.ok(near < SLOPE_TOLERANCE, `the loss is off by ${near}`)
    const random = new Random(1)
    for (const { name: key } of program.parameters) {
      const w = exact.get(key)!
      const gradient = results.get(`grad.${key}`)!.data
      const length = Math.hypot(...gradient)
      // A direction with a good part of the gradient in it, so that an error of its size shows.
      const raw = Array.from(gradient, (g) => random.normal() / Math.sqrt(gradient.length) + g / (length || 1))
      const norm = Math.hypot(...raw)
      const along = raw.map((v) => v / norm)
      const moved = (h: number) =>
        lossAt(new Map(exact).set(key, { ...w, data: w.data.map((v, i) => v + h * along[i]!) }))
      const numeric = (moved(STEP) - moved(-STEP)) / (2 * STEP)
      const analytic = along.reduce((s, v, i) => s + v * gradient[i]!, 0)
      const far = Math.abs(analytic - numeric) / Math.max(length, 1e-2)
      assert.ok(far < SLOPE_TOLERANCE, `the slope along ${key} is off by ${far}: ${analytic} and ${numeric}`)
    }
  })
}

/** The axis of the output that the target lacks. */
function axisOf(output: Ref, target: Ref): number {
  const last = output.shape.length - 1
  const fits = (axis: number) => output.shape.filter((_, i) => i !== axis).join() === target.shape.join()
  return fits(last) || last < 1 ? last : 1
}
