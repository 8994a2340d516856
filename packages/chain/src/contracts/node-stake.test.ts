import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, beginCell, type Cell, contractAddress, Dictionary, toNano } from '@ton/core'
import { signerOf } from '../keys/ed25519.ts'
import * as schema from '../schema/index.ts'
import { dictRoot, EXIT, encode, forwardPayload } from '../schema/index.ts'
import { breakWallet, fund, notify, signerNamed } from '../testing/pay.ts'
import {
  BOND,
  DAY,
  NODES_NETWORK as NETWORK,
  node,
  blockOne as one,
  stakeWorld,
  blockTwo as two,
} from '../testing/pay-worlds.ts'
import { exitOf, gasOf, messagesBetween, sizeOf, TEST_EPOCH, transactionsOf } from '../testing/world.ts'
import { bondPayload, MAX_NODES, MAX_SLASHED, NodeStake, signVote, VOTE } from './node-stake.ts'

const GAS_STAKE = 25_000
const other = signerNamed('o')

test('a bond is taken with the consent of the node’s key, and grows', async (t) => {
  const { owner, stake, bond, mine } = await stakeWorld()
  const { transactions } = await bond(owner, BOND)
  t.diagnostic(`gas of the first bond ${gasOf(transactions, stake.address)}`)
  assert.equal(exitOf(transactions, stake.address), 0)
  assert.equal(messagesBetween(transactions, stake.address, owner.address).length, 1, 'the GRAM goes back')
  const first = await mine()
  assert.ok(first?.owner.equals(owner.address))
  assert.deepEqual(
    { ...first, owner: '' },
    { owner: '', bonded: BOND, unbonding: 0n, unlocksAt: 0, since: TEST_EPOCH, verdicts: 0 },
  )
  await bond(owner, 5n)
  assert.equal((await mine())?.bonded, BOND + 5n)
  assert.equal((await stake.getStakeData()).nodeCount, 1)
})

test('what is no good bond goes back to its sender', async () => {
  const { pingo, owner, mallory, stake, bond, has, nodes } = await stakeWorld()
  const before = await has(mallory)
  const signed = { network: NETWORK, contract: stake.address, owner: mallory.address }
  const good = bondPayload(signed, node)
  // R = S·B − h·A holds for the neutral element whatever is signed: S = 0, R = the neutral element
  const anybodys = Buffer.from([1, ...Buffer.alloc(63)])
  const weak = (key: bigint): Cell => encode(schema.BondNode, { key, signature: anybodys })
  const otherOp = beginCell().storeUint(1, 32).storeSlice(good.beginParse().skip(32)).endCell()
  const long = beginCell().storeSlice(good.beginParse()).storeBit(1).endCell()
  const wordy = beginCell().storeSlice(good.beginParse()).storeRef(good).endCell()
  const payloads = [null, beginCell().endCell(), beginCell().storeUint(1, 32).endCell(), otherOp, long, wordy, weak(0n)]
  for (const [i, payload] of [...payloads, weak(1n << 248n)].entries()) {
    await fund(pingo, mallory, stake.address, BOND, { payload, forwardAmount: toNano('0.1') })
    assert.equal(await has(mallory), before, `payload ${i}`)
  }
  await bond(mallory, BOND - 1n)
  await bond(mallory, BOND, node, { network: NETWORK + 1 })
  await bond(mallory, BOND, node, { contract: owner.address })
  await bond(mallory, BOND, node, { owner: owner.address })
  assert.equal((await nodes()).size, 0)
  assert.equal(await has(mallory), before)
  await bond(owner, BOND)
  await bond(mallory, BOND)
  assert.equal(await has(mallory), before, 'a node has one owner')
  assert.equal(await has(stake), BOND)
})

test('a transfer whose way back is not paid stays, and grows no table', async () => {
  const { pingo, mallory, stake, wallet } = await stakeWorld()
  for (const milli of [1n, 5n, 10n, 20n, 30n, 40n, 50n]) {
    const forwardAmount = milli * 1_000_000n
    const { transactions } = await fund(pingo, mallory, stake.address, 3n, { forwardAmount })
    const back = messagesBetween(transactions, wallet, stake.address).filter(
      ({ info }) => 'bounced' in info && info.bounced,
    )
    assert.equal(back.length, 0, `${milli}`)
  }
  assert.equal((await stake.getStakeData()).owed.size, 0)
})

test('a bond comes back after its time, not before; a second request begins it anew', async (t) => {
  const { pingo, owner, mallory, stake, bond, exit, has, mine, nodes } = await stakeWorld()
  const key = node.publicKey
  const before = await has(owner)
  await bond(owner, 3n * BOND)
  assert.equal(await exit(stake.sendUnbond(mallory.getSender(), key, BOND)), EXIT.NOT_OWNER)
  assert.equal(await exit(stake.sendUnbond(owner.getSender(), other.publicKey, BOND)), EXIT.NO_NODE)
  assert.equal(await exit(stake.sendUnbond(owner.getSender(), key, 0n)), EXIT.NOTHING_DUE)
  assert.equal(await exit(stake.sendUnbond(owner.getSender(), key, 3n * BOND + 1n)), EXIT.NOT_FUNDED)
  assert.equal(await exit(stake.sendUnbond(owner.getSender(), key, 2n * BOND + 1n)), EXIT.TOO_LITTLE_BOND)
  assert.equal(await exit(stake.sendUnbond(owner.getSender(), key, 3n * BOND - 1n)), EXIT.TOO_LITTLE_BOND)
  assert.equal(await exit(stake.sendWithdraw(owner.getSender(), key)), EXIT.NOTHING_DUE)
  const unbond = await stake.sendUnbond(owner.getSender(), key, BOND)
  t.diagnostic(`gas of unbonding ${gasOf(unbond.transactions, stake.address)}`)
  assert.equal(messagesBetween(unbond.transactions, stake.address, owner.address).length, 1)
  pingo.place.now += 6 * DAY
  await stake.sendUnbond(owner.getSender(), key, 1n)
  pingo.place.now += DAY
  assert.equal(await exit(stake.sendWithdraw(owner.getSender(), key)), EXIT.TOO_EARLY)
  pingo.place.now += 6 * DAY - 1
  assert.equal(await exit(stake.sendWithdraw(owner.getSender(), key)), EXIT.TOO_EARLY)
  pingo.place.now += 1
  assert.equal(await exit(stake.sendWithdraw(mallory.getSender(), key)), EXIT.NOT_OWNER)
  const withdrawn = await stake.sendWithdraw(owner.getSender(), key)
  t.diagnostic(`gas of a withdrawal ${gasOf(withdrawn.transactions, stake.address)}`)
  assert.equal(await has(owner), before - 2n * BOND + 1n)
  assert.equal((await mine())?.bonded, 2n * BOND - 1n)
  assert.equal(await exit(stake.sendWithdraw(owner.getSender(), key)), EXIT.NOTHING_DUE, 'once')
  await stake.sendUnbond(owner.getSender(), key, 2n * BOND - 1n)
  await bond(owner, BOND - 1n)
  assert.equal((await mine())?.bonded, 0n, 'less than the least bond goes back, to an empty one too')
  pingo.place.now += 7 * DAY
  await stake.sendWithdraw(owner.getSender(), key)
  assert.equal(await has(owner), before)
  assert.equal((await nodes()).size, 0)
  assert.equal((await stake.getStakeData()).nodeCount, 0)
})

test('the least bond may stay alone, and may come back to an empty node; a nano-PINGO is withdrawn too', async () => {
  const { pingo, owner, stake, bond, exit, has, mine } = await stakeWorld()
  const key = node.publicKey
  await bond(owner, BOND + 1n)
  assert.equal(await exit(stake.sendUnbond(owner.getSender(), key, 1n)), 0)
  assert.equal((await mine())?.bonded, BOND)
  pingo.place.now += 7 * DAY
  const before = await has(owner)
  await stake.sendWithdraw(owner.getSender(), key)
  assert.equal(await has(owner), before + 1n)
  await stake.sendUnbond(owner.getSender(), key, BOND)
  await bond(owner, BOND)
  assert.deepEqual([(await mine())?.bonded, (await mine())?.unbonding], [BOND, BOND])
})

test('payments that come back are owed to whom they were for: a slashed bond is the treasury’s all the same', async () => {
  const { pingo, owner, mallory, treasury, hunter, stake, bond, exit, has, vote, wallet } = await stakeWorld()
  await bond(owner, BOND)
  let mend = await breakWallet(pingo, stake.address)
  const evidence = { key: node.publicKey, first: vote({}), second: vote({ hash: two }) }
  const failed = await stake.sendEquivocation(hunter.getSender(), evidence)
  assert.equal(transactionsOf(failed.transactions, stake.address).length, 3, 'both payments came back')
  await mend()
  const { owed } = await stake.getStakeData()
  assert.equal(owed.get(treasury.address.toRawString()), BOND - 500n)
  assert.equal(owed.get(hunter.address.toRawString()), 500n)
  assert.equal(await exit(stake.sendCollect(mallory.getSender(), owner.address)), EXIT.NOTHING_DUE)
  mend = await breakWallet(pingo, stake.address)
  const again = await stake.sendCollect(mallory.getSender(), treasury.address)
  assert.equal(exitOf(again.transactions, wallet), EXIT.NOT_ENOUGH_BALANCE)
  await mend()
  await stake.sendCollect(mallory.getSender(), treasury.address)
  await stake.sendCollect(mallory.getSender(), hunter.address)
  assert.deepEqual([await has(treasury), await has(hunter)], [BOND - 500n, 500n])
  assert.equal((await stake.getStakeData()).owed.size, 0)
  await bond(owner, 2n * BOND, other)
  await stake.sendUnbond(owner.getSender(), other.publicKey, 2n * BOND)
  pingo.place.now += 7 * DAY
  const before = await has(owner)
  mend = await breakWallet(pingo, stake.address)
  await stake.sendWithdraw(owner.getSender(), other.publicKey)
  await notify(pingo, stake.address, owner.address, 7n, toNano('0.1'))
  assert.equal((await stake.getStakeData()).owed.get(owner.address.toRawString()), 2n * BOND + 7n, 'debts add up')
  await mend()
  assert.equal(await has(owner), before)
  await fund(pingo, owner, stake.address, 7n, { forwardAmount: 1n })
  await stake.sendCollect(mallory.getSender(), owner.address)
  assert.equal(await has(owner), before + 2n * BOND)
})

test('what is too poor fails before anything is booked', async () => {
  const { pingo, owner, hunter, stake, bond, vote, wallet, mine } = await stakeWorld()
  await bond(owner, BOND)
  const key = node.publicKey
  const evidence = { key, first: vote({}), second: vote({ hash: two }) }
  for (let milli = 1n; milli <= 60n; milli += 4n) {
    const { transactions } = await stake.sendEquivocation(hunter.getSender(), evidence, milli * 1_000_000n)
    assert.notEqual(exitOf(transactions, stake.address), 0)
    assert.equal(messagesBetween(transactions, wallet, stake.address).length, 0)
  }
  await stake.sendUnbond(owner.getSender(), key, BOND)
  pingo.place.now += 7 * DAY
  for (let milli = 1n; milli <= 33n; milli += 4n) {
    const { transactions } = await stake.sendWithdraw(owner.getSender(), key, milli * 1_000_000n)
    assert.notEqual(exitOf(transactions, stake.address), 0)
    assert.equal(messagesBetween(transactions, wallet, stake.address).length, 0)
  }
  assert.equal((await mine())?.unbonding, BOND)
})

test('PINGO are believed from the own wallet alone, and unknown messages are refused', async () => {
  const { mallory, stake, bond, owner, nodes } = await stakeWorld()
  const note = encode(schema.TransferNotification, {
    queryId: 0n,
    amount: BOND,
    sender: mallory.address,
    forwardPayload: forwardPayload(
      bondPayload({ network: NETWORK, contract: stake.address, owner: mallory.address }, node),
    ),
  })
  for (let i = 0; i < 2; i++) {
    const { transactions } = await mallory.send({ to: stake.address, value: toNano('0.1'), body: note })
    assert.equal(exitOf(transactions, stake.address), EXIT.NOT_JETTON_WALLET)
    await bond(owner, BOND, other)
  }
  assert.equal((await nodes()).size, 1)
  const unknown = beginCell().storeUint(7, 32).endCell()
  const { transactions } = await mallory.send({ to: stake.address, value: toNano('0.1'), body: unknown })
  assert.equal(exitOf(transactions, stake.address), EXIT.UNKNOWN_OP)
})

test('terms that could not work are refused', async () => {
  const { config } = await stakeWorld()
  for (const wrong of [
    { treasury: new Address(-1, Buffer.alloc(32)) },
    { arbiterKey: Buffer.alloc(32) },
    { unbondSeconds: 60 },
    { bountyParts: 2001 },
    { bountyParts: -1 },
    { minBond: 0n },
  ])
    assert.throws(() => NodeStake.fromConfig({ ...config, ...wrong }), { code: 'CHAIN_TERMS' })
})

test('a full table takes no more nodes, its gas is what the fees assume, and its rent of two years is reserved', async (t) => {
  const { pingo, owner, mallory, config, hunter, treasury } = await stakeWorld()
  const keys = Array.from({ length: MAX_NODES }, (_, i) => signerOf(Buffer.alloc(32, i + 1)))
  const table = Dictionary.empty(Dictionary.Keys.BigUint(256), {
    serialize: (value: Cell, builder) => {
      builder.storeSlice(value.beginParse())
    },
    parse: (slice) => slice.asCell(),
  })
  for (const { publicKey } of keys)
    table.set(
      BigInt(`0x${publicKey.toString('hex')}`),
      encode(schema.StakedNode, {
        owner: owner.address,
        bonded: BOND,
        unbonding: BOND,
        unlocksAt: TEST_EPOCH,
        since: TEST_EPOCH,
        verdicts: 0,
      }),
    )
  const { init } = NodeStake.fromConfig(config)
  if (!init) throw new Error('no state')
  const storage = schema.decode(schema.StakeStorage, init.data)
  const full = { ...storage, nodeCount: MAX_NODES, nodes: dictRoot(table) }
  const open = async (of: schema.Of<typeof schema.StakeStorage>) => {
    const state = { code: init.code, data: encode(schema.StakeStorage, of) }
    const stake = pingo.place.chain.openContract(new NodeStake(contractAddress(0, state), state))
    await stake.sendDeploy(mallory.getSender())
    await pingo
      .wallet(owner.address)
      .sendTransfer(owner.getSender(), { to: stake.address, amount: 2n * BOND * BigInt(MAX_NODES) })
    return stake
  }
  const stake = await open(full)
  const newcomer = signerNamed('z')
  const bond = (to: Address, by: typeof newcomer) =>
    fund(pingo, owner, to, BOND, {
      payload: bondPayload({ network: NETWORK, contract: to, owner: owner.address }, by),
      forwardAmount: toNano('0.1'),
    })
  const before = await pingo.balance(owner.address)
  const refused = await bond(stake.address, newcomer)
  assert.equal(await pingo.balance(owner.address), before, 'full')
  const grown = await bond(stake.address, keys[0] as typeof newcomer)
  const key = (keys[7] as typeof newcomer).publicKey
  const unbond = await stake.sendUnbond(owner.getSender(), key, BOND)
  pingo.place.now += 7 * DAY
  const withdraw = await stake.sendWithdraw(owner.getSender(), key)
  const fresh = await bond(stake.address, newcomer)
  assert.ok((await stake.getStakeData()).nodes.has(newcomer.publicKey.toString('hex')), 'a place is free')
  const liar = keys[9] as typeof newcomer
  const slash = await stake.sendEquivocation(hunter.getSender(), {
    key: liar.publicKey,
    first: signVote(NETWORK, { slot: 5n, kind: VOTE.notarise, hash: one }, liar),
    second: signVote(NETWORK, { slot: 5n, kind: VOTE.notarise, hash: two }, liar),
  })
  assert.equal(await pingo.balance(treasury.address), 2n * BOND - 1000n)
  for (const [what, { transactions }] of Object.entries({ refused, grown, unbond, withdraw, fresh, slash })) {
    const gas = gasOf(transactions, stake.address)
    t.diagnostic(`full table, ${what}: ${gas}`)
    assert.ok(gas <= GAS_STAKE, `${what} takes ${gas}`)
  }
  for (const slashedCount of [MAX_SLASHED - 1, MAX_SLASHED]) {
    const lost = await open({ ...storage, slashedCount })
    await bond(lost.address, newcomer)
    const taken = slashedCount < MAX_SLASHED
    assert.equal((await lost.getStakeData()).nodeCount, taken ? 1 : 0, 'when so many are out no new one is taken')
  }

  const { accountState, balance } = await pingo.place.chain.getContract(stake.address)
  if (accountState?.type !== 'active' || !accountState.state.code || !accountState.state.data) throw new Error('gone')
  const seen = new Set<string>()
  const [code, data] = [sizeOf(accountState.state.code, seen), sizeOf(accountState.state.data, seen)]
  t.diagnostic(`storage: ${code.cells + data.cells} cells, ${code.bits + data.bits} bits`)
  pingo.place.now += 2 * 365 * DAY
  await stake.sendDeploy(mallory.getSender(), toNano('0.01'))
  const rent = balance + toNano('0.01') - (await pingo.place.chain.getContract(stake.address)).balance
  t.diagnostic(`rent of two years: ${Number(rent) / 1e9} GRAM`)
  assert.ok(rent <= toNano('1') && balance >= toNano('1'))
})
