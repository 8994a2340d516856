import type { Address } from '@ton/core'
import type { SandboxContract } from '@ton/sandbox'
import { JettonMinter, JettonWallet } from '../contracts/jetton.ts'
import { decode, JettonWalletStorage } from '../schema/index.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { SUPPLY } from '../token/split.ts'
import { type World, world } from './world.ts'

/** A chain on which PINGO's minter is known, and can be minted to whom a test wants. */
export interface PingoWorld {
  place: World
  minter: SandboxContract<JettonMinter>
  /** Mints the whole supply: what `holders` leave goes to the deployer. */
  genesis(holders: readonly (readonly [Address, bigint])[]): Promise<void>
  wallet(owner: Address): SandboxContract<JettonWallet>
  balance(owner: Address): Promise<bigint>
}

export async function pingoWorld(now?: number): Promise<PingoWorld> {
  const place = await world(now)
  const deployer = await place.person('deployer')
  const content = encodeMetadata({ name: 'PinGo', symbol: 'PINGO', description: 'of idle CPUs', decimals: 9 })
  const minter = place.chain.openContract(
    JettonMinter.fromConfig({ kind: 'pingo', maxSupply: SUPPLY, admin: deployer.address, content }),
  )
  const wallet = (owner: Address) => place.chain.openContract(JettonWallet.of('pingo', minter.address, owner))
  return {
    place,
    minter,
    wallet,
    async genesis(holders) {
      const given = holders.reduce((sum, [, amount]) => sum + amount, 0n)
      const all = new Map(holders.map(([owner, amount]) => [owner, amount]))
      if (given < SUPPLY) all.set(deployer.address, SUPPLY - given)
      await minter.sendGenesis(deployer.getSender(), all)
    },
    // from the account's data: a get method costs a hundred times as much, and sequences ask after every message
    async balance(owner) {
      const { accountState: state } = await place.chain.getContract(wallet(owner).address)
      return state?.type === 'active' && state.state.data ? decode(JettonWalletStorage, state.state.data).balance : 0n
    },
  }
}
