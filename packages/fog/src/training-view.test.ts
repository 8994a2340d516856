import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type JobSubmission,
  OptimizerSchema,
  type ProgramManifest,
  ScheduleSchema,
  TrainingViewSchema,
} from '@pingo/wire'
import { trainingView } from './training-view.ts'

/** The words for a job of a batch of 64, checked by their schema. */
function words(o: { loss?: unknown; optimizer?: unknown; schedule?: unknown; spec?: unknown } = {}) {
  const submission = { learningRate: 1e-3, schedule: ScheduleSchema.parse(o.schedule ?? {}), spec: o.spec }
  const optimizer = OptimizerSchema.parse(o.optimizer ?? { kind: 'adamw', weightDecay: 0.01, clip: 1 })
  const program = { loss: o.loss ?? 'mse', optimizer, batch: 64 }
  return TrainingViewSchema.parse(
    trainingView(submission as unknown as JobSubmission, program as unknown as ProgramManifest),
  )
}

test('a plain job: loss, optimiser and schedule, and nothing that it does not use', () => {
  assert.deepEqual(words(), {
    loss: 'mse',
    optimizer: 'AdamW, learning rate 0.001, weight decay 0.01, clip 1',
    schedule: 'cosine, down to 2 %, warm-up 2 %',
  })
})

test('losses are told with the settings that were chosen', () => {
  for (const [loss, text] of [
    ['cross_entropy', 'cross entropy'],
    [{ kind: 'cross_entropy', smoothing: 0.1, ignoreIndex: -100 }, 'cross entropy, smoothing 0.1, class -100 ignored'],
    [{ kind: 'cross_entropy', smoothing: 0 }, 'cross entropy'],
    [{ kind: 'bce', positiveWeight: 3 }, 'bce, positives × 3'],
    [{ kind: 'bce', positiveWeight: [1, 2, 3, 4, 5, 6] }, 'bce, positives × 1, 2, 3, 4 and 2 more'],
    [{ kind: 'huber', delta: 0.5 }, 'huber, delta 0.5'],
    [{ kind: 'smooth_l1', beta: 2 }, 'smooth l1, beta 2'],
    ['kl', 'kl'],
    ['output', "the model's own"],
  ] as const)
    assert.equal(words({ loss }).loss, text)
})

test('optimisers and schedules are told with their own settings', () => {
  const optimizer = { kind: 'sgd', momentum: 0.9, nesterov: true, clipValue: 0.5 }
  assert.equal(words({ optimizer }).optimizer, 'SGD, learning rate 0.001, momentum 0.9 (Nesterov), clip value 0.5')
  assert.equal(words({ optimizer: { kind: 'muon' } }).optimizer, 'Muon, learning rate 0.001, momentum 0.95')
  for (const [schedule, text] of [
    [{ kind: 'constant', warmup: 0 }, 'constant'],
    [{ kind: 'wsd', decay: 0.3 }, 'wsd, falls over the last 30 %, down to 2 %, warm-up 2 %'],
    [{ kind: 'step', warmup: 0.055, gamma: 0.5, milestones: [0.3, 0.6] }, 'step × 0.5 at 30 %, 60 %, warm-up 5.5 %'],
  ] as const)
    assert.equal(words({ schedule }).schedule, text)
})

test('adapters, groups, frozen weights and accumulation come from the record', () => {
  const groups = [
    { match: ['head.*'], rate: 10 },
    { match: ['embed'], freeze: true },
  ]
  const spec = {
    model: { onnx: 'model.onnx', lora: { rank: 8, alpha: 16, match: ['q', 'v'] } },
    train: { accumulate: 4, freeze: ['backbone.*'], groups },
  }
  assert.deepEqual(words({ spec }), {
    loss: 'mse',
    optimizer: 'AdamW, learning rate 0.001, weight decay 0.01, clip 1, 2 groups',
    schedule: 'cosine, down to 2 %, warm-up 2 %',
    accumulation: '4 parts of 16',
    adapters: 'LoRA rank 8, alpha 16, on q, v',
    frozen: 'backbone.*, embed',
  })
})

test('a record that says nonsense is passed over, one that is long or holds control characters is made harmless', () => {
  for (const spec of [
    { model: 1, train: [] },
    { model: { lora: { rank: -1 } }, train: { accumulate: 7, freeze: 'all' } },
  ])
    assert.deepEqual(words({ spec }), words())
  const { frozen } = words({ spec: { train: { freeze: ['a\u001b[31m', ...Array(150).fill('x'.repeat(300))] } } })
  assert.match(frozen!, /^a\?\[31m, x+…$/)
})
