import assert from 'node:assert/strict'
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { importDataset } from '@pingo/data'
import { templates, writeModel } from '@pingo/graph'
import type { Column } from '@pingo/wire'
import { temporaryFolder } from '../testing/gateway.ts'
import { Predictor } from './predictor.ts'
import { type Prediction, predictionOf } from './scores.ts'

const OWN_ONNX = fileURLToPath(new URL('../../../../examples/own-onnx', import.meta.url))
const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

const cardFor = (kind: string, columns: Column[], inputs: object[]) =>
  JSON.stringify({
    type: 'pingo/model-card',
    version: 1,
    name: 'test',
    job: 'job-1',
    fog: 'fog',
    createdAt: 1,
    files: { model: { cid: CID, bytes: 1 }, checkpoint: { cid: CID, bytes: 1 } },
    dataset: { train: CID, trainSamples: 1 },
    program: CID,
    parameters: 1,
    loss: 'cross_entropy',
    metric: 'accuracy',
    epochs: 1,
    rounds: 1,
    samples: 1,
    seconds: 1,
    samplesPerSecond: 1,
    train: { loss: 1, metric: 1 },
    contributors: [],
    columns,
    kind,
    inputs,
    settings: {},
  })

async function all(predictions: AsyncIterable<Prediction>): Promise<Prediction[]> {
  const list: Prediction[] = []
  for await (const prediction of predictions) list.push(prediction)
  return list
}

test('with a model card: columns by name in any order, classes by name, probabilities that add up', async () => {
  await using folder = await temporaryFolder()
  const model = join(folder.path, 'model.onnx')
  await copyFile(join(OWN_ONNX, 'model.onnx'), model)
  const fields = ['a', 'b', 'c', 'd']
  const columns: Column[] = [
    { name: 'input', role: 'input', dtype: 'float32', shape: [4], fields },
    { name: 'target', role: 'target', dtype: 'int32', shape: [], classes: ['one', 'two', 'three'] },
  ]
  const inputs = [{ name: 'measurements', column: 'input', dtype: 'float32', shape: [4] }]
  await writeFile(join(folder.path, 'model.json'), cardFor('tabular', columns, inputs))
  await writeFile(join(folder.path, 'x.csv'), 'd,c,b,a\n4,3,2,1\n8,7,6,5\n')
  await writeFile(join(folder.path, 'y.csv'), 'a,b,c,d,target\n1,2,3,4,one\n5,6,7,8,two\n')
  await using predictor = await Predictor.open(model)
  assert.equal(predictor.card?.job, 'job-1')
  const found = await all(predictor.predict(join(folder.path, 'x.csv')))
  assert.deepEqual(found, await all(predictor.predict(join(folder.path, 'y.csv'))))
  assert.deepEqual(
    found.map(({ row }) => row),
    [0, 1],
  )
  for (const { class: name, probability, probabilities } of found) {
    assert.deepEqual(Object.keys(probabilities!), ['one', 'two', 'three'])
    assert.ok(Math.abs(Object.values(probabilities!).reduce((a, b) => a + b) - 1) < 1e-9)
    assert.equal(probability, Math.max(...Object.values(probabilities!)))
    assert.equal(probabilities![name!], probability)
  }
  await writeFile(join(folder.path, 'z.csv'), 'a,b,c\n1,2,3\n')
  await assert.rejects(all(predictor.predict(join(folder.path, 'z.csv'))), { code: 'DATA_NO_COLUMN' })
})

test('without a card: the columns of a table in their order', async () => {
  await using folder = await temporaryFolder()
  await using predictor = await Predictor.open(join(OWN_ONNX, 'model.onnx'))
  await writeFile(join(folder.path, 'x.csv'), 'w,x,y,z\n1,2,3,4\n')
  const [prediction] = await all(predictor.predict(join(folder.path, 'x.csv')))
  assert.equal(prediction!.values?.length, 3, 'scores, for nobody says that they are classes')
  await assert.rejects(all(predictor.predict(join(folder.path, 'none.csv'))), { code: 'DATA_FILE_MISSING' })
})

test('a damaged card, a damaged model and none are told', async () => {
  await using folder = await temporaryFolder()
  const model = join(folder.path, 'model.onnx')
  await assert.rejects(Predictor.open(model), { code: 'MODEL_NOT_FOUND' })
  await writeFile(model, 'not a model')
  await assert.rejects(Predictor.open(model), { code: 'GRAPH_REFUSED' })
  await writeFile(join(folder.path, 'model.json'), '{"type":')
  await assert.rejects(Predictor.open(model), { code: 'MODEL_CARD_INVALID', hint: /pingo job get/ })
})

test('a gpt goes on with a prompt: equal seeds, equal text; unknown characters are named', async () => {
  await using folder = await temporaryFolder()
  const vocabulary = [...'abcdefgh ']
  const model = templates.gpt({ vocabulary: vocabulary.length, context: 6, layers: 1, heads: 2, width: 8, seed: 3 })
  const path = join(folder.path, 'model.onnx')
  await writeFile(path, writeModel(model))
  const columns: Column[] = [
    { name: 'input', role: 'input', dtype: 'int32', shape: [6], vocabulary },
    { name: 'target', role: 'target', dtype: 'int32', shape: [6], vocabulary },
  ]
  const inputs = [{ name: 'input', column: 'input', dtype: 'int32', shape: [6] }]
  await writeFile(join(folder.path, 'model.json'), cardFor('text', columns, inputs))
  await using predictor = await Predictor.open(path)
  const generate = async (prompt: string, o: object = {}) =>
    (await Array.fromAsync(predictor.generate(prompt, o))).join('')
  const text = await generate('abc', { length: 20, seed: 1 })
  assert.equal(text.length, 20)
  assert.equal(await generate('abc', { length: 20, seed: 1 }), text)
  assert.notEqual(await generate('abc', { length: 20, seed: 2 }), text)
  // greedy: what comes next depends on the last tokens of the context alone
  const greedy = await generate('aabbccdd', { length: 8, temperature: 0 })
  assert.equal(await generate('hhhhbbccdd', { length: 8, temperature: 0 }), greedy)
  await assert.rejects(generate('xyz'), { code: 'PROMPT_UNKNOWN_CHARACTER', message: /'x'/ })
  await assert.rejects(generate(''), { code: 'PROMPT_EMPTY' })
  await writeFile(join(folder.path, 'text.txt'), 'abc def gh')
  const rows = await all(predictor.predict(join(folder.path, 'text.txt')))
  assert.equal(rows.length, 2, 'a prediction of what follows each sample')
})

test('a gpt of byte-level tokens takes any prompt and gives whole characters', async () => {
  await using folder = await temporaryFolder()
  const source = join(folder.path, 'book.txt')
  await writeFile(source, 'größer als groß, größer als größer. '.repeat(40))
  const files = new Map<string, Uint8Array>()
  const { train } = await importDataset(
    source,
    {
      async put(bytes) {
        const whole = bytes instanceof Uint8Array ? bytes : Buffer.concat(await Array.fromAsync(bytes))
        const cid = `bafkrei${'a'.repeat(40 + files.size)}`
        files.set(cid, whole)
        return { cid, bytes: whole.length }
      },
    },
    { tokenizer: 'bpe', vocabulary: 264, context: 6 },
  )
  const { columns } = train
  const vocabulary = columns[0]!.vocabulary!
  const model = templates.gpt({ vocabulary: vocabulary.length, context: 6, layers: 1, heads: 2, width: 8, seed: 3 })
  const path = join(folder.path, 'model.onnx')
  await writeFile(path, writeModel(model))
  const inputs = [{ name: 'input', column: 'input', dtype: 'int32', shape: [6] }]
  await writeFile(join(folder.path, 'model.json'), cardFor('text', columns, inputs))
  await using predictor = await Predictor.open(path)
  const parts = await Array.fromAsync(predictor.generate('größer 日本 ', { length: 60, seed: 1, temperature: 2 }))
  assert.ok(parts.length > 10)
  for (const part of parts) assert.ok(part.length && !/[\ud800-\udbff]$/.test(part))
  await writeFile(join(folder.path, 'text.txt'), 'größer als 日本')
  const rows = await all(predictor.predict(join(folder.path, 'text.txt')))
  assert.ok(rows.length >= 1)
  assert.ok(
    rows.every((row) => !row.class!.includes('Ġ')),
    'tokens are told as text',
  )
})

test('a model that told numbers tells numbers, though its data have classes', async () => {
  await using folder = await temporaryFolder()
  const model = templates.autoencoder({ shape: [2], latent: 1, hidden: [3] })
  const path = join(folder.path, 'model.onnx')
  await writeFile(path, writeModel(model))
  const columns: Column[] = [
    { name: 'input', role: 'input', dtype: 'float32', shape: [2], fields: ['a', 'b'] },
    { name: 'target', role: 'target', dtype: 'int32', shape: [], classes: ['one', 'two'] },
  ]
  const inputs = [{ name: 'input', column: 'input', dtype: 'float32', shape: [2] }]
  await writeFile(join(folder.path, 'model.json'), cardFor('tabular', columns, inputs).replace('cross_entropy', 'mse'))
  await writeFile(join(folder.path, 'x.csv'), 'a,b\n1,2\n')
  await using predictor = await Predictor.open(path)
  const [row] = await all(predictor.predict(join(folder.path, 'x.csv')))
  assert.equal(row!.values?.length, 2)
  assert.equal(row!.class, undefined)
})

test('scores as predictions', () => {
  const target = (change: Partial<Column>): Column => ({
    name: 't',
    role: 'target',
    dtype: 'int32',
    shape: [],
    ...change,
  })
  const two = predictionOf(0, [0], target({ classes: ['no', 'yes'] }))
  assert.deepEqual(two, { row: 0, class: 'no', probability: 0.5, probabilities: { no: 0.5, yes: 0.5 } })
  const given = predictionOf(1, [0.1, 0.9], target({ classes: ['no', 'yes'] }))
  assert.deepEqual(given.probabilities, { no: 0.1, yes: 0.9 }, 'probabilities stay what they are')
  assert.equal(predictionOf(2, [1000, -1000], target({ classes: ['a', 'b'] })).probability, 1)
  assert.deepEqual(predictionOf(3, [1.5], target({ dtype: 'float32' })), { row: 3, values: [1.5] })
  assert.deepEqual(predictionOf(4, [0.2, 0.8], undefined).class, '1')
  assert.deepEqual(predictionOf(5, [2, 3], undefined).values, [2, 3])
})
