import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, beginCell, type Cell, contractAddress, Dictionary, toNano } from '@ton/core'
import type { SandboxContract, TreasuryContract } from '@ton/sandbox'
import { signerOf } from '../keys/ed25519.ts'
import * as schema from '../schema/index.ts'
import { dictRoot, EXIT, encode, forwardPayload } from '../schema/index.ts'
import { breakWallet, fund, signerNamed } from '../testing/pay.ts'
import { pingoWorld } from '../testing/pingo.ts'
import { exitOf, gasOf, messagesBetween, sizeOf, TEST_EPOCH, transactionsOf } from '../testing/world.ts'
import {
  bondPayload,
  MAX_NODES,
  MAX_SLASHED,
  NodeStake,
  type NodeStakeConfig,
  type NodeVote,
  signStakeVerdict,
  signVote,
  VOTE,
} from './node-stake.ts'

const NETWORK = 77
const DAY = 86_400
const BOND = 10_000n
const GAS_STAKE = 25_000
const arbiter = signerNamed('a')
const node = signerNamed('n')
const other = signerNamed('o')
const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]

async function stakeWorld(o: Partial<NodeStakeConfig> = {}) {
  const pingo = await pingoWorld()
  const [owner, mallory, treasury, hunter] = await Promise.all(
    ['owner', 'mallory', 'treasury', 'hunter'].map(pingo.place.person),
  )
  if (!owner || !mallory || !treasury || !hunter) throw new Error('nobody there')
  const config = {
    minter: pingo.minter.address,
    treasury: treasury.address,
    arbiterKey: arbiter.publicKey,
    network: NETWORK,
    minBond: BOND,
    unbondSeconds: 7 * DAY,
    bountyParts: 500,
    ...o,
  }
  const stake = pingo.place.chain.openContract(NodeStake.fromConfig(config))
  await stake.sendDeploy(mallory.getSender())
  await pingo.genesis([
    [owner.address, 10n ** 12n],
    [mallory.address, 10n ** 12n],
  ])
  const bond = (
    who: SandboxContract<TreasuryContract>,
    amount: bigint,
    by = node,
    of: Partial<{ network: number; contract: Address; owner: Address }> = {},
  ) => {
    const payload = bondPayload({ network: NETWORK, contract: stake.address, owner: who.address, ...of }, by)
    return fund(pingo, who, stake.address, amount, { payload, forwardAmount: toNano('0.1') })
  }
  const exit = async (sent: Promise<{ transactions: Parameters<typeof exitOf>[0] }>) =>
    exitOf((await sent).transactions, stake.address)
  const has = (who: { address: Address }) => pingo.balance(who.address)
  const nodes = async () => (await stake.getStakeData()).nodes
  const mine = async (by = node) => (await nodes()).get(by.publicKey.toString('hex'))
  const vote = (vote: Partial<NodeVote>, by = node, network = NETWORK) =>
    signVote(network, { slot: 5n, kind: VOTE.notarise, hash: one, ...vote }, by)
  const { address: wallet } = pingo.wallet(stake.address)
  return { pingo, owner, mallory, treasury, hunter, config, stake, bond, exit, has, nodes, mine, vote, wallet }
}

test('a bond is taken with the consent of the node’s key, and grows', async (t) => {
  const { owner, stake, bond, mine } = await stakeWorld()
  const { transactions } = await bond(owner, BOND)
  t.diagnostic(`gas of the first bond ${gasOf(transactions, stake.address)}`)
  assert.equal(exitOf(transactions, stake.address), 0)
  assert.equal(messagesBetween(transactions, stake.address, owner.address).length, 1, 'the GRAM goes back')
  const first = await mine()
  assert.equal(first?.bonded, BOND)
  assert.equal(first.since, TEST_EPOCH)
  assert.ok(first.owner.equals(owner.address))
  await bond(owner, 5n)
  assert.equal((await mine())?.bonded, BOND + 5n)
  assert.equal((await stake.getStakeData()).nodeCount, 1)
})

test('what is no good bond goes back to its sender', async () => {
  const { pingo, owner, mallory, stake, bond, has, nodes } = await stakeWorld()
  const before = await has(mallory)
  const signed = { network: NETWORK, contract: stake.address, owner: mallory.address }
  const good = bondPayload(signed, node)
  const weak = (key: bigint): Cell => encode(schema.BondNode, { key, signature: Buffer.alloc(64) })
  const long = beginCell().storeSlice(good.beginParse()).storeBit(1).endCell()
  const wordy = beginCell().storeSlice(good.beginParse()).storeRef(good).endCell()
  const payloads = [null, beginCell().endCell(), beginCell().storeUint(1, 32).endCell(), long, wordy, weak(0n)]
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
  await stake.sendUnbond(owner.getSender(), key, 2n * BOND - 1n)
  await bond(owner, BOND - 1n)
  assert.equal((await mine())?.bonded, 0n, 'less than the least bond goes back, to an empty one too')
  pingo.place.now += 7 * DAY
  await stake.sendWithdraw(owner.getSender(), key)
  assert.equal(await has(owner), before)
  assert.equal((await nodes()).size, 0)
  assert.equal((await stake.getStakeData()).nodeCount, 0)
})

test('two votes that contradict each other cost the whole bond, what is unbonding too, and the key is out', async (t) => {
  const { owner, treasury, hunter, stake, bond, exit, has, mine, vote, nodes } = await stakeWorld()
  const key = node.publicKey
  const before = await has(owner)
  await bond(owner, 3n * BOND)
  await stake.sendUnbond(owner.getSender(), key, BOND)
  const evidence = { key, first: vote({}), second: vote({ hash: two }) }
  const { transactions } = await stake.sendEquivocation(hunter.getSender(), evidence)
  t.diagnostic(`gas of slashing ${gasOf(transactions, stake.address)}`)
  assert.equal(await has(hunter), (3n * BOND * 500n) / 10_000n)
  assert.equal(await has(treasury), 3n * BOND - (3n * BOND * 500n) / 10_000n)
  assert.equal((await nodes()).size, 0)
  assert.ok(await stake.getIsSlashed(key))
  assert.equal(await exit(stake.sendEquivocation(hunter.getSender(), evidence)), EXIT.NO_NODE)
  assert.equal(await exit(stake.sendWithdraw(owner.getSender(), key)), EXIT.NO_NODE)
  await bond(owner, BOND)
  assert.equal(await mine(), undefined, 'never again with this key')
  assert.equal(await has(owner), before - 3n * BOND, 'a slashed bond never returns; the new one did')
})

test('finalised and skipped, or two finalised, contradict; notarised and skipped, or the same twice, do not', async () => {
  const { owner, hunter, stake, bond, exit, vote } = await stakeWorld()
  await bond(owner, BOND)
  const send = (first: Partial<NodeVote>, second: Partial<NodeVote>) =>
    exit(stake.sendEquivocation(hunter.getSender(), { key: node.publicKey, first: vote(first), second: vote(second) }))
  const [N, F, S] = [VOTE.notarise, VOTE.finalise, VOTE.skip]
  const kinds = [
    [{ kind: N }, { kind: N }],
    [{ kind: N }, { kind: S, hash: two }],
    [{ kind: S }, { kind: N, hash: two }],
    [{ kind: N }, { kind: F, hash: two }],
    [{ kind: F }, { kind: N, hash: two }],
    [{ kind: S }, { kind: S, hash: two }],
    [{ kind: F }, { kind: F }],
    [{ kind: N }, { kind: N, hash: two, slot: 6n }],
    [{ kind: F }, { kind: S, slot: 6n }],
    [{ kind: 4 as never }, { kind: 4 as never, hash: two }],
    [{ kind: F }, { kind: 4 as never, hash: two }],
    [{ kind: 0 as never }, { kind: S, hash: two }],
  ] as const
  for (const [first, second] of kinds)
    assert.equal(await send(first, second), EXIT.NO_CONFLICT, `kinds ${first.kind} and ${second.kind}`)
  for (const [first, second] of [
    [{ kind: F }, { kind: S, hash: two }],
    [{ kind: S }, { kind: F }],
    [{ kind: F }, { kind: F, hash: two }],
  ]) {
    const each = await stakeWorld()
    await each.bond(each.owner, BOND)
    const evidence = { key: node.publicKey, first: each.vote(first ?? {}), second: each.vote(second ?? {}) }
    assert.equal(await each.exit(each.stake.sendEquivocation(each.hunter.getSender(), evidence)), 0)
  }
})

test('votes by another key, of another network or changed are no evidence', async () => {
  const { owner, hunter, stake, bond, exit, vote, mine } = await stakeWorld()
  await bond(owner, BOND)
  const key = node.publicKey
  const [first, second] = [vote({}), vote({ hash: two })]
  for (const [a, b] of [
    [vote({}, other), second],
    [first, vote({ hash: two }, other)],
    [vote({}, node, NETWORK + 1), vote({ hash: two }, node, NETWORK + 1)],
    [first, { ...first, hash: two }],
    [first, { ...second, hash: Buffer.alloc(32, 3) }],
    [
      { ...first, slot: 6n },
      { ...second, slot: 6n },
    ],
  ] as const)
    assert.equal(
      await exit(stake.sendEquivocation(hunter.getSender(), { key, first: a, second: b })),
      EXIT.WRONG_SIGNATURE,
    )
  const evidence = { key: other.publicKey, first: vote({}, other), second: vote({ hash: two }, other) }
  assert.equal(await exit(stake.sendEquivocation(hunter.getSender(), evidence)), EXIT.NO_NODE)
  assert.equal((await mine())?.bonded, BOND)
})

test('a verdict takes what it says, once: of the bond first, then of what is unbonding', async (t) => {
  const { pingo, owner, treasury, hunter, stake, bond, exit, has, mine } = await stakeWorld()
  const key = node.publicKey
  await bond(owner, 3n * BOND)
  const since = (await mine())?.since ?? 0
  const verdict = (number: number, amount: bigint, of: Record<string, unknown> = {}, by = arbiter) => ({
    key,
    number,
    amount,
    signature: signStakeVerdict(
      { network: NETWORK, contract: stake.address, key, since, number, amount, ...of } as Parameters<
        typeof signStakeVerdict
      >[0],
      by,
    ),
  })
  const send = (v: ReturnType<typeof verdict>) => exit(stake.sendVerdict(hunter.getSender(), v))
  assert.equal(await send(verdict(2, 10n)), EXIT.OTHER_VERDICT)
  assert.equal(await send(verdict(0, 10n)), EXIT.OTHER_VERDICT)
  assert.equal(await send(verdict(1, 0n)), EXIT.NOTHING_DUE)
  for (const wrong of [
    verdict(1, 10n, {}, node),
    verdict(1, 10n, { network: 1 }),
    verdict(1, 10n, { contract: owner.address }),
    verdict(1, 10n, { since: since - 1 }),
    verdict(1, 10n, { key: other.publicKey }),
    { ...verdict(1, 10n), amount: 11n },
  ])
    assert.equal(await send(wrong), EXIT.WRONG_SIGNATURE)
  await stake.sendUnbond(owner.getSender(), key, BOND)
  const { transactions } = await stake.sendVerdict(hunter.getSender(), verdict(1, BOND))
  t.diagnostic(`gas of a verdict ${gasOf(transactions, stake.address)}`)
  assert.deepEqual([(await mine())?.bonded, (await mine())?.unbonding], [BOND, BOND])
  assert.equal(await send(verdict(1, BOND)), EXIT.OTHER_VERDICT, 'once')
  assert.equal(await send(verdict(2, BOND + 4n)), 0)
  assert.deepEqual([(await mine())?.bonded, (await mine())?.unbonding], [0n, BOND - 4n])
  assert.equal(await send(verdict(3, 10n ** 15n)), 0, 'at most what there is')
  assert.equal(await mine(), undefined)
  assert.ok(await stake.getIsSlashed(key))
  assert.equal((await has(treasury)) + (await has(hunter)), 3n * BOND)
  pingo.place.now += 30 * DAY
  assert.equal(await exit(stake.sendWithdraw(owner.getSender(), key)), EXIT.NO_NODE)
})

test('a verdict on a bond that was withdrawn does not touch a later one of the same key', async () => {
  const { pingo, owner, hunter, stake, bond, exit, mine } = await stakeWorld()
  const key = node.publicKey
  await bond(owner, BOND)
  const since = (await mine())?.since ?? 0
  const signature = signStakeVerdict(
    { network: NETWORK, contract: stake.address, key, since, number: 1, amount: 7n },
    arbiter,
  )
  await stake.sendUnbond(owner.getSender(), key, BOND)
  pingo.place.now += 7 * DAY
  await stake.sendWithdraw(owner.getSender(), key)
  await bond(owner, BOND)
  assert.equal(
    await exit(stake.sendVerdict(hunter.getSender(), { key, number: 1, amount: 7n, signature })),
    EXIT.WRONG_SIGNATURE,
  )
})

test('without a bounty all goes to the treasury', async () => {
  const { owner, treasury, hunter, stake, bond, has, vote } = await stakeWorld({ bountyParts: 0 })
  await bond(owner, BOND)
  const evidence = { key: node.publicKey, first: vote({}), second: vote({ hash: two }) }
  await stake.sendEquivocation(hunter.getSender(), evidence)
  assert.deepEqual([await has(treasury), await has(hunter)], [BOND, 0n])
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
  await mend()
  assert.equal(await has(owner), before)
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
  const lost = await open({ ...storage, slashedCount: MAX_SLASHED })
  const held = await pingo.balance(owner.address)
  await bond(lost.address, newcomer)
  assert.equal(await pingo.balance(owner.address), held, 'so many are out that no new one is taken')

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
