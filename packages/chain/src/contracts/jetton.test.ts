import assert from 'node:assert/strict'
import test from 'node:test'
import { type Address, toNano } from '@ton/core'
import type { SandboxContract } from '@ton/sandbox'
import { EXIT } from '../schema/index.ts'
import { exitOf, gasOf, type World, world } from '../testing/world.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { type JettonKind, JettonMinter, JettonWallet } from './jetton.ts'

const SUPPLY = 1_000_000_000n * 10n ** 9n
const content = encodeMetadata({ name: 'PinGo', symbol: 'PINGO', description: 'of idle CPUs', decimals: 9 })

async function minted(kind: JettonKind) {
  const place: World = await world()
  const deployer = await place.person('deployer')
  const alice = await place.person('alice')
  const bob = await place.person('bob')
  const minter = place.chain.openContract(
    JettonMinter.fromConfig({ kind, maxSupply: SUPPLY, admin: deployer.address, content }),
  )
  const wallet = (owner: Address): SandboxContract<JettonWallet> =>
    place.chain.openContract(JettonWallet.of(kind, minter.address, owner))
  const genesis = await minter.sendGenesis(
    deployer.getSender(),
    new Map([
      [alice.address, SUPPLY - 5n],
      [bob.address, 5n],
    ]),
  )
  return { place, deployer, alice, bob, minter, wallet, genesis }
}

for (const kind of ['pingo', 'meme'] as const) {
  test(`${kind}: genesis mints the whole supply, once, and drops the admin`, async () => {
    const { deployer, alice, bob, minter, wallet, genesis } = await minted(kind)
    assert.equal(exitOf(genesis.transactions, minter.address), 0)
    const data = await minter.getJettonData()
    assert.equal(data.supply, SUPPLY)
    assert.equal(data.mintable, false)
    assert.equal(data.admin, null)
    assert.equal((await wallet(alice.address).getWalletData()).balance, SUPPLY - 5n)
    assert.equal((await wallet(bob.address).getWalletData()).balance, 5n)
    const again = await minter.sendGenesis(deployer.getSender(), new Map([[alice.address, SUPPLY]]))
    assert.equal(exitOf(again.transactions, minter.address), EXIT.NOT_ADMIN)
  })

  test(`${kind}: the wallet's address is computed alike here, by the minter and by the chain`, async () => {
    const { bob, minter, wallet } = await minted(kind)
    const mine = wallet(bob.address).address
    assert.ok(mine.equals(await minter.getWalletAddress(bob.address)))
    if (kind === 'pingo') assert.equal(mine.hash[0], bob.address.hash[0])
  })

  test(`${kind}: a transfer moves jettons, and its gas is what the fees assume`, async (t) => {
    const { alice, bob, wallet } = await minted(kind)
    const from = wallet(alice.address)
    const to = wallet(bob.address)
    const plain = await from.sendTransfer(alice.getSender(), { to: bob.address, amount: 7n })
    const gas = gasOf(plain.transactions, from.address) + gasOf(plain.transactions, to.address)
    const loud = await from.sendTransfer(alice.getSender(), {
      to: bob.address,
      amount: 7n,
      forwardAmount: toNano('0.01'),
    })
    t.diagnostic(
      `plain ${gas}; with a notification ${gasOf(loud.transactions, from.address)} + ${gasOf(loud.transactions, to.address)}`,
    )
    assert.equal((await to.getWalletData()).balance, 19n)
    const burn = await to.sendBurn(bob.getSender(), 4n)
    t.diagnostic(`burn ${gasOf(burn.transactions, to.address)}`)
  })
}
