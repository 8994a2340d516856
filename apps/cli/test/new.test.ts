import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readJobFile } from '@pingo/client'
import { recipes, templateNames } from '../src/new/recipes.ts'
import { figures, waves } from '../src/new/samples.ts'
import { Place, serve } from './support/command.ts'

/** A fog node that answers quotes, and what it was asked. */
async function quoting() {
  const asked: { samples: number; flopsPerSample: number }[] = []
  const server = await serve((request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.url === '/healthz') return response.end('{}')
    let body = ''
    request.on('data', (part) => (body += part))
    request.on('end', () => {
      asked.push(JSON.parse(body))
      response.end(
        JSON.stringify({ samples: 100, contributors: 1, samplesPerSecond: 100, queuedAhead: 0, basis: 'a test' }),
      )
    })
    return undefined
  })
  return { asked, url: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

for (const template of templateNames)
  test(`pingo new --template ${template} writes a job that can be quoted as it stands`, async () => {
    await using place = await Place.create()
    const made = await place.run(['new', '--template', template, `my ${template}`])
    assert.deepEqual([made.code, made.stderr], [0, ''])
    assert.match(
      made.stdout,
      /^my \w+ is ready: job\.yaml, README\.md and sample data \(.*\)\.\nNext, .*\n {2}pingo train 'my \w+\/job\.yaml'\n$/,
    )
    const folder = place.path(`my ${template}`)
    const job = await readJobFile(join(folder, 'job.yaml'))
    assert.equal(job.name, `my-${template}`)
    const readme = await readFile(join(folder, 'README.md'), 'utf8')
    assert.ok(readme.includes(`result-my-${template}/model.onnx`) && readme.includes('pingo train job.yaml'))
    const [, named] = /data:\n {2}train: (\S+)/.exec(await readFile(join(folder, 'job.yaml'), 'utf8'))!
    assert.ok(await stat(join(folder, named!)))

    await using fog = await quoting()
    const quote = await place.run(['quote', join(`my ${template}`, 'job.yaml'), '--fog', fog.url, '--json'])
    assert.equal(quote.code, 0, quote.stderr)
    assert.ok(fog.asked[0]!.samples >= 100 && fog.asked[0]!.flopsPerSample > 100, JSON.stringify(fog.asked))
  })

test('the folder is called as the template when none is named; the result is one JSON document', async () => {
  await using place = await Place.create()
  const made = await place.run(['new', '--template', 'mlp', '--json'])
  const { folder, files, next } = JSON.parse(made.stdout)
  assert.deepEqual([made.code, made.stderr], [0, ''])
  assert.equal(folder, place.path('mlp'))
  assert.equal(next, 'pingo train mlp/job.yaml')
  assert.deepEqual((await readdir(folder)).sort(), [...files].sort())
})

test('nothing is overwritten, and wrong usage writes nothing', async () => {
  await using place = await Place.create()
  await mkdir(place.path('full'))
  await place.write('full/mine.txt', 'mine')
  await place.write('file', 'mine')
  await mkdir(place.path('empty'))
  const full = await place.run(['new', '--template', 'cnn', 'full'])
  assert.deepEqual([full.code, full.stdout], [1, ''])
  assert.equal(
    full.stderr,
    'pingo: The folder full exists and is not empty; nothing was written.\nName another one: pingo new --template NAME FOLDER.\n',
  )
  assert.deepEqual(await readdir(place.path('full')), ['mine.txt'])
  const file = await place.run(['new', '--template', 'cnn', 'file'])
  assert.equal(file.code, 1)
  assert.match(file.stderr, /^pingo: A part of this path is not a folder: .*file\.\n/)
  assert.equal((await place.run(['new', '--template', 'mlp', 'empty'])).code, 0, 'an empty folder is free')
  for (const args of [[], ['--template', 'transformer']]) {
    const wrong = await place.run(['new', ...args])
    assert.equal(wrong.code, 2)
    assert.match(wrong.stderr, /^pingo: .*template.*\nSee `pingo new --help`\.\n$/)
  }
  assert.deepEqual((await readdir(place.folder)).sort(), ['empty', 'file', 'full'])
})

test('--help tells every template by the words of its recipe', async () => {
  await using place = await Place.create()
  const { stdout } = await place.run(['new', '--help'])
  for (const name of templateNames) assert.ok(stdout.includes(`${name.padEnd(11)}  ${recipes[name].what}`), name)
})

test('the samples are the same each time', () => {
  assert.equal(waves(), waves())
  const [one, two] = [figures(), figures()]
  assert.equal(one.size, 600)
  assert.deepEqual(one, two)
})
