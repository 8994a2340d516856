import type { Tensor } from '@pingo/wire'
import { outerGraph, slowFeeds, slowGraph } from './graphs.ts'
import {
  bytes,
  FLOAT,
  type GraphText,
  graph,
  graphAttribute,
  INT64,
  intAttribute,
  intsAttribute,
  join,
  model,
  type NodeText,
  number,
  tensor,
  text,
  unary,
  varint,
} from './onnx.ts'
import { float32 } from './tensors.ts'

/** What somebody may hand in who wants a machine's files, memory, time or process. */
export interface Hostile {
  kind: 'files' | 'programs' | 'memory' | 'time' | 'malformed' | 'inconsistent'
  name: string
  graph: Uint8Array
  /** What to run it on, where it may come so far. */
  feeds?: Record<string, Tensor>
}

const node = (op: string, inputs: string[], outputs: string[], attributes: Uint8Array[] = []): NodeText => ({
  op,
  inputs,
  outputs,
  attributes,
})
const ones = (...shape: number[]): Record<string, Tensor> => ({ input: float32(shape) })
const shapeOf = (name: string, ...dims: (number | bigint)[]): Uint8Array =>
  tensor(name, INT64, [dims.length], BigInt64Array.from(dims, BigInt))
/** input [4] → output, by nodes. */
const plain = (nodes: NodeText[], more: Partial<GraphText> = {}): Uint8Array =>
  model({ nodes, inputs: [['input', [4]]], outputs: [['output', [4]]], ...more })

/** TensorProto with its data elsewhere: 4 floats at `path`. */
const external = (path: string, isMarked = true, offset?: string): Uint8Array => {
  const entry = (key: string, value: string): Uint8Array => bytes(13, join(text(1, key), text(2, value)))
  const where = join(entry('location', path), offset === undefined ? new Uint8Array(0) : entry('offset', offset))
  return join(
    number(1, 4),
    number(2, FLOAT),
    text(8, 'w'),
    where,
    isMarked ? number(14, 1) : bytes(9, new Uint8Array(16)),
  )
}
const addExternal = (weight: Uint8Array): Uint8Array =>
  plain([node('Add', ['input', 'w'], ['output'])], { initializers: [weight] })

const inDomain = (op: string, domain: string): Uint8Array =>
  plain([{ op, inputs: ['input'], outputs: ['output'], domain }])

/** A loop without end: its condition is true and no count is set. */
const endless = (): Uint8Array => {
  const yes = join(text(1, 'value'), bytes(5, join(number(2, 9), bytes(9, Uint8Array.of(1)))), number(20, 4))
  const body = graph({
    nodes: [node('Constant', [], ['on'], [yes]), node('Identity', ['before'], ['after'])],
    inputs: [
      ['i', [], INT64],
      ['cond', [], 9],
      ['before', [4]],
    ],
    outputs: [
      ['on', [], 9],
      ['after', [4]],
    ],
  })
  return plain([
    node('Constant', [], ['start'], [yes]),
    node('Loop', ['', 'start', 'input'], ['output'], [graphAttribute('body', body)]),
  ])
}

/** Graphs within attributes within graphs. */
function nested(depth: number): Uint8Array {
  let inner = graph({ nodes: [node('Identity', ['input'], ['output'])], outputs: [['output', [4]]] })
  for (let i = 0; i < depth; i++)
    inner = graph({
      nodes: [node('If', ['input'], ['output'], [graphAttribute('then_branch', inner)])],
      outputs: [['output', [4]]],
    })
  return join(number(1, 8), bytes(7, inner), bytes(8, number(2, 18)))
}

const chain = (length: number, op = 'Relu'): NodeText[] =>
  Array.from({ length }, (_, i) => node(op, [i === 0 ? 'input' : `x${i}`], [i === length - 1 ? 'output' : `x${i + 1}`]))

/** @param canary a file whose content must not be seen in anything that comes back */
export function hostileGraphs(canary: string): Hostile[] {
  const up = '../'.repeat(20)
  const some: [Hostile['kind'], string, Uint8Array, Record<string, Tensor>?][] = [
    ['files', 'weights in a file, by its whole path', addExternal(external(canary)), ones(4)],
    ['files', 'weights in a file, up and down again', addExternal(external(up + canary.slice(1))), ones(4)],
    ['files', 'weights in a file beside the model', addExternal(external('weights.bin')), ones(4)],
    ['files', 'weights in a system file', addExternal(external('/etc/passwd')), ones(4)],
    ['files', "weights in the process's memory file", addExternal(external('/proc/self/environ')), ones(4)],
    ['files', 'weights in a device that never ends', addExternal(external('/dev/zero')), ones(4)],
    [
      'files',
      "weights at an address of the process's memory",
      addExternal(external('*/_ORT_MEM_ADDR_/*', true, '4096')),
      ones(4),
    ],
    ['files', 'a file named beside weights that are there', addExternal(external(canary, false)), ones(4)],
    [
      'files',
      'a file in the attribute of a constant',
      plain([
        node('Constant', [], ['w'], [join(text(1, 'value'), bytes(5, external(canary)), number(20, 4))]),
        node('Add', ['input', 'w'], ['output']),
      ]),
      ones(4),
    ],
    ['programs', 'an endless loop', endless(), ones(4)],
    ['programs', 'a branch', plain([node('If', ['input'], ['output'])])],
    ['programs', 'a scan', plain([node('Scan', ['input'], ['output'])])],
    [
      'programs',
      'a graph in the attribute of an honest operator',
      plain([
        node(
          'Relu',
          ['input'],
          ['output'],
          [graphAttribute('body', graph({ nodes: chain(1), outputs: [['output', [4]]] }))],
        ),
      ]),
      ones(4),
    ],
    ['programs', 'an operator of a library of its own', inDomain('Run', 'evil.ops')],
    ['programs', 'an operator of Python', inDomain('PyOp', 'ai.onnx.contrib')],
    ['programs', "the runtime's own operator, not on the list", inDomain('QMoE', 'com.microsoft')],
    ['programs', "the runtime's way to other engines", inDomain('EPContext', 'com.microsoft')],
    ['programs', 'an operator of training', inDomain('Adam', 'ai.onnx.preview.training')],
    ['programs', 'a decoder of images', plain([node('ImageDecoder', ['input'], ['output'])])],
    ['programs', 'strings', plain([node('StringConcat', ['input', 'input'], ['output'])])],
    [
      'programs',
      'a pattern for strings that takes for ever',
      plain([
        node('RegexFullMatch', ['input'], ['output'], [join(text(1, 'pattern'), text(4, '(a+)+$'), number(20, 3))]),
      ]),
    ],
    ['programs', 'a sequence', plain([node('SequenceConstruct', ['input'], ['output'])])],
    ['programs', 'random numbers', plain([node('RandomNormalLike', ['input'], ['output'])])],
    [
      'programs',
      'a function of the file, calling itself',
      plain([{ op: 'f', domain: 'own', inputs: ['input'], outputs: ['output'] }], {
        extra: bytes(
          25,
          join(
            text(1, 'f'),
            text(4, 'input'),
            text(5, 'output'),
            bytes(7, join(text(1, 'input'), text(2, 'output'), text(4, 'f'), text(7, 'own'))),
            text(10, 'own'),
          ),
        ),
      }),
    ],
    ['programs', 'training information', plain(chain(1), { extra: bytes(20, new Uint8Array(0)) })],
    [
      'memory',
      'a constant of 6 GB from 16 bytes',
      model({
        nodes: [node('ConstantOfShape', ['s'], ['output'])],
        outputs: [['output', [40_000, 40_000]]],
        initializers: [shapeOf('s', 40_000, 40_000)],
      }),
      {},
    ],
    [
      'memory',
      'an expansion',
      plain([node('Expand', ['input', 's'], ['output'])], {
        outputs: [['output']],
        initializers: [shapeOf('s', 400_000_000, 4)],
      }),
      ones(4),
    ],
    [
      'memory',
      'a tiling',
      plain([node('Tile', ['input', 's'], ['output'])], {
        outputs: [['output']],
        initializers: [shapeOf('s', 400_000_000)],
      }),
      ones(4),
    ],
    [
      'memory',
      'a padding',
      plain([node('Pad', ['input', 's'], ['output'])], {
        outputs: [['output']],
        initializers: [shapeOf('s', 2_000_000_000, 0)],
      }),
      ones(4),
    ],
    [
      'memory',
      'a range',
      model({
        nodes: [node('Range', ['a', 'b', 'c'], ['output'])],
        outputs: [['output', ['n'], INT64]],
        initializers: [
          [0, 'a'],
          [4_000_000_000, 'b'],
          [1, 'c'],
        ].map(([value, name]) => tensor(name as string, INT64, [], BigInt64Array.of(BigInt(value as number)))),
      }),
      {},
    ],
    [
      'memory',
      'forty doublings',
      plain(
        Array.from({ length: 40 }, (_, i) =>
          node(
            'Concat',
            [i ? `x${i}` : 'input', i ? `x${i}` : 'input'],
            [i === 39 ? 'output' : `x${i + 1}`],
            [intAttribute('axis', 0)],
          ),
        ),
        { outputs: [['output']] },
      ),
      ones(4),
    ],
    [
      'memory',
      'a one-hot of two thousand million',
      plain([node('OneHot', ['i', 'd', 'v'], ['output'])], {
        outputs: [['output']],
        initializers: [
          shapeOf('i', 1, 2, 3),
          tensor('d', INT64, [], BigInt64Array.of(2_000_000_000n)),
          tensor('v', FLOAT, [2], Float32Array.of(0, 1)),
        ],
      }),
      ones(4),
    ],
    [
      'memory',
      'a resizing',
      model({
        nodes: [node('Resize', ['input', '', 'scales'], ['output'])],
        inputs: [['input', [1, 1, 4, 4]]],
        outputs: [['output']],
        initializers: [tensor('scales', FLOAT, [4], Float32Array.of(1, 1, 10_000, 10_000))],
      }),
      ones(1, 1, 4, 4),
    ],
    [
      'memory',
      'an outer product, its size decided by what is fed',
      outerGraph(),
      { column: float32([20_000, 1]), row: float32([1, 20_000]) },
    ],
    [
      'memory',
      'a constant whose size is fed',
      model({
        nodes: [node('ConstantOfShape', ['input'], ['output'])],
        inputs: [['input', [2], INT64]],
        outputs: [['output', ['a', 'b']]],
      }),
      { input: { dtype: 'int64', shape: [2], data: BigInt64Array.of(50_000n, 50_000n) } },
    ],
    ['time', 'two thousand products of large matrices', slowGraph(2000), slowFeeds()],
    ['time', 'sixty thousand operators', plain(chain(60_000)), ones(4)],
    [
      'time',
      'a convolution that takes hours',
      model({
        nodes: [
          node(
            'Conv',
            ['input', 'w'],
            ['output'],
            [intsAttribute('kernel_shape', [511, 511]), intsAttribute('pads', [255, 255, 255, 255])],
          ),
        ],
        inputs: [['input', [1, 1, 2048, 2048]]],
        outputs: [['output', [1, 1, 2048, 2048]]],
        initializers: [tensor('w', FLOAT, [1, 1, 511, 511], new Float32Array(511 * 511))],
      }),
      ones(1, 1, 2048, 2048),
    ],
    ['malformed', 'nothing at all', new Uint8Array(0)],
    ['malformed', 'a text', new TextEncoder().encode('#!/bin/sh\nrm -rf ~\n')],
    ['malformed', 'zeros', new Uint8Array(10_000)],
    ['malformed', 'half a file', unary('Relu').subarray(0, 40)],
    [
      'malformed',
      'a length beyond the end',
      join(number(1, 8), varint(7 * 8 + 2), varint(2 ** 40), Uint8Array.of(1, 2, 3)),
    ],
    ['malformed', 'a number without end', join(number(1, 8), Uint8Array.of(56, ...new Array(50).fill(0xff)))],
    ['malformed', 'groups, which nobody writes', join(unary('Relu'), Uint8Array.of(0x0b, 0x0b, 0x0b))],
    ['malformed', 'graphs nested two thousand deep', nested(2000)],
    [
      'malformed',
      'names that are no text',
      plain([{ ...chain(1)[0]!, outputs: ['output'] }], { extra: bytes(2, Uint8Array.of(0xff, 0xfe, 0xc0, 0x80)) }),
      ones(4),
    ],
    [
      'malformed',
      'a version from the far future',
      join(
        number(1, 2 ** 31),
        bytes(7, graph({ nodes: chain(1), inputs: [['input', [4]]], outputs: [['output', [4]]] })),
        bytes(8, number(2, 9999)),
      ),
    ],
    [
      'malformed',
      'a name of a million letters',
      plain([node('Relu', ['input'], ['x'.repeat(1_000_000)]), node('Relu', ['x'.repeat(1_000_000)], ['output'])]),
      ones(4),
    ],
    ['inconsistent', 'weights of a negative size', addExternal(tensor('w', FLOAT, [-4], new Float32Array(4))), ones(4)],
    [
      'inconsistent',
      'weights whose size overflows',
      addExternal(tensor('w', FLOAT, [2 ** 32, 2 ** 32], new Float32Array(4))),
      ones(4),
    ],
    [
      'inconsistent',
      'weights shorter than their shape',
      addExternal(tensor('w', FLOAT, [4_000_000], new Float32Array(4))),
      ones(4),
    ],
    ['inconsistent', 'weights of an unknown type', addExternal(tensor('w', 99, [4], new Float32Array(4))), ones(4)],
    [
      'inconsistent',
      'weights of a thousand dimensions',
      addExternal(tensor('w', FLOAT, new Array(1000).fill(1), new Float32Array(1))),
      ones(4),
    ],
    ['inconsistent', 'a value that waits for itself', plain([node('Add', ['input', 'output'], ['output'])]), ones(4)],
    [
      'inconsistent',
      'two operators that wait for each other',
      plain([node('Add', ['input', 'b'], ['output']), node('Relu', ['output'], ['b'])]),
      ones(4),
    ],
    ['inconsistent', 'a value made twice', plain([...chain(1), ...chain(1)]), ones(4)],
    ['inconsistent', 'a value that nobody makes', plain([node('Add', ['input', 'nowhere'], ['output'])]), ones(4)],
    ['inconsistent', 'an output of another shape', plain(chain(1), { outputs: [['output', [1_000_000]]] }), ones(4)],
    [
      'inconsistent',
      'an index far outside',
      plain([node('Gather', ['input', 'i'], ['output'])], {
        initializers: [shapeOf('i', 2n ** 40n, -(2n ** 40n), 7, -9)],
      }),
      ones(4),
    ],
    [
      'inconsistent',
      'indices far outside, to be written',
      plain([node('ScatterElements', ['input', 'i', 'input'], ['output'])], {
        initializers: [shapeOf('i', 2n ** 40n, -(2n ** 40n), 7, -9)],
      }),
      ones(4),
    ],
    [
      'inconsistent',
      'a shape of two unknowns',
      plain([node('Reshape', ['input', 's'], ['output'])], {
        outputs: [['output']],
        initializers: [shapeOf('s', -1, -1)],
      }),
      ones(4),
    ],
    [
      'inconsistent',
      'an axis that is not there',
      plain([node('Softmax', ['input'], ['output'], [intAttribute('axis', 2 ** 31)])]),
      ones(4),
    ],
    [
      'inconsistent',
      'a division of whole numbers by zero',
      plain([node('Div', ['a', 'b'], ['output'])], {
        outputs: [['output', [1], INT64]],
        initializers: [shapeOf('a', 1), shapeOf('b', 0)],
      }),
      ones(4),
    ],
    [
      'inconsistent',
      'a kernel larger than its picture, strides of none',
      model({
        nodes: [
          node(
            'MaxPool',
            ['input'],
            ['output'],
            [intsAttribute('kernel_shape', [9, 9]), intsAttribute('strides', [0, 0])],
          ),
        ],
        inputs: [['input', [1, 1, 4, 4]]],
        outputs: [['output']],
      }),
      ones(1, 1, 4, 4),
    ],
    [
      'inconsistent',
      'names that objects of JavaScript know',
      plain([
        node('Relu', ['input'], ['__proto__']),
        node('Relu', ['__proto__'], ['constructor']),
        node('Relu', ['constructor'], ['output']),
      ]),
      ones(4),
    ],
  ]
  return some.map(([kind, name, graph, feeds]) => ({ kind, name, graph, ...(feeds ? { feeds } : {}) }))
}
