import assert from 'node:assert/strict'
import test from 'node:test'
import { type Address, beginCell, contractAddress, Dictionary, toNano } from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import { CreditTree } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { dictRoot, EXIT, encode } from '../schema/index.ts'
import { passWorld } from '../testing/pass.ts'
import { exitOf, gasOf, messagesBetween, TEST_EPOCH } from '../testing/world.ts'
import { AccessGate, ContributorCollection, ContributorPass, passIndexOf } from './pass.ts'

test('a gate lets in who proves a pass of its collection, level and moment, and nobody by any other way', async (t) => {
  const { place, alice, bob, carol, authority, minted, config } = await passWorld()
  const mine = await minted()
  const gateOf = (minLevel: number) =>
    place.chain.openContract(
      AccessGate.fromConfig({ collection: mine.address && collectionOf(), minLevel, grantSeconds: 3600 }),
    )
  const collectionOf = () => ContributorCollection.fromConfig(config).address
  const gate = gateOf(2)
  await gate.sendDeploy(bob.getSender())
  const prove = (nonce: bigint, validUntil: number, withContent = true, to = gate) =>
    mine.sendProveOwnership(alice.getSender(), {
      destination: to.address,
      data: to.request(nonce, validUntil),
      withContent,
    })
  const soon = TEST_EPOCH + 60
  const good = await prove(5n, soon)
  t.diagnostic(`gas of the gate ${gasOf(good.transactions, gate.address)}`)
  assert.equal(exitOf(good.transactions, gate.address), 0)
  assert.deepEqual(await gate.getGrant(alice.address), { until: TEST_EPOCH + 3600, nonce: 5n })
  assert.equal(messagesBetween(good.transactions, gate.address, alice.address).length, 1)

  const exit = async (sent: Promise<{ transactions: Parameters<typeof exitOf>[0] }>) =>
    exitOf((await sent).transactions, gate.address)
  assert.equal(await exit(prove(5n, soon)), EXIT.STALE, 'a nonce that was used')
  assert.equal(await exit(prove(6n, TEST_EPOCH)), EXIT.STALE, 'too late')
  assert.equal(await exit(prove(6n, soon, false)), EXIT.LEVEL_TOO_LOW, 'the level is not shown')
  const other = gateOf(9)
  const misled = mine.sendProveOwnership(alice.getSender(), {
    destination: gate.address,
    data: other.request(6n, soon),
    withContent: true,
  })
  assert.equal(await exit(misled), EXIT.STALE, 'a proof for another gate')
  const high = await other.sendDeploy(bob.getSender()).then(() => prove(6n, soon, true, other))
  assert.equal(exitOf(high.transactions, other.address), EXIT.LEVEL_TOO_LOW)

  const forged = (owner: Address) =>
    bob.send({
      to: gate.address,
      value: toNano('0.1'),
      body: encode(schema.OwnershipProof, {
        queryId: 0n,
        index: passIndexOf(owner),
        owner,
        data: gate.request(7n, soon),
        revokedAt: 0n,
        content: encode(schema.PassContent, { level: 9, epoch: 1 }),
      }),
    })
  assert.equal(await exit(forged(alice.address)), EXIT.NOT_A_PASS, 'a message that only looks like a pass’s')
  assert.equal(await exit(forged(carol.address)), EXIT.NOT_A_PASS)

  const foreign = place.chain.openContract(ContributorCollection.fromConfig({ ...config, authority: bob.address }))
  await foreign.sendDeploy(bob.getSender())
  const tree = CreditTree.from([[bob.address, 9999n]])
  await foreign.sendSetRoot(bob.getSender(), 1, tree.root())
  await foreign.sendClaim(bob.getSender(), tree.proof(bob.address))
  const foreignPass = place.chain.openContract(ContributorPass.of(foreign.address, bob.address))
  assert.equal((await foreignPass.getPassData()).level, 7)
  const intruder = foreignPass.sendProveOwnership(bob.getSender(), {
    destination: gate.address,
    data: gate.request(1n, soon),
    withContent: true,
  })
  assert.equal(await exit(intruder), EXIT.NOT_A_PASS, 'a pass of somebody else’s collection')

  await mine.sendRevoke(authority.getSender())
  assert.equal(await exit(prove(8n, soon)), EXIT.REVOKED)
  place.now = TEST_EPOCH + 3600
  assert.equal((await gate.getGrant(alice.address)).until, 0)
})

test('a gate remembers a thousand grants; those that have ended make room, four at a time', async () => {
  const { place, alice, minted, config } = await passWorld()
  const mine = await minted()
  const collection = ContributorCollection.fromConfig(config).address
  const full = (grants: number, ended: number) => {
    const table = Dictionary.empty(Dictionary.Keys.BigUint(256), Dictionary.Values.Buffer(12))
    for (let i = 0; i < grants; i++) {
      const until = i < ended ? TEST_EPOCH : TEST_EPOCH + 1
      const key = (passIndexOf(alice.address) + 1n + BigInt(i)) % 2n ** 256n
      table.set(key, beginCell().storeUint(0, 64).storeUint(until, 32).endCell().beginParse().loadBuffer(12))
    }
    const init = {
      code: codeOf('access-gate'),
      data: encode(schema.AccessGateStorage, {
        collection,
        passCode: codeOf('contributor-pass'),
        // the pass has just this level
        minLevel: 3,
        grantSeconds: 3600,
        grants: dictRoot(table),
        grantsCount: grants,
      }),
    }
    return new AccessGate(contractAddress(0, init), init)
  }
  for (const [grants, ended, code, left] of [
    [0, 0, 0, 1],
    [999, 0, 0, 1000],
    [1000, 0, EXIT.GATE_FULL, 1000],
    [1000, 1, 0, 1000],
    [1000, 6, 0, 997],
    [3, 3, 0, 1],
  ] as const) {
    const gate = place.chain.openContract(full(grants, ended))
    await gate.sendDeploy(alice.getSender())
    const { transactions } = await mine.sendProveOwnership(alice.getSender(), {
      destination: gate.address,
      data: gate.request(1n, TEST_EPOCH + 60),
      withContent: true,
    })
    assert.equal(exitOf(transactions, gate.address), code, `${grants} grants, ${ended} of them ended`)
    assert.equal((await gate.getGateData()).grants, left, `${grants} grants, ${ended} of them ended`)
  }
})
