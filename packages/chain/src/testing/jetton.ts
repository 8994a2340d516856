import type { Address } from '@ton/core'
import { type JettonKind, JettonMinter, JettonWallet } from '../contracts/jetton.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { constantsOf } from './fees.ts'
import { world } from './world.ts'

export const SUPPLY = 2n ** 62n

const content = encodeMetadata({ name: 'T', symbol: 'T', description: '', decimals: 9 })

/** A jetton whose whole supply is `alice`'s. */
export async function jettonWorld(kind: JettonKind) {
  const place = await world()
  const [deployer, alice, bob] = [
    await place.person('deployer'),
    await place.person('alice'),
    await place.person('bob'),
  ]
  const minter = place.chain.openContract(
    JettonMinter.fromConfig({ kind, maxSupply: SUPPLY, admin: deployer.address, content }),
  )
  const genesis = await minter.sendGenesis(deployer.getSender(), new Map([[alice.address, SUPPLY]]))
  const wallet = (owner: Address) => place.chain.openContract(JettonWallet.of(kind, minter.address, owner))
  const gram = async (of: Address) => (await place.chain.getContract(of)).balance
  return { place, deployer, alice, bob, minter, wallet, gram, genesis }
}

/** The figures that a profile's fees rest on, by name. */
export const profileOf = (kind: JettonKind) =>
  constantsOf(`profiles/${kind === 'pingo' ? 'sharded' : 'plain'}/sharding.tolk`)
