import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Optimizer, OptimizerSchema, readSafetensors, type Tensor } from '@pingo/wire'
import { buildProgram, type Model, optimizerScalars, templates } from './index.ts'
import { tensorOf } from './tensors.ts'
import { distance, open } from './testing/runtime.ts'

const fixture = readSafetensors(readFileSync(new URL('../fixtures/optimizers.safetensors', import.meta.url))).tensors
const STEPS = 5
const RATE = 0.05

const settings: Record<string, Optimizer> = Object.fromEntries(
  Object.entries({
    sgd: { kind: 'sgd' as const, weightDecay: 0.1 },
    momentum: { kind: 'sgd' as const, momentum: 0.9, weightDecay: 0.1 },
    nesterov: { kind: 'sgd' as const, momentum: 0.9, nesterov: true },
    adam: { kind: 'adam' as const, weightDecay: 0.1 },
    adamw: { kind: 'adamw' as const, weightDecay: 0.1 },
    clipped: { kind: 'adamw' as const, weightDecay: 0.1, clip: 0.5 },
    sgd_clipped: { kind: 'sgd' as const, clip: 0.5 },
    clipped_by_value: { kind: 'sgd' as const, momentum: 0.9, clipValue: 0.2 },
    groups: { kind: 'adamw' as const, weightDecay: 0.1, groups: [{ match: ['*.bias'], rate: 0.5, weightDecay: 0.3 }] },
    sgd_groups: {
      kind: 'sgd' as const,
      momentum: 0.9,
      weightDecay: 0.1,
      groups: [{ match: ['*.bias'], rate: 0.5, weightDecay: 0.3 }],
    },
  }).map(([name, input]) => [name, OptimizerSchema.parse(input)]),
)

/** Linear 3 → 2 with the fixture's first weights. */
function linear(): Model {
  const model = templates.mlp({ inputs: [3], outputs: 2, hidden: [] })
  const initializers = new Map<string, Tensor>()
  const { shape, data } = fixture.get('weight')!
  const transposed = Array.from({ length: 6 }, (_, i) =>
    Number(data[(i % shape[0]!) * shape[1]! + Math.floor(i / shape[0]!)]),
  )
  initializers.set('head.weight', tensorOf('float32', [3, 2], transposed))
  initializers.set('head.bias', fixture.get('bias')!)
  return { ...model, graph: { ...model.graph, initializers } }
}

async function train(optimizer: Optimizer): Promise<Map<string, Tensor>> {
  const program = buildProgram(linear(), {
    loss: 'mse',
    optimizer,
    batch: 4,
    inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: [3] }],
    target: { name: 'target', column: 'target', dtype: 'float32', shape: [2] },
  })
  const runner = await open(program.step)
  let held = new Map(program.initial)
  for (const { name, shape } of program.state) held.set(name, tensorOf('float32', shape, []))
  const scalars = optimizerScalars(optimizer)
  for (let step = 1; step <= STEPS; step++) {
    const rates = Object.entries(scalars.at(step, RATE))
    assert.deepEqual(rates.map(([name]) => name).sort(), [...scalars.names].sort())
    const feeds = new Map<string, Tensor>([
      ...held,
      ...rates.map(([name, value]): [string, Tensor] => [name, tensorOf('float32', [], [value])]),
      ['input', fixture.get('input')!],
      ['target', fixture.get('target')!],
      ['sample_weight', tensorOf('float32', [4], [1, 1, 1, 1])],
    ])
    const out = await runner.run(feeds)
    held = new Map([...held.keys()].map((name) => [name, out.get(`next.${name}`)!]))
  }
  await runner.close()
  return held
}

for (const [name, optimizer] of Object.entries(settings))
  test(`${name}: five steps end where PyTorch's do`, async () => {
    const held = await train(optimizer)
    const weight = held.get('head.weight')!
    const turned = Array.from({ length: 6 }, (_, i) => Number(weight.data[(i % 3) * 2 + Math.floor(i / 3)]))
    assert.ok(distance(turned, fixture.get(`${name}.weight`)!.data) < 1e-5, 'weight')
    assert.ok(distance(held.get('head.bias')!.data, fixture.get(`${name}.bias`)!.data) < 1e-5, 'bias')
  })

test('scaled moments with folded corrections are plain Adam', () => {
  const optimizer = settings.adam as Extract<Optimizer, { kind: 'adam' | 'adamw' }>
  const { beta1, beta2, epsilon } = optimizer
  const { at } = optimizerScalars(optimizer)
  let [m, v, M, V, plain, scaled] = [0, 0, 0, 0, 1, 1]
  for (let t = 1; t <= 50; t++) {
    const g = Math.sin(t) + 0.1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    plain -= (RATE * (m / (1 - beta1 ** t))) / (Math.sqrt(v / (1 - beta2 ** t)) + epsilon)
    M = beta1 * M + g
    V = beta2 * V + g * g
    const s = at(t, RATE)
    scaled -= (s['optimizer.rate']! * M) / (Math.sqrt(V) + s['optimizer.epsilon']!)
    assert.ok(Math.abs(plain - scaled) < 1e-12)
  }
})
