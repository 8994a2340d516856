import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, count, duration, figure, metric, metrics, time } from './format.ts'

test('counts, sizes, times and figures as people read them', () => {
  assert.deepEqual([0, 7, 999, 1000, 12_345, 3_100_000, 0.5].map(count), [
    '0',
    '7',
    '999',
    '1.00 k',
    '12.3 k',
    '3.10 M',
    '0.5',
  ])
  assert.deepEqual([0, 512, 1536, 2 ** 20, 55 * 2 ** 20].map(bytes), ['0 B', '512 B', '1.5 KiB', '1.0 MiB', '55 MiB'])
  assert.deepEqual([0, 400, 12_000, 80_000, 7_500_000, 273_600_000].map(duration), [
    '0.0 s',
    '0.4 s',
    '12 s',
    '1 min 20 s',
    '2 h 05 min',
    '3 d 4 h',
  ])
  assert.deepEqual([undefined, 0, 0.12345, 12.345, 1234.5, 1e-5, Number.NaN].map(figure), [
    '–',
    '0.0000',
    '0.1235',
    '12.35',
    '1235',
    '1.00e-5',
    '–',
  ])
  assert.deepEqual(
    [metric('accuracy', 0.98754), metric('mae', 1.5), metric('mae', undefined)],
    ['98.75 %', '1.5000', '–'],
  )
})

test('metrics have the names of the field; shares of right predictions are in %, scores and errors are not', () => {
  assert.equal(
    metrics({ accuracy: 0.9, top5: 0.995, perplexity: 19.123, f1: 0.5, f1_macro: 0.25, auc: 1, mae: 0.1, r2: -0.5 }),
    'accuracy 90.00 %, top-5 99.50 %, perplexity 19.12, F1 0.5000, F1 (macro) 0.2500, AUC 1.0000, MAE 0.1000, R² -0.5000',
  )
  assert.equal(metrics({}), '')
  assert.equal(metrics({ recall: 0.5 }), 'recall 0.5000')
})

test('no unit overflows: what rounds up to the next one is said in it', () => {
  assert.deepEqual([999.6, 999_600].map(count), ['1.00 k', '1.00 M'])
  assert.deepEqual([9_960, 59_700, 3_599_900, 86_399_000].map(duration), [
    '10 s',
    '1 min 00 s',
    '1 h 00 min',
    '1 d 0 h',
  ])
})

test('a time of today is a clock, of another day a date', () => {
  const now = new Date(2026, 0, 2, 3, 4, 5).getTime()
  assert.equal(time(now, now), '03:04:05')
  assert.equal(time(now - 86_400_000, now), '2026-01-01 03:04:05')
})
