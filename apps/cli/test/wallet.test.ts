import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { test } from 'node:test'
import { Place } from './support/command.ts'

const env = { PINGO_PASSWORD: 'correct horse battery' }

test('a wallet is made, shown, backed up and brought back; nothing overwrites it, nothing but a backup tells its words', async () => {
  await using place = await Place.create()
  const json = async (args: string[], input = '') => {
    const run = place.start([...args, '--json'], { env })
    run.child.stdin?.end(input)
    const { code, stdout, stderr } = await run.ended
    assert.equal(code, 0, stderr)
    return { value: JSON.parse(stdout), stderr }
  }
  const made = await json(['wallet', 'new'])
  const file = place.path('home', 'wallets', 'main.json')
  assert.equal(made.value.file, file)
  if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o777, 0o600)

  const { words } = (await json(['wallet', 'backup'])).value
  assert.equal(words.length, 24)
  const everywhere = JSON.stringify(made) + (await readFile(file, 'utf8'))
  assert.ok(!everywhere.includes(words.slice(0, 2).join(' ')) && !everywhere.includes(`"${words[0]}"`))

  const shown = (await json(['wallet', 'show', '--network', 'testnet', '--offline'])).value
  assert.equal(shown.address, made.value.addresses.testnet)
  assert.match(shown.address, /^0Q/)

  const back = (await json(['wallet', 'new', '--from-words', '--wallet', 'again'], words.join('\n'))).value
  assert.deepEqual(back.addresses, made.value.addresses)

  const bytes = await readFile(file)
  const twice = await place.run(['wallet', 'new'], { env })
  assert.equal(twice.code, 1)
  assert.match(twice.stderr, /There is a wallet main on this machine already/)
  assert.deepEqual(await readFile(file), bytes)
  assert.deepEqual(await readdir(place.path('home', 'wallets')), ['again.json', 'main.json'])
})

test('slips with a wallet are told in a sentence', async () => {
  await using place = await Place.create()
  const fails = async (args: string[], code: number, words: RegExp, more: NodeJS.ProcessEnv = env) => {
    const run = place.start(args, { env: more })
    run.child.stdin?.end()
    const ended = await run.ended
    assert.equal(ended.code, code, ended.stderr)
    assert.match(ended.stderr, words)
    assert.doesNotMatch(ended.stderr, /\n {4}at /)
  }
  await fails(['wallet', 'show'], 1, /There is no wallet main.*\nMake one with `pingo wallet new`/)
  await fails(['wallet', 'show', '--wallet', '../../etc/passwd'], 2, /The name of a wallet/)
  await fails(['wallet', 'new'], 2, /no terminal to ask at/, { PINGO_PASSWORD: '' })
  await fails(['wallet', 'new'], 1, /8 characters at least/, { PINGO_PASSWORD: 'short' })
  await fails(['wallet', 'new', '--from-words'], 1, /24 words, here are 0/)
  await place.run(['wallet', 'new'], { env })
  await fails(['wallet', 'show', '--network', 'moon'], 2, /no network "moon"/)
  await fails(['wallet', 'backup'], 1, /does not open with this passphrase/, { PINGO_PASSWORD: 'incorrect horse' })
  await place.write('home/wallets/main.json', '{}')
  await fails(['wallet', 'show'], 1, /not a PinGo wallet/)
})
