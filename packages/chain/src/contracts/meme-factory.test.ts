import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { Address, beginCell, type Cell, Dictionary, fromNano, toNano } from '@ton/core'
import { artifact } from '../compile/artifacts.ts'
import * as schema from '../schema/index.ts'
import { decode, dictRoot, EXIT, encode, forwardPayload } from '../schema/index.ts'
import { FEE_GRAM, FEE_PINGO, factoryWorld, launchesOf, metadata, rawLaunch, SUPPLY } from '../testing/meme.ts'
import { exitOf, gasOf, messagesBetween, TEST_EPOCH } from '../testing/world.ts'
import { decodeMetadata, encodeMetadata } from '../token/metadata.ts'
import { JettonMinter, JettonWallet, walletAddress } from './jetton.ts'
import { JettonVesting } from './jetton-vesting.ts'
import { launchValue, MEME_TERMS, type MemeLaunch, pingoLaunch } from './meme-factory.ts'

test('a launch in GRAM: a fixed supply, no admin, the share vested, the fee paid, the rest returned', async (t) => {
  const { pingo, creator, market, friend, treasury, factory, words, gram } = await factoryWorld()
  const before = await gram(factory.address)
  const { transactions } = await factory.sendLaunch(creator.getSender(), words, FEE_GRAM)
  assert.equal(exitOf(transactions, factory.address), 0)
  const [launched] = launchesOf(transactions, factory.address)
  assert.ok(launched?.vesting)
  t.diagnostic(
    `gas: factory ${gasOf(transactions, factory.address)}, minter ${gasOf(transactions, launched.minter)} for 3 holders`,
  )
  const chain = pingo.place.chain
  const minter = chain.openContract(new JettonMinter(launched.minter))
  const data = await minter.getJettonData()
  assert.equal(data.supply, SUPPLY)
  assert.equal(data.mintable, false)
  assert.equal(data.admin, null)
  assert.deepEqual(decodeMetadata(data.content), metadata)
  const balance = async (owner: Address) =>
    (await chain.openContract(JettonWallet.of('meme', launched.minter, owner)).getWalletData()).balance
  assert.equal(await balance(market.address), 900_000n)
  assert.equal(await balance(friend.address), 3n)
  assert.equal(await balance(launched.vesting), 100_000n)

  // both are what anyone can compute: empty contracts of these codes and terms
  const { content } = data
  const fresh = { kind: 'meme' as const, maxSupply: SUPPLY, admin: factory.address, content }
  assert.ok(JettonMinter.fromConfig(fresh).address.equals(launched.minter))
  const terms = { ...MEME_TERMS, total: 100_000n, start: TEST_EPOCH, beneficiary: creator.address }
  const own = JettonVesting.fromConfig({ ...terms, kind: 'meme', minter: launched.minter })
  assert.ok(own.address.equals(launched.vesting))

  const vesting = chain.openContract(new JettonVesting(launched.vesting))
  const schedule = await vesting.getVestingData()
  assert.ok(schedule.beneficiary.equals(creator.address))
  assert.deepEqual(
    [schedule.total, schedule.start, schedule.cliff, schedule.duration],
    [100_000n, TEST_EPOCH, MEME_TERMS.cliff, MEME_TERMS.duration],
  )
  pingo.place.now += MEME_TERMS.cliff + MEME_TERMS.duration / 2
  await vesting.sendRelease(friend.getSender())
  assert.equal(await balance(creator.address), 50_000n)
  assert.equal(await balance(launched.vesting), 50_000n)

  const [fee] = messagesBetween(transactions, factory.address, treasury.address)
  assert.equal(fee?.info.type === 'internal' && fee.info.value.coins, FEE_GRAM)
  assert.ok((await gram(factory.address)) >= before, 'a launch costs the factory nothing')
  const [left] = messagesBetween(transactions, launched.minter, creator.address)
  assert.equal(decode(schema.Excesses, left?.body ?? beginCell().endCell()).queryId, 7n)
  assert.ok(left?.info.type === 'internal' && left.info.value.coins > toNano('0.2'), 'what is left comes back')
  assert.equal((await factory.getFactoryData()).count, 1n)
})

test('a launch in PINGO: the fee goes to the treasury, to the unit', async () => {
  const { pingo, creator, treasury, factory, words, gram } = await factoryWorld()
  const { wallet, transfer } = pingoLaunch(pingo.minter.address, factory.address, words, FEE_PINGO)
  const mine = pingo.place.chain.openContract(wallet(creator.address))
  const before = await gram(factory.address)
  const { transactions } = await mine.sendTransfer(creator.getSender(), transfer)
  const [launched] = launchesOf(transactions, factory.address)
  assert.ok(launched)
  const minter = pingo.place.chain.openContract(new JettonMinter(launched.minter))
  assert.equal((await minter.getJettonData()).supply, SUPPLY)
  assert.ok(decode(schema.MemeLaunch, encode(schema.MemeLaunch, launched.launch)).creator.equals(creator.address))
  assert.equal(await pingo.balance(treasury.address), FEE_PINGO)
  assert.equal(await pingo.balance(factory.address), 0n)
  assert.equal(await pingo.balance(creator.address), 10_000n - FEE_PINGO)
  assert.ok((await gram(factory.address)) >= before)
})

test('whatever is wrong with a launch in PINGO, the fee comes back', async () => {
  const { pingo, creator, treasury, factory, words } = await factoryWorld()
  const mine = pingo.wallet(creator.address)
  const good = rawLaunch(words)
  const cases: [string, bigint, Cell | null, bigint][] = [
    ['too small', FEE_PINGO - 1n, good, toNano('1')],
    ['too large', FEE_PINGO + 1n, good, toNano('1')],
    ['no launch', FEE_PINGO, null, toNano('1')],
    ['noise', FEE_PINGO, beginCell().storeUint(7, 64).endCell(), toNano('1')],
    ['too great a share', FEE_PINGO, rawLaunch(words, { creatorPercent: 11 }), toNano('1')],
    ['too little GRAM', FEE_PINGO, good, toNano('0.3')],
  ]
  for (const [what, amount, payload, forwardAmount] of cases) {
    const { transactions } = await mine.sendTransfer(creator.getSender(), {
      to: factory.address,
      amount,
      payload,
      forwardAmount,
      value: forwardAmount + toNano('0.2'),
    })
    assert.equal(launchesOf(transactions, factory.address).length, 0, what)
    assert.equal(await pingo.balance(creator.address), 10_000n, what)
  }
  assert.equal(await pingo.balance(treasury.address), 0n)
  assert.equal((await factory.getFactoryData()).count, 0n)
})

test('a fee that no wallet of the factory has told of launches nothing', async () => {
  const { creator, factory, words } = await factoryWorld()
  const forged = encode(schema.TransferNotification, {
    queryId: 0n,
    amount: FEE_PINGO,
    sender: creator.address,
    forwardPayload: forwardPayload(rawLaunch(words)),
  })
  const { transactions } = await creator.send({ to: factory.address, value: toNano('3'), body: forged })
  assert.equal(exitOf(transactions, factory.address), EXIT.NOT_JETTON_WALLET)
})

/** Content with this cell as the name. */
function named(name: Cell): Cell {
  const parser = encodeMetadata(metadata).beginParse().skip(8)
  const words = parser.loadDict(Dictionary.Keys.Buffer(32), Dictionary.Values.Cell())
  words.set(createHash('sha256').update('name').digest(), name)
  return beginCell().storeUint(0, 8).storeDict(words).endCell()
}

test('launches that break the terms are refused by name, and cost nothing but gas', async () => {
  const { pingo, creator, friend, treasury, factory, words, gram } = await factoryWorld()
  const before = await gram(treasury.address)
  const table = (entries: readonly (readonly [bigint, bigint])[]) => {
    const holders = Dictionary.empty(Dictionary.Keys.BigUint(256), Dictionary.Values.BigVarUint(4))
    for (const [key, amount] of entries) holders.set(key, amount)
    return dictRoot(holders)
  }
  const key = (address: Address) => BigInt(`0x${address.hash.toString('hex')}`)
  const { imageHash: _, ...bare } = metadata
  const long = { ...metadata, description: 'x'.repeat(16_000), image: 'y'.repeat(6_000) }
  const off = beginCell().storeUint(1, 8).storeStringTail('https://example.org/dog.json').endCell()
  const tail = beginCell().storeSlice(encodeMetadata(metadata).beginParse()).storeBit(true).endCell()
  const library = beginCell().storeUint(2, 8).storeUint(7, 256).endCell({ exotic: true })
  const many = (count: number) =>
    table(Array.from({ length: count }, (_, i) => [BigInt(i + 1), i === 0 ? 900_003n - BigInt(count - 1) : 1n]))
  const cases: [string, number, Partial<schema.Of<typeof schema.LaunchMeme>>][] = [
    ['a share beyond the bound', EXIT.SHARE_TOO_LARGE, { creatorPercent: 11 }],
    ['the creator among the holders', EXIT.SHARE_TOO_LARGE, { holders: table([[key(creator.address), 900_003n]]) }],
    ['a unit too few', EXIT.SUPPLY_MISMATCH, { supply: SUPPLY + 1n }],
    ['a unit too many', EXIT.SUPPLY_MISMATCH, { supply: SUPPLY - 1n }],
    ['no supply', EXIT.SUPPLY_MISMATCH, { supply: 0n, holders: null }],
    ['33 holders', EXIT.SUPPLY_MISMATCH, { holders: many(33) }],
    ['no hash of the picture', EXIT.WRONG_CONTENT, { content: encodeMetadata(bare) }],
    ['a short hash', EXIT.WRONG_CONTENT, { content: encodeMetadata({ ...metadata, imageHash: 'ab' }) }],
    ['a long hash', EXIT.WRONG_CONTENT, { content: encodeMetadata({ ...metadata, imageHash: 'ab'.repeat(33) }) }],
    ['no name', EXIT.WRONG_CONTENT, { content: encodeMetadata({ ...metadata, name: '' }) }],
    ['no symbol', EXIT.WRONG_CONTENT, { content: encodeMetadata({ ...metadata, symbol: '' }) }],
    [
      'a name in chunks',
      EXIT.WRONG_CONTENT,
      { content: named(beginCell().storeUint(1, 8).storeUint(7, 64).endCell()) },
    ],
    ['a name from a library', EXIT.WRONG_CONTENT, { content: named(library) }],
    ['words kept elsewhere', EXIT.WRONG_CONTENT, { content: off }],
    ['words that are too long', EXIT.WRONG_CONTENT, { content: encodeMetadata(long) }],
    ['words with a tail', 9, { content: tail }],
  ]
  for (const [what, code, change] of cases) {
    const body = rawLaunch(words, change)
    const { transactions } = await creator.send({ to: factory.address, value: toNano('6'), body })
    assert.equal(exitOf(transactions, factory.address), code, what)
  }
  assert.equal(await gram(treasury.address), before)
  const { transactions } = await creator.send({
    to: factory.address,
    value: toNano('6'),
    body: rawLaunch(words, { holders: many(32) }),
  })
  assert.equal(launchesOf(transactions, factory.address).length, 1, '32 holders are welcome')
  assert.equal((await factory.getFactoryData()).count, 1n)
  const noise = await friend.send({
    to: factory.address,
    value: toNano('1'),
    body: beginCell().storeUint(5, 32).endCell(),
  })
  assert.equal(exitOf(noise.transactions, factory.address), EXIT.UNKNOWN_OP)
  assert.equal(await pingo.balance(treasury.address), 0n)
})

test('a launch either has GRAM enough for all of it or does not begin', async (t) => {
  const { pingo, creator, market, factory, words, gram } = await factoryWorld()
  const start = pingo.place.chain.snapshot()
  const big = { ...words, metadata: { ...metadata, description: 'x'.repeat(16_000) } }
  const many = {
    ...words,
    holders: new Map(
      Array.from(
        { length: 32 },
        (_, i) => [new Address(0, Buffer.alloc(32, i + 1)), i === 0 ? 900_003n - 31n : 1n] as const,
      ),
    ),
  }
  const launchedWith = async (each: MemeLaunch, hundredths: bigint) => {
    await pingo.place.chain.loadFrom(start)
    const before = await gram(factory.address)
    const value = FEE_GRAM + hundredths * toNano('0.01')
    const { transactions } = await creator.send({ to: factory.address, value, body: rawLaunch(each) })
    const [launched] = launchesOf(transactions, factory.address)
    if (!launched) assert.equal(exitOf(transactions, factory.address), EXIT.NOT_ENOUGH_GAS)
    return launched && ([launched, before] as const)
  }
  for (const each of [
    words,
    big,
    many,
    { ...words, creatorPercent: 0, holders: new Map([[market.address, SUPPLY]]) },
  ]) {
    // the least value that launches, to a hundredth of a GRAM
    let [refused, least] = [0n, 400n]
    while (least - refused > 1n) {
      const middle = (refused + least) / 2n
      if (await launchedWith(each, middle)) least = middle
      else refused = middle
    }
    const [launched, before] = (await launchedWith(each, least)) ?? []
    assert.ok(launched && before)
    const data = await pingo.place.chain.openContract(new JettonMinter(launched.minter)).getJettonData()
    assert.equal(data.supply, SUPPLY)
    assert.ok((await gram(launched.minter)) >= toNano('0.05'))
    assert.ok((await gram(factory.address)) >= before)
    for (const holder of each.holders.keys())
      assert.ok((await gram(walletAddress('meme', launched.minter, holder))) > toNano('0.04'))
    t.diagnostic(
      `${each.holders.size} holders: ${Number(least) / 100} GRAM besides the fee, the wrapper gives ${fromNano(launchValue(each))}`,
    )
    assert.ok(least * toNano('0.01') < launchValue(each), 'the wrapper gives enough')
  }
})

test('names of a letter, a supply of a unit and a share of a unit are launched', async () => {
  const { creator, market, factory, words } = await factoryWorld()
  const short = { ...words, metadata: { ...metadata, name: 'D', symbol: 'S' } }
  for (const [each, vested] of [
    [{ ...short, supply: 1n, creatorPercent: 0, holders: new Map([[market.address, 1n]]) }, false],
    [{ ...short, supply: 10n, creatorPercent: 10, holders: new Map([[market.address, 9n]]) }, true],
  ] as const) {
    const { transactions } = await factory.sendLaunch(creator.getSender(), each, FEE_GRAM)
    const [launched] = launchesOf(transactions, factory.address)
    assert.ok(launched)
    assert.equal(launched.vesting !== null, vested)
  }
})

test('no share, no vesting contract; a share that rounds to nothing neither', async () => {
  const { creator, market, factory, words } = await factoryWorld()
  for (const each of [
    { ...words, creatorPercent: 0, holders: new Map([[market.address, SUPPLY]]) },
    { ...words, supply: 9n, creatorPercent: 10, holders: new Map([[market.address, 9n]]) },
  ]) {
    const { transactions } = await factory.sendLaunch(creator.getSender(), each, FEE_GRAM)
    const [launched] = launchesOf(transactions, factory.address)
    assert.ok(launched)
    assert.equal(launched.vesting, null)
  }
})

test('the same words twice are two tokens, and each can be told to be of this factory', async () => {
  const { creator, factory, words } = await factoryWorld()
  const minters: string[] = []
  for (const number of [0n, 1n]) {
    const { transactions } = await factory.sendLaunch(creator.getSender(), words, FEE_GRAM)
    const [launched] = launchesOf(transactions, factory.address)
    assert.ok(launched?.vesting)
    const origin = { number, creator: creator.address, creatorPercent: 10, at: TEST_EPOCH }
    assert.deepEqual({ ...launched.launch, creator: 0 }, { ...origin, creator: 0 })
    const computed = await factory.getMemeAddress(origin, SUPPLY, encodeMetadata(metadata))
    assert.ok(computed.minter.equals(launched.minter))
    assert.ok(computed.vesting.equals(launched.vesting))
    const other = await factory.getMemeAddress({ ...origin, creatorPercent: 9 }, SUPPLY, encodeMetadata(metadata))
    assert.ok(!other.minter.equals(launched.minter))
    minters.push(launched.minter.toRawString())
  }
  assert.notEqual(minters[0], minters[1])
})

test('terms and codes are those that the sources give', async () => {
  const { factory, treasury, pingo } = await factoryWorld()
  const data = await factory.getFactoryData()
  assert.ok(data.treasury.equals(treasury.address))
  assert.ok(data.pingoMinter.equals(pingo.minter.address))
  assert.deepEqual(
    [data.feeGram, data.feePingo, data.mostPercent, data.cliff, data.duration],
    [FEE_GRAM, FEE_PINGO, MEME_TERMS.mostPercent, MEME_TERMS.cliff, MEME_TERMS.duration],
  )
  assert.deepEqual(
    [data.minterHash, data.walletHash, data.vestingHash],
    (['meme-minter', 'meme-wallet', 'meme-vesting'] as const).map((name) => artifact(name).hash),
  )
})
