import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildProgram, inferShapes, type Model, type ProgramOptions, templates, writeModel } from '@pingo/graph'
import { isPinGoError, type PinGoError, type Tensor } from '@pingo/wire'
import fc from 'fast-check'
import { Engine, type ScreenLimits, screen } from './index.ts'
import { outerGraph } from './testing/graphs.ts'
import {
  bytes,
  FLOAT,
  graph,
  graphAttribute,
  INT64,
  intAttribute,
  join,
  model,
  number,
  tensor,
  text,
  unary,
} from './testing/onnx.ts'

/** Screens and returns the refusal, checking that it is one clear sentence. */
function refusal(
  bytes: Uint8Array,
  limits?: ScreenLimits,
): PinGoError & { details: { op: string; node: string; reason: string } } {
  try {
    screen(bytes, limits)
  } catch (error) {
    assert.ok(isPinGoError(error, 'GRAPH_REFUSED'), String(error))
    assert.match(error.message, /^The graph is refused: [^\n]+\.$/)
    assert.ok(error.message.length < 600, error.message)
    assert.deepEqual(Object.keys(error.details!).sort(), ['node', 'op', 'reason'])
    return error as ReturnType<typeof refusal>
  }
  assert.fail('the graph was not refused')
}

const node = (op: string, inputs: string[], outputs: string[], attributes: Uint8Array[] = []) => ({
  op,
  inputs,
  outputs,
  attributes,
})

describe('the screen refuses', () => {
  it('operators that are not on the list, by name, and control flow first of all', () => {
    for (const op of [
      'Loop',
      'If',
      'Scan',
      'SequenceConstruct',
      'Optional',
      'Nonsense',
      'RandomNormal',
      'ImageDecoder',
      'StringConcat',
    ]) {
      const { details } = refusal(unary(op))
      assert.deepEqual([details.op, details.node], [op, `${op}_0`])
    }
  })

  it('graphs inside attributes, even of an operator on the list', () => {
    const inner = graph({ nodes: [node('Relu', ['input'], ['y'])], outputs: [['y', [4]]] })
    const { details } = refusal(
      model({
        nodes: [node('Relu', ['input'], ['output'], [graphAttribute('body', inner)])],
        inputs: [['input', [4]]],
        outputs: [['output', [4]]],
      }),
    )
    assert.equal(details.op, 'Relu')
  })

  it('foreign domains, and of the known one all but what is on the list', () => {
    for (const [op, domain] of [
      ['Relu', 'evil.ops'],
      ['QMoE', 'com.microsoft'],
      ['Relu', 'com.microsoft'],
      ['ATen', 'org.pytorch.aten'],
      ['Adam', 'ai.onnx.preview.training'],
      ['TreeEnsemble', 'ai.onnx.ml'],
    ] as const)
      assert.match(
        refusal(
          model({
            nodes: [{ op, inputs: ['input'], outputs: ['output'], domain }],
            inputs: [['input', [4]]],
            outputs: [['output', [4]]],
          }),
        ).message,
        /domain/,
      )
  })

  it('weights in other files, in the graph and in an attribute, whatever the path', () => {
    for (const path of ['/etc/passwd', '../x', 'weights.bin', '*/_ORT_MEM_ADDR_/*']) {
      const location = bytes(13, join(text(1, 'location'), text(2, path)))
      const external = join(number(1, 4), number(2, FLOAT), text(8, 'w'), location, number(14, 1))
      const quiet = join(number(1, 4), number(2, FLOAT), text(8, 'w'), location, bytes(9, new Uint8Array(16)))
      const constant = (value: Uint8Array) => join(text(1, 'value'), bytes(5, value), number(20, 4))
      for (const weight of [external, quiet]) {
        const add = {
          inputs: [['input', [4]]] as [string, number[]][],
          outputs: [['output', [4]]] as [string, number[]][],
        }
        assert.match(
          refusal(model({ ...add, nodes: [node('Add', ['input', 'w'], ['output'])], initializers: [weight] })).message,
          /another file/,
        )
        const made = node('Constant', [], ['w'], [constant(weight)])
        assert.match(
          refusal(model({ ...add, nodes: [made, node('Add', ['input', 'w'], ['output'])] })).message,
          /another file/,
        )
      }
    }
  })

  it('functions, training information and sparse weights', () => {
    const plain = {
      nodes: [node('Relu', ['input'], ['output'])],
      inputs: [['input', [4]]] as [string, number[]][],
      outputs: [['output', [4]]] as [string, number[]][],
    }
    assert.match(refusal(model({ ...plain, extra: bytes(25, text(1, 'Relu')) })).message, /functions/)
    assert.match(refusal(model({ ...plain, extra: bytes(20, new Uint8Array(0)) })).message, /training information/)
    const sparse = bytes(7, join(graph(plain), bytes(15, new Uint8Array(0))))
    assert.match(refusal(join(number(1, 8), sparse, bytes(8, number(2, 18)))).message, /sparse/)
  })

  it('bombs: a few bytes that would make gigabytes when they are loaded or run', () => {
    const big = BigInt64Array.of(40_000n, 40_000n)
    const constantOfShape = model({
      nodes: [node('ConstantOfShape', ['shape'], ['output'])],
      outputs: [['output', [40_000, 40_000]]],
      initializers: [tensor('shape', INT64, [2], big)],
    })
    assert.ok(constantOfShape.byteLength < 250)
    assert.equal(refusal(constantOfShape).details.op, 'ConstantOfShape')
    const expand = model({
      nodes: [node('Expand', ['input', 'shape'], ['output'])],
      inputs: [['input', [1]]],
      outputs: [['output', [40_000, 40_000]]],
      initializers: [tensor('shape', INT64, [2], big)],
    })
    assert.match(refusal(expand, { maxPeakBytes: 1 << 30 }).message, /MiB/)
    const tile = model({
      nodes: [node('Tile', ['input', 'repeats'], ['output'])],
      inputs: [['input', [100, 100]]],
      outputs: [['output', [100, 100]]],
      initializers: [tensor('repeats', INT64, [2], BigInt64Array.of(1000n, 1000n))],
    })
    refusal(tile)
    const doubled = Array.from({ length: 40 }, (_, i) =>
      node('Concat', [`x${i}`, `x${i}`], [`x${i + 1}`], [intAttribute('axis', 0)]),
    )
    refusal(model({ nodes: doubled, inputs: [['x0', [4]]], outputs: [['x40', [4]]] }))
  })

  it('sizes that only the data decide', () => {
    const dynamic = model({
      nodes: [node('ConstantOfShape', ['input'], ['output'])],
      inputs: [['input', [2], INT64]],
      outputs: [['output', ['a', 'b']]],
    })
    refusal(dynamic)
  })

  it('what is over a limit: bytes, nodes, weights, memory; symbolic shapes where they must be fixed', () => {
    const small = unary('Relu')
    assert.match(refusal(small, { maxGraphBytes: 10 }).message, /bytes/)
    assert.match(refusal(outerGraph(), { maxNodes: 3 }).message, /4 nodes/)
    assert.match(refusal(outerGraph(), { maxPeakBytes: 10 }).message, /memory/)
    assert.match(refusal(outerGraph(), { symbols: { n: 10_000 }, maxPeakBytes: 1 << 30 }).message, /memory/)
    assert.match(refusal(outerGraph(), { staticInputs: true }).message, /'n'/)
    const weighty = model({
      nodes: [node('Add', ['input', 'w'], ['output'])],
      inputs: [['input', [1000]]],
      outputs: [['output', [1000]]],
      initializers: [tensor('w', FLOAT, [1000], new Float32Array(1000))],
    })
    assert.equal(screen(weighty).initializerBytes, 4000)
    assert.match(refusal(weighty, { maxInitializerBytes: 3999 }).message, /weights/)
  })

  it('impossible weights: sizes that do not fit their shape', () => {
    for (const shape of [[3], [-1], [2 ** 40], [2 ** 32, 2 ** 32]])
      refusal(
        model({
          nodes: [node('Add', ['input', 'w'], ['output'])],
          inputs: [['input', [4]]],
          outputs: [['output', [4]]],
          initializers: [tensor('w', FLOAT, shape, new Float32Array(4))],
        }),
      )
  })

  it('every cut-off file, and never throws anything but a refusal at a changed byte', () => {
    const whole = writeModel(templates.mlp({ inputs: [3], classes: 2, hidden: [4] }))
    for (let length = 0; length < whole.byteLength; length += 7) refusal(whole.subarray(0, length))
    refusal(new TextEncoder().encode('this is not ONNX at all'))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.byteLength - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const mutant = whole.slice()
          for (const [at, value] of changes) mutant[at] = value
          try {
            screen(mutant)
          } catch (error) {
            assert.ok(isPinGoError(error, 'GRAPH_REFUSED'), String(error))
          }
        },
      ),
      { numRuns: 1500, seed: 20_261, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false },
    )
  })
})

describe('the screen lets pass', () => {
  const wrap = (dtype: 'float32' | 'uint8' | 'int32', shape: number[]) => [
    { name: 'input', column: 'input', dtype, shape },
  ]
  const cases: [string, Model, Omit<ProgramOptions, 'optimizer'>][] = [
    [
      'mlp',
      templates.mlp({ inputs: [8], classes: 3, hidden: [16] }),
      {
        loss: 'cross_entropy',
        batch: 4,
        inputs: wrap('float32', [8]),
        target: { name: 'target', column: 'y', dtype: 'int32', shape: [] },
      },
    ],
    [
      'cnn',
      templates.cnn({ shape: [1, 8, 8], classes: 3, channels: [4, 8], dense: 16 }),
      {
        loss: 'cross_entropy',
        batch: 4,
        inputs: wrap('uint8', [1, 8, 8]),
        target: { name: 'target', column: 'y', dtype: 'uint8', shape: [] },
      },
    ],
    [
      'gpt',
      templates.gpt({ vocabulary: 11, context: 8, layers: 2, heads: 2, width: 16 }),
      {
        loss: 'cross_entropy',
        batch: 4,
        inputs: wrap('int32', [8]),
        target: { name: 'target', column: 'y', dtype: 'int32', shape: [8] },
      },
    ],
    [
      'batch normalisation',
      normalised(),
      {
        loss: 'mse',
        batch: 4,
        inputs: wrap('float32', [3, 5, 5]),
        target: { name: 'target', column: 'y', dtype: 'float32', shape: [3, 5, 5] },
      },
    ],
  ]

  for (const [name, built, options] of cases)
    it(`every graph of a training program: ${name}`, async () => {
      screen(writeModel(built))
      for (const optimizer of [
        { kind: 'adamw', weightDecay: 0.1, clip: 1 },
        { kind: 'sgd', momentum: 0.9, nesterov: true },
      ] as const) {
        const program = buildProgram(built, { ...options, optimizer })
        const report = screen(program.step, { staticInputs: true })
        screen(program.evaluate, { staticInputs: true })
        assert.ok(report.nodes > 0 && report.peakBytes > 0)
        assert.deepEqual(report.symbols, [])
        assert.deepEqual(
          report.outputs.map((output) => output.name).filter((output) => !output.startsWith('next.')),
          ['loss', 'metric_sum'],
        )
      }
    })

  it('symbolic sizes, and says which', () => {
    const report = screen(writeModel(templates.cnn({ shape: [1, 8, 8], classes: 3 })))
    assert.deepEqual(report.symbols, ['batch'])
    assert.equal(report.inputs[0]!.shape[0], 'batch')
    const one = screen(outerGraph(), { symbols: { n: 1000 } })
    // Column and row, then a, b = a·column, c = b·a: three squares are alive at once.
    assert.equal(one.peakBytes, 4 * (2 * 1000 + 3 * 1000 * 1000))
  })

  it('what then runs: the file is written anew, and works the same', async () => {
    await using engine = await Engine.start()
    const built = templates.mlp({ inputs: [3], classes: 2, hidden: [4] })
    const session = await engine.open(writeModel(built))
    assert.equal(inferShapes(built).get('output')?.dtype, 'float32')
    const { output } = await session.run({ input: { dtype: 'float32', shape: [2, 3], data: new Float32Array(6) } })
    assert.deepEqual(output!.shape, [2, 2])
    await assert.rejects(engine.open(unary('Loop')), (error) => isPinGoError(error, 'GRAPH_REFUSED'))
    const shapeless = model({
      nodes: [node('Relu', ['input'], ['output'])],
      inputs: [['input', ['n', 2]]],
      outputs: [['output']],
    })
    const relu = await engine.open(shapeless)
    assert.equal(relu.outputs[0]!.shape.length, 2)
    const two = await relu.run({ input: { dtype: 'float32', shape: [1, 2], data: Float32Array.of(-1, 1) } })
    assert.deepEqual(two.output!.data, Float32Array.of(0, 1))
    // Passes the screen, not the runtime: a graph that does not hold together is refused all the same.
    const broken = model({
      nodes: [node('Relu', ['input'], ['output'])],
      inputs: [['input', [4]]],
      outputs: [['output', [5]]],
    })
    await session.close()
    const opened = await engine.open(broken).catch((error) => error)
    assert.ok(isPinGoError(opened, 'GRAPH_REFUSED') || 'run' in opened)
  })
})

/** input → BatchNormalization → LayerNormalization over the last axis. */
function normalised(): Model {
  const vector = (n: number, value: number): Tensor => ({
    dtype: 'float32',
    shape: [n],
    data: new Float32Array(n).fill(value),
  })
  const plain = { domain: '', attributes: {} }
  return {
    irVersion: 8,
    opset: 18,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'normalised',
      nodes: [
        {
          ...plain,
          name: 'bn',
          op: 'BatchNormalization',
          inputs: ['input', 'bn.gamma', 'bn.beta', 'bn.mean', 'bn.var'],
          outputs: ['x'],
        },
        { ...plain, name: 'ln', op: 'LayerNormalization', inputs: ['x', 'ln.gamma', 'ln.beta'], outputs: ['output'] },
      ],
      inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', 3, 5, 5] }],
      outputs: [{ name: 'output', dtype: 'float32', shape: ['batch', 3, 5, 5] }],
      initializers: new Map([
        ['bn.gamma', vector(3, 1.5)],
        ['bn.beta', vector(3, 0.1)],
        ['bn.mean', vector(3, 0)],
        ['bn.var', vector(3, 1)],
        ['ln.gamma', vector(5, 1.5)],
        ['ln.beta', vector(5, 0.2)],
      ]),
    },
  }
}
