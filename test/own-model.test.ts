import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { hasLora, parseModel, writeModel } from '@pingo/graph'
import { readSafetensors } from '@pingo/wire'
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

test('adapters are trained by Muon in parts of a batch; the result has them folded in, the checkpoint holds them', {
  timeout: 180_000,
}, async () => {
  const example = join(ROOT, 'examples', 'own-onnx')
  await using place = await Workplace.create()
  await place.node(['up', '--contributors', '1', '--port', '0'])
  const job = {
    version: 1,
    name: 'adapted',
    model: { onnx: join(example, 'model.onnx'), loss: { kind: 'cross_entropy', smoothing: 0.05 }, lora: { rank: 4 } },
    data: { train: join(example, 'penguins.csv'), target: 'species', test: 0.2, normalize: 'standard' },
    train: { optimizer: 'muon', lr: 0.02, batch: 16, accumulate: 2, epochs: 40, round: '1s', schedule: 'wsd' },
  }
  await writeFile(place.path('job.json'), JSON.stringify(job))
  const trained = await place.run(['train', place.path('job.json'), '--output', place.path('out'), '--json'])
  assert.equal(trained.code, 0, trained.stderr)
  const { test: tested } = JSON.parse(await readFile(place.path('out', 'model.json'), 'utf8'))
  assert.ok(tested.metric > 0.8, `test metric ${tested.metric}`)
  assert.ok(Math.abs(tested.metrics.accuracy - tested.metric) < 1e-6)
  assert.ok(tested.metrics.f1_macro > 0.7 && tested.metrics.f1_macro <= 1, JSON.stringify(tested.metrics))
  const [original, model] = [join(example, 'model.onnx'), place.path('out', 'model.onnx')]
  const [before, after] = [parseModel(await readFile(original)), parseModel(await readFile(model))]
  assert.ok(!hasLora(after))
  const { tensors } = readSafetensors(await readFile(place.path('out', 'checkpoint.safetensors')))
  const adapted = [...tensors.keys()].filter((name) => name.endsWith('.lora_B')).map((name) => name.slice(0, -7))
  assert.ok(adapted.length > 0 && tensors.size === 2 * adapted.length)
  for (const [name, { data }] of before.graph.initializers) {
    const same = assert[adapted.includes(name) ? 'notDeepEqual' : 'deepEqual']
    same(after.graph.initializers.get(name)!.data, data, name)
  }
})

test('a model with dropout trains on contributors, each of which draws the noise of its batches', {
  timeout: 180_000,
}, async () => {
  await using place = await Workplace.create()
  await cp(join(ROOT, 'examples', 'own-onnx'), place.path('job'), { recursive: true })
  const file = place.path('job', 'model.onnx')
  const model = parseModel(await readFile(file))
  const at = model.graph.nodes.findIndex(({ op }) => op === 'Gemm')
  const layer = model.graph.nodes[at]!
  const drop = { name: 'drop', op: 'Dropout', domain: '', inputs: ['whole'], outputs: layer.outputs, attributes: {} }
  model.graph.nodes.splice(at, 1, { ...layer, outputs: ['whole'] }, drop)
  await writeFile(file, writeModel(model))

  await place.node(['up', '--contributors', '2', '--port', '0'])
  const trained = await place.run(['train', place.path('job', 'job.yaml'), '--output', place.path('out'), '--json'])
  assert.equal(trained.code, 0, trained.stderr)
  const card = JSON.parse(await readFile(place.path('out', 'model.json'), 'utf8'))
  assert.ok(card.test.metric > 0.8, `test metric ${card.test.metric}`)
})
