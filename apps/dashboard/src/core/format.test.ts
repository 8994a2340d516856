import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as format from './format.ts'

/** Narrow and fixed spaces as plain ones, so that expectations can be read. */
const plain = (text: string): string => text.replaceAll(/[\u00a0\u202f]/g, ' ')

const cases = <T>(name: string, show: (value: T) => string, table: [T, string][]) =>
  test(name, () => {
    for (const [value, text] of table) assert.equal(plain(show(value)), text, `of ${value}`)
  })

cases('counts are scaled to three figures at most', format.compact, [
  [0, '0'],
  [0.5, '0.5'],
  [950, '950'],
  [999.4, '999'],
  [999.6, '1 k'],
  [1_000, '1 k'],
  [12_400, '12.4 k'],
  [999_400, '999 k'],
  [999_600, '1 M'],
  [3_100_000, '3.1 M'],
  [-2_500, '-2.5 k'],
  [7.2e18, '7200 P'],
])

cases('speeds keep three figures, so that their width stays', format.rate, [
  [0, '0 samples/s'],
  [7.4, '7.4 samples/s'],
  [950.3, '950 samples/s'],
  [8_900, '8.90 k samples/s'],
  [12_400, '12.4 k samples/s'],
])

cases('whole numbers are grouped by thousands', format.whole, [
  [0, '0'],
  [999, '999'],
  [60_000, '60 000'],
  [1_234_567, '1 234 567'],
])

cases('bytes are in binary units', format.bytes, [
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_536, '1.5 KiB'],
  [8 * 2 ** 30, '8 GiB'],
])

cases('durations show their two largest units', format.duration, [
  [0, '0 ms'],
  [420, '420 ms'],
  [999.7, '1.0 s'],
  [4_000, '4.0 s'],
  [9_949, '9.9 s'],
  [9_960, '10 s'],
  [59_400, '59 s'],
  [59_600, '1 min'],
  [80_000, '1 min 20 s'],
  [3_599_900, '1 h'],
  [7_500_000, '2 h 5 min'],
  [86_400_000, '1 d'],
  [190_000_000, '2 d 5 h'],
  [-5, '0 ms'],
])

cases('running times are in whole seconds', format.calmDuration, [
  [7_940, '8 s'],
  [9_600, '10 s'],
  [80_400, '1 min 20 s'],
])

cases('the last second of a job is not counted down', format.left, [
  [900, 'almost done'],
  [80_000, '1 min 20 s left'],
])

cases('what was seen just now is now', format.ago, [
  [-300, 'now'],
  [2_900, 'now'],
  [12_000, '12 s ago'],
])

cases('losses stay legible at any size', format.loss, [
  [0, '0.0000'],
  [0.04721, '0.0472'],
  [0.00002, '2.0 e−5'],
  [12.345, '12.35'],
  [345.67, '345.7'],
  [45_000, '45 k'],
])

test('progress never says 100 % before it is', () => {
  assert.equal(plain(format.progress(0, 0)), '0 %')
  assert.equal(plain(format.progress(0, 180_000)), '0 %')
  assert.equal(plain(format.progress(179_999, 180_000)), '99.9 %')
  assert.equal(plain(format.progress(180_000, 180_000)), '100 %')
})

test('metrics are called as the field calls them', () => {
  const names = ['accuracy', 'top5', 'perplexity', 'f1', 'f1_macro', 'auc', 'mae', 'r2', 'recall']
  const labels = ['Accuracy', 'Top-5', 'Perplexity', 'F1', 'F1 (macro)', 'AUC', 'MAE', 'R²', 'recall']
  assert.deepEqual(names.map(format.metricLabel), labels)
  assert.deepEqual(['accuracy', 'mae'].map(format.testLabel), ['Test accuracy', 'Test MAE'])
  assert.equal(format.lossLabel('smooth_l1'), 'smooth l1')
})

test('shares of right predictions are per cent, errors and scores are numbers', () => {
  assert.equal(plain(format.metric('top5', 0.995)), '99.50 %')
  assert.equal(format.metric('f1_macro', 0.9487), '0.9487')
  assert.equal(format.metric('r2', -0.4871), '-0.4871')
  assert.equal(plain(format.metric('accuracy', 0.98757)), '98.76 %')
  assert.equal(format.metric('mae', 0.3468), '0.3468')
  assert.equal(format.metric('accuracy', undefined), format.NONE)
})

test('long identifiers keep head and tail, short ones stay', () => {
  assert.equal(format.shortId('12D3KooWQnwEGNqcM2nAcPt'), '12D3Ko…2nAcPt')
  assert.equal(format.shortId('job-1'), 'job-1')
})

test('counted things have their number', () => {
  assert.equal(plain(format.plural(1, 'job')), '1 job')
  assert.equal(plain(format.plural(0, 'job')), '0 jobs')
  assert.equal(plain(format.plural(1.5, 'epoch')), '1.5 epochs')
})

test('formatters never show NaN, undefined or infinity, whatever comes', () => {
  const formatters = [
    format.compact,
    format.speed,
    format.rate,
    format.whole,
    format.bytes,
    format.duration,
    format.calmDuration,
    format.left,
    format.ago,
    format.percent,
    format.loss,
    format.cores,
  ]
  const anything = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constant(undefined),
    fc.constant(null as unknown as undefined),
  )
  fc.assert(
    fc.property(anything, (value) => {
      for (const show of formatters)
        assert.doesNotMatch(show(value), /NaN|undefined|Infinity|null/, `${show.name}(${value})`)
    }),
  )
})
