import assert from 'node:assert/strict'
import test from 'node:test'
import { EXIT } from '../schema/index.ts'
import { signerNamed } from '../testing/pay.ts'
import {
  arbiter,
  BOND,
  DAY,
  NODES_NETWORK as NETWORK,
  node,
  stakeWorld,
  blockTwo as two,
} from '../testing/pay-worlds.ts'
import { gasOf, messagesBetween } from '../testing/world.ts'
import { type NodeVote, signStakeVerdict, VOTE } from './node-stake.ts'

const _GAS_STAKE = 25_000
const other = signerNamed('o')

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
  const { pingo, owner, treasury, hunter, stake, bond, exit, has, mine, wallet } = await stakeWorld()
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
  const start = pingo.place.chain.snapshot()
  for (const [amount, bounty] of [
    [1n, 0n],
    [20n, 1n],
  ] as const) {
    const { transactions } = await stake.sendVerdict(hunter.getSender(), verdict(1, amount))
    assert.equal(
      messagesBetween(transactions, stake.address, wallet).length,
      bounty > 0n ? 2 : 1,
      'nothing empty is paid',
    )
    assert.deepEqual([await has(treasury), await has(hunter)], [amount - bounty, bounty])
    await pingo.place.chain.loadFrom(start)
  }
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
