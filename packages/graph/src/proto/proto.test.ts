import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isPinGoError, PinGoError } from '@pingo/wire'
import fc from 'fast-check'
import { PbfWriter } from 'pbf'
import { checkModel, inferShapes, type Model, parseModel, templates, writeModel } from '../index.ts'
import { tensorOf } from '../tensors.ts'
import { ATTRIBUTE, GRAPH, MODEL, NODE, OPSET, TENSOR } from './fields.ts'

const folder = new URL('../../fixtures/', import.meta.url)
const files = readdirSync(folder).filter((file) => file.endsWith('.onnx'))
const bytesOf = (file: string) => readFileSync(new URL(file, folder))

for (const file of files)
  test(`${file}: parse, write, parse gives the same model`, () => {
    const model = parseModel(bytesOf(file))
    const again = parseModel(writeModel(model))
    assert.deepEqual(again, model)
  })

test('a template survives the file, with its symbolic batch', () => {
  const model = templates.cnn({ shape: [1, 8, 8], classes: 3, channels: [2], dense: 4 })
  assert.deepEqual(parseModel(writeModel(model)), model)
  assert.deepEqual(model.graph.inputs[0]!.shape, ['batch', 1, 8, 8])
})

test('integers keep their value, to the ends of int64', () => {
  const model = templates.mlp({ inputs: [2], classes: 2, hidden: [] })
  for (const value of [0, 1, -1, 127, 128, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 63, -(2 ** 63)]) {
    model.graph.nodes[0]!.attributes.probe = { type: 'ints', value: [value] }
    const probe = parseModel(writeModel(model)).graph.nodes[0]!.attributes.probe
    assert.deepEqual(probe, { type: 'ints', value: [value] })
  }
})

/** A model whose only initialiser is written field by field. */
function withTensor(write: (pbf: PbfWriter) => void, attribute?: (pbf: PbfWriter) => void, domain = ''): Uint8Array {
  const pbf = new PbfWriter()
  pbf.writeVarintField(MODEL.irVersion, 8)
  pbf.writeMessage(
    MODEL.graph,
    (_, g) => {
      g.writeMessage(GRAPH.initializers, (_t, t) => write(t), 0)
      g.writeMessage(
        GRAPH.nodes,
        (_n, n) => {
          n.writeStringField(NODE.op, 'Relu')
          if (domain) n.writeStringField(NODE.domain, domain)
          if (attribute) n.writeMessage(NODE.attributes, (_a, a) => attribute(a), 0)
        },
        0,
      )
    },
    0,
  )
  pbf.writeMessage(MODEL.opsets, (_, o) => o.writeVarintField(OPSET.version, 17), 0)
  return pbf.finish()
}

/** A tensor of one float. */
function whole(t: PbfWriter): void {
  t.writeStringField(TENSOR.name, 'w')
  t.writeVarintField(TENSOR.dims, 1)
  t.writeVarintField(TENSOR.dataType, 1)
  t.writeFloatField(TENSOR.floatData, 1)
}

const tensor = (dtype: number, dims: number[], data: (pbf: PbfWriter) => void) =>
  withTensor((t) => {
    t.writeStringField(TENSOR.name, 'w')
    for (const n of dims) t.writeVarintField(TENSOR.dims, n)
    t.writeVarintField(TENSOR.dataType, dtype)
    data(t)
  })
const weight = (bytes: Uint8Array) => parseModel(bytes).graph.initializers.get('w')

test('elements are read packed, unpacked and raw', () => {
  const want = tensorOf('float32', [2], [1.5, -2])
  assert.deepEqual(weight(tensor(1, [2], (t) => t.writePackedFloat(TENSOR.floatData, [1.5, -2]))), want)
  const unpacked = tensor(1, [2], (t) => {
    t.writeFloatField(TENSOR.floatData, 1.5)
    t.writeFloatField(TENSOR.floatData, -2)
  })
  assert.deepEqual(weight(unpacked), want)
  assert.deepEqual(
    weight(tensor(1, [2], (t) => t.writeBytesField(TENSOR.rawData, new Uint8Array(want.data.buffer)))),
    want,
  )
  const ints = weight(tensor(7, [3], (t) => t.writePackedVarint(TENSOR.int64Data, [5, -1, 2 ** 40])))
  assert.deepEqual(ints, { dtype: 'int64', shape: [3], data: BigInt64Array.of(5n, -1n, 2n ** 40n) })
  const bools = weight(tensor(9, [2], (t) => t.writePackedVarint(TENSOR.int32Data, [1, 0])))
  assert.deepEqual(bools, { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) })
  const halves = weight(tensor(10, [2], (t) => t.writePackedVarint(TENSOR.int32Data, [0x3c00, 0xc000])))
  assert.deepEqual(halves, { dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) })
})

test('what PinGo refuses is refused with one sentence and a way out', () => {
  const refused: [string, Uint8Array][] = [
    [
      'another file',
      tensor(1, [1], (t) => t.writeMessage(TENSOR.externalData, (_, e) => e.writeStringField(1, 'location'), 0)),
    ],
    ['another file', tensor(1, [1], (t) => t.writeVarintField(TENSOR.dataLocation, 1))],
    ['strings', tensor(8, [1], (t) => t.writeStringField(TENSOR.stringData, 'x'))],
    ['element type 14', tensor(14, [1], (t) => t.writeBytesField(TENSOR.rawData, new Uint8Array(8)))],
    ['not a standard ONNX operator', withTensor(whole, undefined, 'com.example')],
    [
      'sparse',
      withTensor(whole, (a) => {
        a.writeStringField(ATTRIBUTE.name, 's')
        a.writeMessage(ATTRIBUTE.sparse, () => {}, 0)
      }),
    ],
  ]
  for (const [why, bytes] of refused)
    assert.throws(
      () => parseModel(bytes),
      (error: unknown) => isPinGoError(error, 'ONNX_UNSUPPORTED') && error.message.includes(why) && !!error.hint,
      why,
    )
  const fields = (...numbers: number[]) => {
    const pbf = new PbfWriter()
    for (const n of numbers) pbf.writeMessage(n, () => {}, 0)
    return pbf.finish()
  }
  for (const field of [MODEL.functions, MODEL.trainingInfo])
    assert.throws(() => parseModel(fields(field)), { code: 'ONNX_UNSUPPORTED' })
  const old: Model = { ...templates.mlp({ inputs: [2], classes: 2 }), opset: 9 }
  assert.throws(() => parseModel(writeModel(old)), { code: 'ONNX_UNSUPPORTED' })
  for (const bytes of [new Uint8Array(), new TextEncoder().encode('a,b,label\n1,2,x\n'), fields(MODEL.metadata)])
    assert.throws(() => parseModel(bytes), { code: 'ONNX_MALFORMED' })
})

test('a file cut off anywhere is refused, never half read', () => {
  const whole = bytesOf('mlp_folded.onnx')
  let kept = 0
  for (let end = 0; end < whole.length; end++)
    try {
      parseModel(whole.subarray(0, end))
      kept++
    } catch (error) {
      assert.ok(error instanceof PinGoError, `at ${end}: ${error}`)
    }
  // Only a cut between the last top-level fields leaves something whole.
  assert.ok(kept <= 3, `${kept} cut files were read`)
})

test('2,000 damaged files give PinGoError or a model that can be checked', () => {
  const sources = ['mlp.onnx', 'logistic.onnx', 'cnn.onnx', 'conv1d.onnx', 'operators.onnx'].map(bytesOf)
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 })
  const property = fc.property(fc.nat(4), damage, fc.boolean(), (which, changes, structure) => {
    const bytes = Uint8Array.from(sources[which]!)
    // Half of the damage goes where the structure is, at the front, the rest anywhere.
    for (const [at, value] of changes) bytes[at % (structure ? Math.min(2_000, bytes.length) : bytes.length)] = value
    try {
      const model = parseModel(bytes)
      checkModel(model)
      inferShapes(model)
    } catch (error) {
      if (!(error instanceof PinGoError)) throw error
    }
  })
  fc.assert(property, { numRuns: 2_000, seed: 20_260, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false })
})
