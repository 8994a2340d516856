import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Place } from './support/command.ts'

test('a chain on this machine: PINGO and passes are deployed, earned, proven, verified, and survive its end', async () => {
  await using place = await Place.create()
  const env = { PINGO_PASSWORD: 'correct horse battery' }
  const run = (...args: string[]) => place.run(args, { env })
  const json = async (...args: string[]) => {
    const ended = await run(...args, '--json')
    assert.equal(ended.code, 0, ended.stderr + ended.stdout)
    return JSON.parse(ended.stdout)
  }
  const fails = async (words: RegExp, ...args: string[]) => {
    const ended = await run(...args)
    assert.notEqual(ended.code, 0, ended.stdout)
    assert.match(ended.stderr, words)
  }
  const up = async () => {
    const started = place.start(['chain', 'up', '--port', '0', '--json'], { env })
    while (!started.stdout().includes('\n')) {
      await Promise.race([
        new Promise((resolve) => setTimeout(resolve, 50)),
        started.ended.then(({ stderr }) => assert.fail(stderr)),
      ])
    }
    return { ...started, ready: JSON.parse(started.stdout()) }
  }

  await fails(/No local chain runs/, 'chain', 'status')
  const { addresses } = await json('wallet', 'new')
  const other = (await json('wallet', 'new', '--wallet', 'other')).addresses.local
  const first = await up()
  assert.equal(first.ready.funded.length, 2)
  await fails(/no terminal to ask/, 'chain', 'deploy')
  await fails(/knows of no deployment/, 'token', 'info', '--verify')
  const { contracts } = await json('chain', 'deploy', '--yes')
  assert.equal(contracts.length, 10)
  assert.deepEqual((await json('chain', 'deploy', '--yes')).contracts, contracts)
  const { checks } = await json('token', 'info', '--verify')
  assert.ok(checks.length > 15 && checks.every(({ holds }: { holds: boolean }) => holds))

  await place.write('credit.csv', `# epoch 1\n${addresses.local},4500000\n${other},999999\n`)
  await place.write('false.csv', `${other},99000000\n`)
  await fails(/is not the one whose root/, 'pass', 'claim', '--tree', 'credit.csv')
  await fails(/Only the authority/, 'pass', 'root', '--tree', 'credit.csv', '--wallet', 'other')
  await json('pass', 'root', '--tree', 'credit.csv')
  await fails(/credit is 999999/, 'pass', 'claim', '--tree', 'credit.csv', '--wallet', 'other')
  await fails(/is not the one whose root/, 'pass', 'claim', '--tree', 'false.csv', '--wallet', 'other')
  assert.equal((await json('pass', 'claim', '--tree', 'credit.csv')).level, 3)
  await fails(/holds no pass|no pass/i, 'pass', 'verify', other)
  await fails(/level/, 'pass', 'verify', addresses.local, '--min-level', '4')

  // the chain is killed: what was confirmed is there when it comes back
  first.child.kill('SIGKILL')
  await first.ended
  const second = await up()
  assert.ok(second.ready.block >= first.ready.block)
  assert.deepEqual(second.ready.funded, [])
  assert.equal((await json('pass', 'verify', addresses.local, '--min-level', '3')).holds, true)
  const { until, nonce } = await json('pass', 'prove')
  assert.equal(nonce, '1')
  assert.ok(until > Date.now() / 1000)
  assert.equal((await json('pass', 'show')).standing, 'held')
  const before = (await json('chain', 'status')).now
  await json('chain', 'advance', '30d')
  assert.ok((await json('chain', 'status')).now >= before + 30 * 86_400)
  await json('chain', 'fund', other, '5')
  second.child.kill('SIGTERM')
  assert.equal((await second.ended).code, 0)
  await fails(/No local chain runs/, 'chain', 'status')
})

test('wrong words are told where they are wrong', async () => {
  await using place = await Place.create()
  const env = { PINGO_PASSWORD: 'correct horse battery' }
  await place.run(['wallet', 'new'], { env })
  for (const [words, ...args] of [
    [/There is no network "moon"/, 'token', 'info', '--network', 'moon'],
    [/is no time/, 'chain', 'advance', 'tomorrow'],
    [/can't be read/, 'chain', 'deploy', '--config', 'nothing.json', '--server', 'http://127.0.0.1:9/'],
  ] as const) {
    const { code, stderr } = await place.run(args, { env })
    assert.notEqual(code, 0)
    assert.match(stderr, words)
  }
})
