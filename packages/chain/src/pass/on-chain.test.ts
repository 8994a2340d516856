import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, Cell } from '@ton/core'
import { ContributorCollection, ContributorPass } from '../contracts/pass.ts'
import { CreditTree } from '../credit/tree.ts'
import { world } from '../testing/world.ts'
import { createPassLookup } from './lookup.ts'
import { passesOnChain } from './on-chain.ts'

test('the look-up sees what the real contracts do: claimed, raised, destroyed, revoked, and of another collection', async () => {
  const { chain, person } = await world()
  const [authority, alice, bob] = [await person('authority'), await person('alice'), await person('bob')]
  const collectionOf = async (name: string) => {
    const collection = { name, symbol: 'PASS', description: '', decimals: 0 }
    const config = { authority: authority.address, unit: 100n, collection, levels: new Map() }
    const opened = chain.openContract(ContributorCollection.fromConfig(config))
    await opened.sendDeploy(authority.getSender())
    return opened
  }
  const [ours, theirs] = [await collectionOf('ours'), await collectionOf('theirs')]
  const source = {
    async account(address: Address) {
      const state = (await chain.getContract(address)).account.account?.storage.state
      return state?.type === 'active'
        ? { code: state.state.code ?? null, data: state.state.data ?? null }
        : { code: null, data: null }
    },
  }
  const reader = passesOnChain(ours.address, source)
  const lookup = createPassLookup(reader, { heldTtlMs: 0, noneTtlMs: 0 })
  let epoch = 0
  const claim = async (who: typeof alice, credit: bigint, of = ours) => {
    const tree = CreditTree.from([[who.address, credit]])
    await of.sendSetRoot(authority.getSender(), ++epoch, tree.root())
    await of.sendClaim(who.getSender(), tree.proof(who.address))
  }
  const pass = (who: typeof alice) => chain.openContract(ContributorPass.of(ours.address, who.address))

  await assert.rejects(lookup.require(alice.address), { code: 'PASS_NONE' })
  await claim(alice, 100n)
  assert.equal((await lookup.require(alice.address)).level, 1)
  await claim(alice, 450n)
  const { level, epoch: shown, pass: at } = await lookup.require(alice.address, { minLevel: 3 })
  assert.deepEqual({ level, shown }, { level: 3, shown: 2 })
  assert.ok(at.equals(pass(alice).address))

  // a pass that is good, in another collection
  epoch = 0
  await claim(bob, 10_000n, theirs)
  const foreign = ContributorPass.of(theirs.address, bob.address).address
  assert.ok((await source.account(foreign)).data)
  await assert.rejects(lookup.require(bob.address), { code: 'PASS_NONE' })
  await assert.rejects(lookup.require(bob.address, { presented: foreign }), { code: 'PASS_FOREIGN' })
  // a chain that answers with the foreign pass, or with another contract
  const liar = (answer: { code: Cell | null; data: Cell | null }) =>
    createPassLookup(passesOnChain(ours.address, { account: async () => answer }))
  await assert.rejects(liar(await source.account(foreign)).require(bob.address), { code: 'PASS_FOREIGN' })
  await assert.rejects(liar(await source.account(pass(alice).address)).require(bob.address), { code: 'PASS_FOREIGN' })
  await assert.rejects(liar({ code: Cell.EMPTY, data: Cell.EMPTY }).require(bob.address), { code: 'PASS_FOREIGN' })

  await pass(alice).sendDestroy(alice.getSender())
  await assert.rejects(lookup.require(alice.address), { code: 'PASS_NONE' })
  epoch = 2
  await claim(alice, 450n)
  await lookup.require(alice.address)
  await pass(alice).sendRevoke(authority.getSender())
  await assert.rejects(lookup.require(alice.address), { code: 'PASS_REVOKED' })
  await pass(alice).sendDestroy(alice.getSender())
  await assert.rejects(lookup.require(alice.address), { code: 'PASS_REVOKED' })
})
