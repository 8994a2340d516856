import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { batchNorm, dense, dropout, parseModel, sequential, weightsOf, writeModel } from '@pingo/graph'
import { readSafetensors, writeSafetensors } from '@pingo/wire'
import { Place } from './support/command.ts'

const model = sequential([dense(4), batchNorm(), dropout(0.5), dense(2)], { input: [3] })

test('pingo graph export writes a smaller model and its weights, and takes weights from safetensors', async () => {
  await using place = await Place.create()
  await place.write('model.onnx', writeModel(model))
  const small = await place.run(['graph', 'export', 'model.onnx', '--out', 'small.onnx', '--fold', '--json'])
  assert.deepEqual([small.code, small.stderr], [0, ''])
  assert.deepEqual(JSON.parse(small.stdout).nodes, { before: 4, after: 2 })
  const ops = parseModel(await readFile(place.path('small.onnx'))).graph.nodes.map(({ op }) => op)
  assert.deepEqual(ops, ['Gemm', 'Gemm'])

  const out = await place.run(['graph', 'export', 'model.onnx', '--safetensors', 'w.safetensors'])
  assert.equal(out.stdout.trim(), '8 weights are in w.safetensors (776 B).')
  const { tensors } = readSafetensors(await readFile(place.path('w.safetensors')))
  assert.deepEqual(new Map([...tensors].sort()), new Map([...weightsOf(model)].sort()))

  const bias = tensors.get('dense2.bias')!
  await writeFile(
    place.path('new.safetensors'),
    writeSafetensors([['dense2.bias', { ...bias, data: Float32Array.of(5, 6) }]]),
  )
  const back = await place.run(['graph', 'export', 'model.onnx', '--weights', 'new.safetensors', '--out', 'new.onnx'])
  assert.match(back.stdout, /^model\.onnx \(.*, 4 nodes\) is now new\.onnx \(.*, 3 nodes\)\.\n$/)
  const { initializers } = parseModel(await readFile(place.path('new.onnx'))).graph
  assert.deepEqual([...initializers.get('dense2.bias')!.data], [5, 6])
})

test('pingo graph export tells what is wrong and writes nothing', async () => {
  await using place = await Place.create()
  await place.write('model.onnx', writeModel(model))
  await place.write(
    'other.safetensors',
    writeSafetensors([['nothing', { dtype: 'float32', shape: [1], data: Float32Array.of(1) }]]),
  )
  const refused = async (args: string[], code: number, words: RegExp) => {
    const run = await place.run(['graph', 'export', ...args])
    assert.deepEqual([run.code, run.stdout], [code, ''])
    assert.match(run.stderr, words)
  }
  await refused(['model.onnx'], 2, /^pingo: Say what to write\.\nGive --out FILE/)
  await refused(['none.onnx', '--out', 'x.onnx'], 1, /none\.onnx/)
  await refused(['model.onnx', '--weights', 'other.safetensors', '--out', 'x.onnx'], 1, /no weight 'nothing'/)
  await refused(['model.onnx', '--weights', 'model.onnx', '--out', 'x.onnx'], 1, /safetensors file is damaged/)
  assert.deepEqual((await readdir(place.folder)).sort(), ['model.onnx', 'other.safetensors'])
})
