import type { Address } from '@ton/core'
import { ContributorCollection, ContributorPass } from '../contracts/pass.ts'
import { CreditTree } from '../credit/tree.ts'
import type { TokenMetadata } from '../token/metadata.ts'
import { world } from './world.ts'

/** Credit of level 1. */
export const UNIT = 100n

const words = (name: string): TokenMetadata => ({ name, symbol: 'PASS', description: 'earned', decimals: 0 })

/** A collection with an authority and three people; `earned` sets the next epoch's tree, `minted` gives alice a pass. */
export async function passWorld() {
  const place = await world()
  const [authority, alice, bob, carol] = await Promise.all(
    ['authority', 'alice', 'bob', 'carol'].map((name) => place.person(name)),
  )
  if (!authority || !alice || !bob || !carol) throw new Error('unreachable')
  const config = {
    authority: authority.address,
    unit: UNIT,
    collection: words('PinGo passes'),
    levels: new Map([[3, words('PinGo pass, level 3')]]),
  }
  const collection = place.chain.openContract(ContributorCollection.fromConfig(config))
  await collection.sendDeploy(authority.getSender())
  const pass = (owner: Address) => place.chain.openContract(ContributorPass.of(collection.address, owner))
  let epoch = 0
  const earned = async (entries: readonly (readonly [Address | Buffer, bigint])[]) => {
    const tree = CreditTree.from(entries)
    await collection.sendSetRoot(authority.getSender(), ++epoch, tree.root())
    return tree
  }
  const minted = async (credit = 450n) => {
    const tree = await earned([
      [alice.address, credit],
      [bob.address, UNIT - 1n],
    ])
    await collection.sendClaim(alice.getSender(), tree.proof(alice.address))
    return pass(alice.address)
  }
  return { place, authority, alice, bob, carol, collection, pass, earned, minted, config }
}
