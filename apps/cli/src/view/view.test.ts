import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobView } from '@pingo/wire'
import pc from 'picocolors'
import { bar, curve } from './curve.ts'
import { roundLine, summaryLines, testLine, trainingLines } from './job-lines.ts'
import { jobLines } from './live.ts'
import { predictionForms } from './predictions.ts'

test('a curve falls when its values do, and is as wide as it may be', () => {
  assert.equal(curve([8, 7, 6, 5, 4, 3, 2, 1], 8), '█▇▆▅▄▃▂▁')
  assert.equal(
    curve(
      Array.from({ length: 100 }, (_, i) => i),
      10,
    ).length,
    10,
  )
  assert.equal(curve([3, 3, 3], 8), '▁▁▁')
  assert.equal(curve([1], 8), '')
  assert.equal(curve([1, Number.NaN, 2], 8).length, 2)
})

test('a bar is filled by eighths and never longer than its width', () => {
  assert.equal(bar(0, 4), '░░░░')
  assert.equal(bar(0.5, 4), '██░░')
  assert.equal(bar(1 / 32, 4), '▏░░░')
  assert.equal(bar(2, 4), '████')
})

const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const job: JobView = {
  id: 'job-1',
  name: 'mnist',
  state: 'running',
  submittedAt: 1,
  program: cid,
  train: cid,
  metricName: 'accuracy',
  lossName: 'cross_entropy',
  parameters: 1,
  batch: 64,
  epochs: 1,
  rounds: 2,
  samplesDone: 40_000,
  samplesTotal: 100_000,
  samplesPerSecond: 5_000,
  samplesInFlight: 10_000,
  loss: 0.25,
  metric: 0.925,
  contributors: 4,
  etaMs: 10_000,
  shares: [],
}

test('the live view: four lines with progress, figures and why it waits', () => {
  const plain = pc.createColors(false)
  const lines = jobLines(job, [2, 1], plain)
  assert.equal(lines.length, 4)
  assert.match(lines[1]!, /^█{14}░{14} +50 % {3}50,000 of 100,000 samples {3}ETA 10 s$/)
  assert.match(lines[2]!, /^loss 0\.2500 █▁ {3}accuracy 92\.50 %$/)
  assert.equal(lines[3], '5.00 k samples/s   4 contributors   round 3')
  const waiting = jobLines({ ...job, state: 'queued', contributors: 0, reason: 'No contributor is there.' }, [], plain)
  assert.equal(waiting[3], 'waiting: No contributor is there.')
})

test('the end of a job: its own metric first, then what else the test data told, then the loss', () => {
  const done = { ...job, state: 'done' as const, startedAt: 1, endedAt: 2001, testMetric: 0.9, testLoss: 0.5 }
  const told = (change: Partial<JobView>) => summaryLines({ ...done, ...change }).slice(1)
  assert.deepEqual(told({ testMetrics: { top5: 1, accuracy: 0.9, perplexity: 12.5 } }), [
    'Accuracy 92.50 %, loss 0.2500 in training.',
    'Accuracy 90.00 %, top-5 100.00 %, perplexity 12.50, loss 0.5000 on the test data.',
  ])
  assert.deepEqual(told({}), [
    'Accuracy 92.50 %, loss 0.2500 in training.',
    'Accuracy 90.00 %, loss 0.5000 on the test data.',
  ])
  assert.deepEqual(told({ metricName: 'mae', metric: 0.3, testMetric: 0.4, testMetrics: { mae: 0.4, r2: 0.875 } }), [
    'MAE 0.3000, loss 0.2500 in training.',
    'MAE 0.4000, R² 0.8750, loss 0.5000 on the test data.',
  ])
})

test('a job whose metric is its loss says the loss once, and never accuracy', () => {
  const own: JobView = { ...job, metricName: 'loss', lossName: 'output', metric: 0.25, testMetric: 0.5, testLoss: 0.5 }
  const round = {
    ...{ round: 1, at: 1, millis: 1, samples: 1, samplesDone: 1, samplesPerSecond: 1, loss: 0.25, metric: 0.25 },
    ...{ testMetric: 0.5, testLoss: 0.5, learningRate: 1, checkpoint: cid, shares: [], excluded: [] },
  }
  assert.equal(jobLines(own, [], pc.createColors(false))[2], 'loss 0.2500   test 0.5000')
  assert.match(roundLine(round, own), / {2}loss 0\.2500 {2}test 0\.5000 {2}1 samples\/s/)
  assert.equal(testLine(round, own), 'round 1  test loss 0.5000')
  assert.deepEqual(summaryLines({ ...own, state: 'done', endedAt: 2001 }).slice(1), [
    'Loss 0.2500 in training.',
    'Loss 0.5000 on the test data.',
  ])
  // What a metric is called is not known before the job is.
  assert.doesNotMatch(roundLine(round, undefined) + testLine(round, undefined), /accuracy/)
})

test('how a job trains takes two lines, or none where it is not told', () => {
  const training = { loss: 'huber, delta 0.5', optimizer: 'Lion, learning rate 0.001', schedule: 'constant' }
  assert.deepEqual(trainingLines({ ...job, training }), [
    'Lion, learning rate 0.001; constant',
    'loss huber, delta 0.5; batch 64',
  ])
  const more = { ...training, accumulation: '4 parts of 16', adapters: 'LoRA rank 8', frozen: 'a.*' }
  assert.equal(
    trainingLines({ ...job, training: more })[1],
    'loss huber, delta 0.5; LoRA rank 8; frozen a.*; batch 64 in 4 parts of 16',
  )
  assert.deepEqual(trainingLines(job), [])
})

test('predictions as CSV, JSON, JSON lines and a table', () => {
  const classes = [
    { row: 0, class: 'a, b', probability: 0.75, probabilities: { 'a, b': 0.75, c: 0.25 } },
    { row: 1, class: 'c', probability: 1, probabilities: { 'a, b': 0, c: 1 } },
  ]
  const written = (form: keyof typeof predictionForms, list = classes) => {
    const { head, line, tail } = predictionForms[form]()
    return `${list[0] ? head(list[0]) : ''}${list.map((each, i) => line(each, i === 0)).join('')}${tail(!list.length)}`
  }
  assert.equal(written('csv'), 'row,class,probability,"p(a, b)",p(c)\n0,"a, b",0.75,0.75,0.25\n1,c,1,0,1\n')
  assert.deepEqual(JSON.parse(written('json')), classes)
  assert.deepEqual(JSON.parse(written('json', [])), [])
  assert.deepEqual(
    written('jsonl')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    classes,
  )
  assert.match(written('table'), /^ +0 {2}a, b +75\.0 % {2}c 25\.0 %$/m)
  const { head, line } = predictionForms.csv()
  const number = { row: 0, values: [1.5] }
  assert.equal(head(number) + line(number, true), 'row,value\n0,1.5\n')
})
