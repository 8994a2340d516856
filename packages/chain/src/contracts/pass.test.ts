import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { beginCell, Dictionary, toNano } from '@ton/core'
import { CreditTree } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { decode, dictRoot, EXIT, encode } from '../schema/index.ts'
import { passWorld, UNIT } from '../testing/pass.ts'
import { exitOf, gasOf, messagesBetween, TEST_EPOCH } from '../testing/world.ts'
import { decodeMetadata } from '../token/metadata.ts'
import { AccessGate, levelOf, passIndexOf } from './pass.ts'

const data = beginCell().storeUint(0xda7a, 16).endCell()

test('levels double, and TypeScript counts them as the contract does', async () => {
  assert.deepEqual(
    [0n, 99n, 100n, 199n, 200n, 399n, 400n, 100n * 2n ** 40n].map((credit) => levelOf(credit, UNIT)),
    [0, 0, 1, 1, 2, 2, 3, 41],
  )
  const { alice, collection, pass, earned } = await passWorld()
  for (const credit of [100n, 399n, 400n, 12_345n, 100n * 2n ** 40n]) {
    const tree = await earned([[alice.address, credit]])
    await collection.sendClaim(alice.getSender(), tree.proof(alice.address))
    assert.equal((await pass(alice.address).getPassData()).level, levelOf(credit, UNIT))
  }
})

test('a pass is minted to whoever proves the credit, and to nobody else', async (t) => {
  const { alice, bob, carol, collection, pass, earned } = await passWorld()
  const others = Array.from({ length: 10_000 }, (_, i) => [createHash('sha256').update(`${i}`).digest(), 5n] as const)
  const tree = await earned([...others, [alice.address, 450n], [bob.address, UNIT - 1n]])
  const { transactions } = await collection.sendClaim(alice.getSender(), tree.proof(alice.address))
  const mine = pass(alice.address)
  t.diagnostic(
    `gas among 10,002: collection ${gasOf(transactions, collection.address)}, pass ${gasOf(transactions, mine.address)}`,
  )
  assert.ok(mine.address.equals(await collection.getNftAddressByIndex(passIndexOf(alice.address))))
  const nft = await mine.getNftData()
  assert.equal(nft.isInitialized, true)
  assert.ok(nft.owner?.equals(alice.address))
  assert.ok(nft.collection.equals(collection.address))
  assert.deepEqual(nft.content, { level: 3, epoch: 1 })
  assert.equal(messagesBetween(transactions, mine.address, alice.address).length, 0, 'nothing is left')
  const poor = await collection.sendClaim(bob.getSender(), tree.proof(bob.address))
  assert.equal(exitOf(poor.transactions, collection.address), EXIT.TOO_LITTLE_CREDIT)
  const thief = await collection.sendClaim(carol.getSender(), tree.proof(alice.address))
  assert.notEqual(exitOf(thief.transactions, collection.address), 0)
  const forged = await collection.sendClaim(
    carol.getSender(),
    CreditTree.from([[carol.address, 999n]]).proof(carol.address),
  )
  assert.equal(exitOf(forged.transactions, collection.address), EXIT.WRONG_PROOF)
  const direct = await carol.send({
    to: mine.address,
    value: toNano('0.1'),
    body: encode(schema.MintPass, { queryId: 0n, level: 9, epoch: 9, authority: carol.address }),
  })
  assert.equal(exitOf(direct.transactions, mine.address), EXIT.NOT_COLLECTION)
})

test('TEP-62 and TEP-66: the collection’s and the item’s words on themselves', async () => {
  const { alice, bob, authority, collection, minted } = await passWorld()
  const mine = await minted()
  const { nextItemIndex, content, owner } = await collection.getCollectionData()
  assert.equal(nextItemIndex, -1n)
  assert.equal(decodeMetadata(content).name, 'PinGo passes')
  assert.ok(owner.equals(authority.address))
  const individual = (level: number) => encode(schema.PassContent, { level, epoch: 1 })
  assert.equal(decodeMetadata(await collection.getNftContent(1n, individual(3))).name, 'PinGo pass, level 3')
  assert.equal(decodeMetadata(await collection.getNftContent(1n, individual(4))).name, 'PinGo passes')
  const { numerator, denominator } = await collection.getRoyaltyParams()
  assert.deepEqual([numerator, denominator], [0, 1])
  const asked = await bob.send({
    to: mine.address,
    value: toNano('0.05'),
    body: encode(schema.GetStaticData, { queryId: 7n }),
  })
  const [report] = messagesBetween(asked.transactions, mine.address, bob.address)
  const said = decode(schema.ReportStaticData, report?.body ?? data)
  assert.equal(said.queryId, 7n)
  assert.equal(said.index, passIndexOf(alice.address))
  assert.ok(said.collection.equals(collection.address))
  const royalty = await bob.send({
    to: collection.address,
    value: toNano('0.05'),
    body: encode(schema.GetRoyaltyParams, { queryId: 8n }),
  })
  const [answer] = messagesBetween(royalty.transactions, collection.address, bob.address)
  assert.equal(decode(schema.ReportRoyaltyParams, answer?.body ?? data).queryId, 8n)
})

test('TEP-85: no transfer, whoever asks', async () => {
  const { alice, bob, authority, minted } = await passWorld()
  const mine = await minted()
  const body = beginCell()
    .storeUint(0x5fcc3d14, 32)
    .storeUint(1, 64)
    .storeAddress(bob.address)
    .storeAddress(alice.address)
    .storeBit(0)
    .storeCoins(0)
    .storeBit(0)
    .endCell()
  for (const who of [alice, bob, authority]) {
    const { transactions } = await who.send({ to: mine.address, value: toNano('0.1'), body })
    assert.equal(exitOf(transactions, mine.address), EXIT.SBT_NOT_TRANSFERABLE)
  }
  assert.ok((await mine.getNftData()).owner?.equals(alice.address))
})

test('TEP-85: only the owner has ownership proven, anyone asks for the owner', async (t) => {
  const { alice, bob, carol, minted } = await passWorld()
  const mine = await minted()
  const theft = await mine.sendProveOwnership(bob.getSender(), { destination: carol.address, data, withContent: true })
  assert.equal(exitOf(theft.transactions, mine.address), EXIT.SBT_UNAUTHORIZED)
  const proved = await mine.sendProveOwnership(alice.getSender(), {
    destination: carol.address,
    data,
    withContent: true,
  })
  t.diagnostic(`gas of prove_ownership ${gasOf(proved.transactions, mine.address)}`)
  const [proof] = messagesBetween(proved.transactions, mine.address, carol.address)
  const said = decode(schema.OwnershipProof, proof?.body ?? data)
  assert.ok(said.owner.equals(alice.address))
  assert.equal(said.index, passIndexOf(alice.address))
  assert.equal(said.revokedAt, 0n)
  assert.ok(said.data.equals(data))
  assert.deepEqual(said.content && decode(schema.PassContent, said.content), { level: 3, epoch: 1 })
  const asked = await mine.sendRequestOwner(bob.getSender(), { destination: carol.address, data, withContent: false })
  const [info] = messagesBetween(asked.transactions, mine.address, carol.address)
  const told = decode(schema.OwnerInfo, info?.body ?? data)
  assert.ok(told.initiator.equals(bob.address))
  assert.ok(told.owner?.equals(alice.address))
  assert.equal(told.content, null)
})

test('a revoked pass says so for ever: not even destroying and claiming it again helps', async () => {
  const { place, alice, bob, authority, collection, earned, minted } = await passWorld()
  const mine = await minted()
  const usurped = await mine.sendRevoke(bob.getSender())
  assert.equal(exitOf(usurped.transactions, mine.address), EXIT.SBT_UNAUTHORIZED)
  assert.ok((await mine.getAuthorityAddress())?.equals(authority.address))
  place.now = TEST_EPOCH + 77
  await mine.sendRevoke(authority.getSender())
  assert.equal(await mine.getRevokedTime(), TEST_EPOCH + 77)
  const again = await mine.sendRevoke(authority.getSender())
  assert.equal(exitOf(again.transactions, mine.address), EXIT.SBT_ALREADY_REVOKED)
  await mine.sendDestroy(alice.getSender())
  assert.equal((await mine.getNftData()).owner, null)
  const tree = await earned([[alice.address, 9_000n]])
  const before = await alice.getBalance()
  await collection.sendClaim(alice.getSender(), tree.proof(alice.address))
  assert.equal(await mine.getRevokedTime(), TEST_EPOCH + 77)
  assert.equal((await mine.getPassData()).level, 0)
  assert.ok(before - (await alice.getBalance()) < toNano('0.03'), 'the GRAM of the claim came back')
})

test('a destroyed pass has no owner and no authority, and can be earned again', async () => {
  const { alice, bob, collection, earned, minted } = await passWorld()
  const mine = await minted()
  const theft = await mine.sendDestroy(bob.getSender())
  assert.equal(exitOf(theft.transactions, mine.address), EXIT.SBT_UNAUTHORIZED)
  const { transactions } = await mine.sendDestroy(alice.getSender())
  assert.equal(messagesBetween(transactions, mine.address, alice.address).length, 1)
  assert.equal((await mine.getNftData()).owner, null)
  assert.equal(await mine.getAuthorityAddress(), null)
  const dead = await mine.sendProveOwnership(alice.getSender(), { destination: bob.address, data, withContent: true })
  assert.equal(exitOf(dead.transactions, mine.address), EXIT.SBT_UNAUTHORIZED)
  const twice = await mine.sendDestroy(alice.getSender())
  assert.equal(exitOf(twice.transactions, mine.address), EXIT.SBT_UNAUTHORIZED)
  const tree = await earned([[alice.address, 200n]])
  await collection.sendClaim(alice.getSender(), tree.proof(alice.address))
  assert.ok((await mine.getNftData()).owner?.equals(alice.address))
})

test('only the authority sets a root, and epochs come in their order', async () => {
  const { bob, authority, collection } = await passWorld()
  const root = Buffer.alloc(32, 9)
  for (const [who, epoch, exit] of [
    [bob, 1, EXIT.NOT_ADMIN],
    [authority, 2, EXIT.WRONG_EPOCH],
    [authority, 1, 0],
    [authority, 1, EXIT.WRONG_EPOCH],
  ] as const) {
    const { transactions } = await collection.sendSetRoot(who.getSender(), epoch, root)
    assert.equal(exitOf(transactions, collection.address), exit)
  }
  const poor = await collection.sendSetRoot(authority.getSender(), 2, root, toNano('0.01'))
  assert.equal(exitOf(poor.transactions, collection.address), EXIT.NOT_ENOUGH_GAS)
})

test('a claim that does not pay for itself is refused', async () => {
  const { alice, collection, pass, earned } = await passWorld()
  const tree = await earned([[alice.address, 450n]])
  for (const value of ['0.002', '0.01', '0.02']) {
    const { transactions } = await collection.sendClaim(alice.getSender(), tree.proof(alice.address), toNano(value))
    assert.notEqual(exitOf(transactions, collection.address), 0, value)
  }
  await collection.sendClaim(alice.getSender(), tree.proof(alice.address))
  assert.equal((await pass(alice.address).getPassData()).level, 3)
})

test('a first claim that brings more than its price gets the rest back, and so does each later one', async () => {
  const { alice, bob, collection, pass, earned } = await passWorld()
  const tree = await earned([
    [alice.address, 450n],
    [bob.address, 450n],
  ])
  const claim = async (who: typeof alice, value: string) => {
    const body = encode(schema.ClaimPass, { queryId: 9n, proof: tree.proof(who.address) })
    const { transactions } = await who.send({ to: collection.address, value: toNano(value), body })
    const [rest] = messagesBetween(transactions, pass(who.address).address, who.address)
    if (rest) assert.equal(decode(schema.Excesses, rest.body).queryId, 9n)
    assert.equal((await pass(who.address).getPassData()).level, 3)
    return rest?.info.type === 'internal' ? rest.info.value.coins : 0n
  }
  assert.equal(await claim(alice, '0.034'), 0n)
  const later = await claim(alice, '0.034')
  assert.ok(later > toNano('0.003') && later < toNano('0.01'), `${later} of a later claim`)
  const rich = await claim(bob, '1')
  assert.ok(rich > toNano('0.97') && rich < toNano('0.98'), `${rich} of a rich one`)
})

test('a proof counts by the tree that it shows, not by what its first cell says', async () => {
  const { alice, carol, collection, pass, earned } = await passWorld()
  const tree = await earned([
    [alice.address, 450n],
    [Buffer.alloc(32, 7), 5n],
  ])
  const false_ = CreditTree.from([[carol.address, 10n ** 9n]]).proof(carol.address)
  // an ordinary cell with the bits of a true proof over a false tree; a false proof within another cell; a tree of no proof
  const bits = tree.proof(alice.address).bits
  const head = beginCell().storeBits(bits)
  const forged = [
    head.storeRef(false_.refs[0] ?? data).endCell(),
    beginCell().storeRef(false_).endCell(),
    beginCell().storeBits(bits).storeRef(data).endCell(),
  ].filter((cell) => cell.level() === 0)
  assert.ok(forged.length >= 2)
  for (const proof of forged) {
    const { transactions } = await collection.sendClaim(carol.getSender(), proof)
    assert.equal(exitOf(transactions, collection.address), EXIT.WRONG_PROOF)
  }
  const empty = await collection.sendClaim(carol.getSender(), beginCell().endCell())
  assert.notEqual(exitOf(empty.transactions, collection.address), 0)
  // the whole tree shows as much as a proof
  const whole = Dictionary.empty(Dictionary.Keys.BigUint(256), Dictionary.Values.BigVarUint(4))
  for (const [key, amount] of tree.entries()) whole.set(BigInt(`0x${key.toString('hex')}`), amount)
  const shown = beginCell()
    .storeRef(dictRoot(whole) ?? data)
    .endCell()
  await collection.sendClaim(alice.getSender(), shown)
  assert.equal((await pass(alice.address).getPassData()).level, 3)
})

test('what is left of a message goes back, all but what a contract keeps for its rent; no answer can bounce', async () => {
  const { place, alice, authority, bob, collection, minted, config } = await passWorld()
  const mine = await minted()
  const gramOf = (message: ReturnType<typeof messagesBetween>[number] | undefined) => {
    assert.ok(message?.info.type === 'internal' && !message.info.bounce)
    return message.info.value.coins
  }
  const root = await authority.send({
    to: collection.address,
    value: toNano('0.1'),
    body: encode(schema.SetCreditRoot, { queryId: 4n, epoch: 2, root: 7n }),
  })
  const [left] = messagesBetween(root.transactions, collection.address, authority.address)
  const value = gramOf(left)
  assert.ok(value <= toNano('0.09') && value > toNano('0.088'))
  assert.equal(decode(schema.Excesses, left?.body ?? data).queryId, 4n)

  const body = encode(schema.GetRoyaltyParams, { queryId: 8n })
  const royalty = await bob.send({ to: collection.address, value: toNano('0.05'), body })
  const [answer] = messagesBetween(royalty.transactions, collection.address, bob.address)
  assert.ok(gramOf(answer) > toNano('0.045'))
  const said = decode(schema.ReportRoyaltyParams, answer?.body ?? data)
  assert.deepEqual([said.numerator, said.denominator], [0, 1])
  assert.ok(said.destination.equals(config.authority))

  const gate = place.chain.openContract(
    AccessGate.fromConfig({ collection: collection.address, minLevel: 1, grantSeconds: 60 }),
  )
  await gate.sendDeploy(bob.getSender())
  const proved = await mine.sendProveOwnership(alice.getSender(), {
    destination: gate.address,
    data: gate.request(1n, TEST_EPOCH + 60),
    withContent: true,
  })
  const [proof] = messagesBetween(proved.transactions, mine.address, gate.address)
  const [rest] = messagesBetween(proved.transactions, gate.address, alice.address)
  assert.ok(proof?.info.type === 'internal')
  const kept = proof.info.value.coins - gramOf(rest)
  assert.ok(kept >= toNano('0.005') && kept < toNano('0.0065'), `${kept} were kept`)
})

test('passes are for accounts of the base workchain', async () => {
  const { place, collection, earned } = await passWorld()
  const master = await place.chain.treasury('master', { workchain: -1 })
  const tree = await earned([[master.address.hash, 450n]])
  const { transactions } = await collection.sendClaim(master.getSender(), tree.proof(master.address.hash))
  assert.equal(exitOf(transactions, collection.address), EXIT.WRONG_WORKCHAIN)
})
