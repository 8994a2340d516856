import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readSafetensors, type Tensor, writeSafetensors } from '@pingo/wire'
import { Place, ROOT } from './support/command.ts'

const FIXTURES = join(ROOT, 'packages', 'graph', 'fixtures')
const far = (a: Tensor, b: Tensor): number => {
  let [difference, size] = [0, 0]
  b.data.forEach((x, i) => {
    difference += (Number(a.data[i]) - Number(x)) ** 2
    size += Number(x) ** 2
  })
  return Math.sqrt(difference / size)
}

test('graph grad writes the loss, the output and the gradient of every weight, as PyTorch computes them', async () => {
  await using place = await Place.create()
  for (const [name, loss] of [
    ['resnet', 'cross_entropy'],
    ['gpt', 'cross_entropy'],
    ['autoencoder', 'mse'],
  ] as const) {
    const file = join(FIXTURES, `${name}.safetensors`)
    const args = [join(FIXTURES, `${name}.onnx`), '--batch', file, '--loss', loss, '--out', 'g.safetensors', '--json']
    const { code, stdout, stderr } = await place.run(['graph', 'grad', ...args])
    assert.equal(code, 0, stderr)
    const said = JSON.parse(stdout) as { loss: number; gradients: number; norm: number; notes: string[] }
    const expected = readSafetensors(await readFile(file)).tensors
    const got = readSafetensors(await readFile(place.path('g.safetensors'))).tensors
    const wanted = [...expected.keys()].filter((key) => /^(loss|output|grad\..*)$/.test(key))
    assert.equal(said.gradients, wanted.length - 2, name)
    assert.ok(said.norm > 0 && Number.isFinite(said.norm))
    for (const key of wanted) {
      assert.ok(got.has(key), `${name}: ${key}`)
      // A bias in front of a batch normalisation has a gradient of zero but for rounding.
      const size = Math.hypot(...Array.from(expected.get(key)!.data as Float32Array))
      if (size > 1e-6) assert.ok(far(got.get(key)!, expected.get(key)!) < 1e-4, `${name}: ${key}`)
    }
  }
})

test('graph grad names what is wrong with its arguments in a sentence', async () => {
  await using place = await Place.create()
  const model = join(FIXTURES, 'mlp.onnx')
  const tensor = (shape: number[], value: number): Tensor => ({
    dtype: 'float32',
    shape,
    data: new Float32Array(shape.reduce((n, m) => n * m, 1)).fill(value),
  })
  const ids: Tensor = { dtype: 'int64', shape: [2], data: new BigInt64Array(2) }
  const batch = (name: string, tensors: Record<string, Tensor>) =>
    place.write(name, writeSafetensors(Object.entries(tensors)))
  await batch('good', { input: tensor([2, 12], 1), target: ids })
  await batch('targetless', { input: tensor([2, 12], 1) })
  await batch('wide', { input: tensor([2, 13], 1), target: ids })
  await batch('nan', { input: tensor([2, 12], Number.NaN), target: ids })
  await batch('weights', { input: tensor([2, 12], 1), target: ids, sample_weight: tensor([3], 1) })
  await place.write('damaged', Uint8Array.of(1, 2, 3))
  const cases: [batch: string, loss: string, code: number, text: RegExp][] = [
    ['targetless', 'cross_entropy', 1, /no tensor 'target'/],
    ['wide', 'cross_entropy', 1, /wants \[12\].*\[13\]/],
    ['nan', 'cross_entropy', 1, /'input' of the batch holds NaN/],
    ['weights', 'cross_entropy', 1, /3 sample weights/],
    ['damaged', 'cross_entropy', 1, /safetensors file is damaged/],
    ['absent', 'cross_entropy', 1, /No such file or folder: absent/],
    ['good', 'mse', 1, /different sizes/],
    ['good', 'hinge', 2, /no loss 'hinge'.\nChoose one of cross_entropy/],
    ['good', '{"kind"', 2, /not JSON/],
  ]
  for (const [name, loss, wanted, text] of cases) {
    const { code, stderr } = await place.run(['graph', 'grad', model, '--batch', name, '--loss', loss, '--out', 'g'])
    assert.deepEqual([code, text.test(stderr)], [wanted, true], `${name} ${loss}: ${stderr}`)
    assert.doesNotMatch(stderr, /\n\s+at /)
  }
  const settings = ['--loss', '{"kind":"cross_entropy","smoothing":0.1}', '--out', 'g', '--json']
  const { code, stderr } = await place.run(['graph', 'grad', model, '--batch', 'good', ...settings])
  assert.equal(code, 0, stderr)
})

test('a model whose weights lie in a file beside it is read; one that points elsewhere is not', async () => {
  await using place = await Place.create()
  const files = join(FIXTURES, 'external')
  await mkdir(place.path('both'))
  await mkdir(place.path('alone'))
  for (const name of ['model.onnx', 'model.onnx.data']) await copyFile(join(files, name), place.path('both', name))
  for (const name of ['model.onnx', 'outside.onnx']) await copyFile(join(files, name), place.path('alone', name))
  await copyFile(join(files, 'model.onnx.data'), place.path('model.onnx.data'))
  const good = await place.run(['graph', 'check', 'both/model.onnx', '--json'])
  assert.equal(good.code, 0, good.stderr)
  assert.equal((JSON.parse(good.stdout) as { parameters: number }).parameters, 8)
  const missing = await place.run(['graph', 'check', 'alone/model.onnx'])
  assert.match(missing.stderr, /keeps weights in the file 'model.onnx.data', which cannot be read/)
  // It names ../model.onnx.data, which is there.
  const outside = await place.run(['graph', 'check', 'alone/outside.onnx'])
  assert.match(outside.stderr, /'..\/model.onnx.data', which is not in the folder of the model/)
})

test('graph check tells what a training step takes, in a table and as JSON; wrong sizes are refused', async () => {
  await using place = await Place.create()
  const model = join(FIXTURES, 'resnet.onnx')
  const people = await place.run(['graph', 'check', model, '--batch', '2,64', '--verbose'])
  assert.equal(people.code, 0, people.stderr)
  assert.match(people.stdout, /resnet.onnx can be trained/)
  assert.match(people.stdout, /training +[\d.]+ [kM] FLOP a sample/)
  assert.match(people.stdout, /batch +at most\n +2 +[\d.]+ [KM]iB\n +64 +[\d.]+ [KM]iB\n/)
  assert.match(people.stdout, /fc.weight +\[5, 16\] +80/)
  const json = await place.run(['graph', 'check', model, '--json'])
  const { training, parameters } = JSON.parse(json.stdout) as {
    parameters: number
    training: { flopsPerSample: number; batches: { batch: number; peakBytes: number }[] }
  }
  assert.deepEqual(
    training.batches.map(({ batch }) => batch),
    [1, 8, 32, 128],
  )
  assert.ok(training.batches.every(({ peakBytes }) => peakBytes > 16 * parameters))
  for (const wrong of [
    ['--batch', '0'],
    ['--batch', 'a,b'],
    ['--size', 'length'],
    ['--size', 'length=0'],
  ]) {
    const { code, stderr } = await place.run(['graph', 'check', model, ...wrong])
    assert.equal(code, 2, stderr)
  }
  const blocked = await place.run(['graph', 'check', join(FIXTURES, 'batches', 'offsets.onnx')])
  assert.equal(blocked.code, 1)
  assert.match(blocked.stdout, /cannot be trained.\n +✗ .*Slice.*depends on the data/)
})
