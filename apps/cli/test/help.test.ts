import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from 'commander'
import { createProgram } from '../src/program.ts'
import { Place } from './support/command.ts'

const COMMANDS = [
  'demo',
  'up',
  'fog',
  'fog status',
  'fog leave',
  'contribute',
  'contribute set',
  'contribute get',
  'contribute status',
  'contribute pause',
  'contribute resume',
  'contribute history',
  'contribute earnings',
  'contribute doctor',
  'contribute bench',
  'contribute install-service',
  'contribute uninstall-service',
  'contribute diagnostics',
  'contribute update',
  'contribute leave',
  'new',
  'data import',
  'data ls',
  'train',
  'quote',
  'job list',
  'job describe',
  'job logs',
  'job explain',
  'job stop',
  'job get',
  'job verify',
  'predict',
  'store put',
  'store get',
  'store ls',
  'store stat',
  'store rm',
  'store share',
  'store pin',
  'store prove',
  'store usage',
  'store doctor',
  'store keys show',
  'store keys backup',
  'store keys restore',
  'store car export',
  'store car import',
  'store name publish',
  'store name resolve',
  'store name versions',
  'store name ls',
  'store serve',
  'graph check',
  'graph grad',
  'graph export',
  'wallet new',
  'wallet show',
  'wallet send',
  'wallet history',
  'wallet backup',
  'pass show',
  'pass claim',
  'pass prove',
  'pass verify',
  'pass root',
  'token info',
  'chain up',
  'chain status',
  'chain deploy',
  'chain fund',
  'chain advance',
]

/** Groups that do something by themselves. */
const BOTH = ['fog', 'contribute']

function leaves(command: Command, path: string[] = []): [path: string, command: Command][] {
  const name = path.join(' ')
  const below = command.commands.flatMap((child) => leaves(child, [...path, child.name()]))
  return below.length === 0 || BOTH.includes(name) ? [[name, command], ...below] : below
}

test('the commands are these, each with --json and examples that name it', async (t) => {
  const program = createProgram({ signal: new AbortController().signal })
  const found = leaves(program)
  assert.deepEqual(
    found.map(([path]) => path),
    COMMANDS,
  )
  for (const [path, command] of found)
    await t.test(path, () => {
      let help = ''
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
      assert.match(help, /--json/)
      assert.match(help, new RegExp(`\\$ pingo ${path}`))
      for (const line of help.split('\n')) if (line.includes('$ pingo')) assert.ok(line.includes(`pingo ${path}`), line)
    })
})

test('--help of the command and of every group ends well and shows examples', async () => {
  await using place = await Place.create()
  for (const args of [
    ['--help'],
    ['job', '--help'],
    ['data', '--help'],
    ['graph', '--help'],
    ['store', '--help'],
    ['wallet', '--help'],
    ['train', '--help'],
  ]) {
    const { code, stdout, stderr } = await place.run(args)
    assert.deepEqual([code, stderr], [0, ''], args.join(' '))
    assert.match(stdout, /Examples:/)
  }
  assert.match((await place.run(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
})
