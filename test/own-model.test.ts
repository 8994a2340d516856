import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT, Workplace } from './support/pingo.ts'

test('a model exported by another tool and a CSV train by a job file of at most 12 lines, and predict', {
  timeout: 180_000,
}, async () => {
  const example = join(ROOT, 'examples', 'own-onnx')
  const lines = (await readFile(join(example, 'job.yaml'), 'utf8'))
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('#'))
  assert.ok(lines.length <= 12, `${lines.length} lines`)

  await using place = await Workplace.create()
  const up = await place.node(['up', '--contributors', '2', '--port', '0'])
  assert.ok(up.ready.url)
  const trained = await place.run(['train', join(example, 'job.yaml'), '--output', place.path('out'), '--json'])
  assert.equal(trained.code, 0, trained.stderr)
  const card = JSON.parse(await readFile(place.path('out', 'model.json'), 'utf8'))
  assert.ok(card.test.metric > 0.8, `test metric ${card.test.metric}`)
  const csv = (await readFile(join(example, 'job.yaml'), 'utf8')).match(/[\w.-]+\.csv/)![0]
  const predicted = await place.run([
    'predict',
    place.path('out', 'model.onnx'),
    '--input',
    join(example, csv),
    '--json',
  ])
  assert.equal(predicted.code, 0, predicted.stderr)
  assert.ok(predicted.lines.join('').length > 10)
})
