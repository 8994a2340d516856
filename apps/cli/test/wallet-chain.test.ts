import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  encodeMetadata,
  JettonMinter,
  LOCAL,
  LocalChain,
  localEndpoint,
  open,
  parseAddress,
  serveChain,
  signerOf,
  walletOn,
} from '@pingo/chain'
import { toNano } from '@ton/core'
import { Place } from './support/command.ts'

const SUPPLY = 10n ** 18n

test('a wallet on a chain: funded, it sends GRAM and PINGO, and tells what came and went', async (t) => {
  await using place = await Place.create()
  const chain = await LocalChain.open()
  t.after(() => chain.close())
  const server = await serveChain(chain)
  t.after(() => server.close())
  const env = { PINGO_PASSWORD: 'correct horse battery', PINGO_CHAIN: server.url }
  const run = async (...args: string[]) => {
    const ended = await place.run(['wallet', ...args], { env })
    assert.equal(ended.code, 0, ended.stderr)
    return ended
  }
  const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout)
  const fails = async (words: RegExp, code: number, ...args: string[]) => {
    const ended = await place.run(['wallet', ...args], { env })
    assert.equal(ended.code, code, ended.stderr + ended.stdout)
    assert.match(ended.stderr, words)
  }

  const [mine, yours] = [await json('new'), await json('new', '--wallet', 'yours')].map(
    ({ addresses }) => addresses.local,
  )
  const address = parseAddress(mine, LOCAL).address
  await fails(/The wallet has 0 GRAM/, 1, 'send', '1', 'GRAM', yours, '--yes')
  const endpoint = localEndpoint(chain)
  await endpoint.waitFor(await chain.fund(address, toNano('10')))
  assert.deepEqual((await json('show')).gram, '10')

  // nothing is sent without a yes, nor to where it should not go
  await fails(/Nothing was sent: there is no terminal/, 2, 'send', '1', 'GRAM', yours)
  await fails(
    /checksum does not fit/,
    2,
    'send',
    '1',
    'GRAM',
    `${yours.slice(0, 20)}${yours[20] === 'A' ? 'B' : 'A'}${yours.slice(21)}`,
    '--yes',
  )
  await fails(/no asset "BTC"/, 2, 'send', '1', 'BTC', yours, '--yes')
  await fails(/too little GRAM/, 1, 'send', '9.9999', 'GRAM', yours, '--yes')
  await fails(/minter on this network is not known/, 2, 'send', '1', 'PINGO', yours, '--yes')
  assert.deepEqual((await json('show')).gram, '10')

  const sent = await json('send', '1.5', 'GRAM', yours, '--comment', 'for\u001b[31m the cake', '--yes')
  assert.equal(sent.amount, '1.5')
  assert.equal((await json('show', '--wallet', 'yours')).gram, '1.5')
  assert.equal(Number((await json('show')).gram), Number((10 - 1.5 - Number(sent.fee)).toFixed(9)))

  const treasury = walletOn(endpoint, signerOf(Buffer.alloc(32, 9)))
  await endpoint.waitFor(await chain.fund(treasury.address, toNano('10')))
  const content = encodeMetadata({ name: 'PINGO', symbol: 'PINGO', description: '', decimals: 9 })
  const minter = JettonMinter.fromConfig({ kind: 'pingo', maxSupply: SUPPLY, admin: treasury.address, content })
  await open(endpoint, minter).sendGenesis(treasury, new Map([[address, SUPPLY]]))
  const pingo = ['--minter', minter.address.toString()]
  await fails(/The wallet has 1000000000 PINGO/, 1, 'send', '1000000000.000000001', 'PINGO', yours, '--yes', ...pingo)
  const told = await run('send', '20', 'pingo', yours, '--comment', 'thanks', '--yes', ...pingo)
  assert.match(told.stdout, /^Sent 20 PINGO; the fee was 0\.\d+ GRAM\.\n$/)
  assert.match(told.stderr, /fee +about 0\.\d+ GRAM\nalong +0\.06 GRAM; what is not used comes back\n/)
  assert.equal((await json('show', ...pingo)).pingo, '999999980')
  assert.equal((await json('show', '--wallet', 'yours', ...pingo)).pingo, '20')

  const history = await json('history', ...pingo)
  const movements = history.flatMap((entry: { movements: object[] }) => entry.movements)
  const has = (some: object) =>
    assert.ok(
      movements.some((m: Record<string, unknown>) => Object.entries(some).every(([key, value]) => m[key] === value)),
      JSON.stringify(some),
    )
  has({ direction: 'in', asset: 'GRAM', amount: '10' })
  has({ direction: 'out', asset: 'GRAM', amount: '1.5' })
  has({ direction: 'out', asset: 'PINGO', amount: '20' })
  const { stdout } = await run('history', '--wallet', 'yours', ...pingo)
  assert.match(stdout, /\+1\.5 +GRAM +\S+ +for\ufffd\[31m the cake/)
  assert.match(stdout, /\+20 +PINGO/)
  assert.ok(!stdout.includes('\u001b'))
})

test('a network that does not answer is told, and so is a local chain that does not run', async () => {
  await using place = await Place.create()
  const env = { PINGO_PASSWORD: 'correct horse battery' }
  await place.run(['wallet', 'new'], { env })
  const show = await place.run(['wallet', 'show'], { env })
  assert.equal(show.code, 0)
  assert.match(show.stderr, /No local chain runs on this machine/)
  const history = await place.run(['wallet', 'history'], { env })
  assert.equal(history.code, 1)
  assert.match(history.stderr, /pingo chain up/)
  const nobody = await place.run(['wallet', 'history', '--server', 'http://127.0.0.1:9/'], { env })
  assert.equal(nobody.code, 1)
  assert.doesNotMatch(nobody.stderr, /unexpected/)
  const wrong = await place.run(['wallet', 'history', '--server', 'ftp://x'], { env })
  assert.equal(wrong.code, 2)
})
