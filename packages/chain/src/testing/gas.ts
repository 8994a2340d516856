import { createHash } from 'node:crypto'
import { type Address, beginCell, type Transaction } from '@ton/core'
import { type JettonKind, JettonMinter, JettonWallet } from '../contracts/jetton.ts'
import { MEME_TERMS, MemeFactory } from '../contracts/meme-factory.ts'
import { ContributorCollection, ContributorPass } from '../contracts/pass.ts'
import { RewardAccount, RewardDistributor } from '../contracts/rewards.ts'
import { VoucherChannel } from '../contracts/voucher-channel.ts'
import { CreditTree } from '../credit/tree.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { AIRDROP_TERMS } from '../token/reward-account.ts'
import { signVoucher, voucherForm } from '../voucher/voucher.ts'
import { fund, signerNamed } from './pay.ts'
import { pingoWorld } from './pingo.ts'
import { gasOf, TEST_EPOCH, type World, world } from './world.ts'

/** Gas of one thing that somebody does, the sender's own account apart. */
export interface GasFigure {
  name: string
  gas: number
  /** What it may take at most, where there is a bar. */
  most?: number
}

/** Gas bars of the contracts: what the reference jettons and published figures take. */
const MOST = { plain: 12_600, sharded: 14_100, passMint: 6_000, proveOwnership: 5_000, voucher: 3_800, merkle: 6_500 }

/** Accounts in the tree that a proof is taken from: as deep as that of a network in use. */
const ACCOUNTS = 10_000

/** Accounts of a young network's tree. */
const FEW_ACCOUNTS = 1_000

/** How many mint a pass, half of them in each tree: paths to accounts differ in length by a few cells, what counts is the mean. */
const EARNERS = 16

/** What the contracts' messages take, measured on the real TVM. */
export async function figuresOfGas(): Promise<GasFigure[]> {
  return [
    ...(await jettonFigures('meme', 'plain', MOST.plain)),
    ...(await jettonFigures('pingo', 'sharded', MOST.sharded)),
    ...(await passFigures()),
    ...(await voucherFigures()),
    ...(await claimFigures()),
    ...(await launchFigures()),
  ]
}

const words = (name: string) => ({ name, symbol: 'T', description: '', decimals: 9 })
const crowd = (count: number) =>
  Array.from({ length: count }, (_, i) => [createHash('sha256').update(`${i}`).digest(), 5n] as const)

async function jettonFigures(kind: JettonKind, name: string, most: number): Promise<GasFigure[]> {
  const place = await world()
  const [alice, bob] = [await place.person('alice'), await place.person('bob')]
  const config = { kind, maxSupply: 10n ** 18n, admin: alice.address, content: encodeMetadata(words('T')) }
  const minter = place.chain.openContract(JettonMinter.fromConfig(config))
  await minter.sendGenesis(alice.getSender(), new Map([[alice.address, 10n ** 18n]]))
  const wallet = (owner: Address) => place.chain.openContract(JettonWallet.of(kind, minter.address, owner))
  const [from, to] = [wallet(alice.address), wallet(bob.address)]
  const sum = async (forwardAmount: bigint) => {
    const { transactions } = await from.sendTransfer(alice.getSender(), {
      to: bob.address,
      amount: 10n ** 17n,
      forwardAmount,
    })
    return gasOf(transactions, from.address) + gasOf(transactions, to.address)
  }
  await sum(0n)
  const burn = (await to.sendBurn(bob.getSender(), 5n)).transactions
  return [
    { name: `jetton transfer, ${name}`, gas: await sum(0n), most },
    { name: `jetton transfer with a notification, ${name}`, gas: await sum(1n), most },
    { name: `jetton burn, ${name}`, gas: gasOf(burn, to.address) + gasOf(burn, minter.address) },
  ]
}

const people = (place: World, count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => place.person(`earner ${i}`)))

async function passFigures(): Promise<GasFigure[]> {
  const place = await world()
  const authority = await place.person('authority')
  const collection = place.chain.openContract(
    ContributorCollection.fromConfig({
      authority: authority.address,
      unit: 100n,
      collection: words('passes'),
      levels: new Map(),
    }),
  )
  await collection.sendDeploy(authority.getSender())
  const earners = await people(place, EARNERS)
  const passOf = (owner: Address) => place.chain.openContract(ContributorPass.of(collection.address, owner))
  const figures: GasFigure[] = []
  for (const [index, accounts] of [FEW_ACCOUNTS, ACCOUNTS].entries()) {
    const group = earners.filter((_, i) => i % 2 === index)
    const tree = CreditTree.from([...crowd(accounts), ...group.map(({ address }) => [address, 450n] as const)])
    await collection.sendSetRoot(authority.getSender(), index + 1, tree.root())
    const mean = async () => {
      let [first, second] = [0, 0]
      for (const earner of group) {
        const { transactions } = await collection.sendClaim(earner.getSender(), tree.proof(earner.address))
        first += gasOf(transactions, collection.address)
        second += gasOf(transactions, passOf(earner.address).address)
      }
      return [Math.round(first / group.length), Math.round(second / group.length)] as const
    }
    const [[first, second], again] = [await mean(), await mean()]
    figures.push(
      { name: `pass mint among ${accounts} accounts: collection`, gas: first },
      { name: `pass mint among ${accounts} accounts: pass`, gas: second },
      { name: `pass mint among ${accounts} accounts, in sum`, gas: first + second, most: MOST.passMint },
      { name: `pass raised among ${accounts} accounts, with what is left returned`, gas: again[0] + again[1] },
    )
  }
  const [owner] = earners
  if (!owner) throw new Error('unreachable')
  const pass = passOf(owner.address)
  const proof = await pass.sendProveOwnership(owner.getSender(), {
    destination: authority.address,
    data: beginCell().endCell(),
    withContent: true,
  })
  figures.push({ name: 'prove_ownership', gas: gasOf(proof.transactions, pass.address), most: MOST.proveOwnership })
  return figures
}

/** Gas of two PINGO wallets in a payment. */
function payment(transactions: readonly Transaction[], ...wallets: readonly Address[]): number {
  return wallets.reduce((sum, wallet) => sum + gasOf(transactions, wallet), 0)
}

async function voucherFigures(): Promise<GasFigure[]> {
  const pingo = await pingoWorld()
  const [payer, payee] = [await pingo.place.person('payer'), await pingo.place.person('payee')]
  const key = signerNamed('p')
  const channel = pingo.place.chain.openContract(
    VoucherChannel.fromConfig({
      minter: pingo.minter.address,
      payer: payer.address,
      payee: payee.address,
      payerKey: key.publicKey,
      network: -3,
      expiresAt: TEST_EPOCH + 86_400,
      challengeSeconds: 3600,
      id: 1n,
    }),
  )
  await channel.sendDeploy(payer.getSender())
  await pingo.genesis([[payer.address, 10n ** 12n]])
  await fund(pingo, payer, channel.address, 10n ** 9n)
  const form = voucherForm(-3, channel.address)
  await channel.sendClaim(payee.getSender(), signVoucher(form, 100n, key))
  const { transactions } = await channel.sendClaim(payee.getSender(), signVoucher(form, 10n ** 8n, key))
  const own = gasOf(transactions, channel.address)
  const [from, to] = [pingo.wallet(channel.address).address, pingo.wallet(payee.address).address]
  return [
    { name: 'voucher claim: channel, with the order to pay', gas: own },
    {
      name: `voucher claim and its transfer (${MOST.voucher} + ${MOST.sharded})`,
      gas: own + payment(transactions, from, to),
      most: MOST.voucher + MOST.sharded,
    },
  ]
}

async function claimFigures(): Promise<GasFigure[]> {
  const pingo = await pingoWorld()
  const authority = await pingo.place.person('authority')
  const earners = await people(pingo.place, EARNERS / 2)
  const distributor = pingo.place.chain.openContract(
    RewardDistributor.fromConfig({
      ...AIRDROP_TERMS,
      minter: pingo.minter.address,
      authority: authority.address,
      arbiter: signerNamed('a').publicKey,
      treasury: authority.address,
      deadline: 0,
      funded: 10n ** 9n,
    }),
  )
  await distributor.sendDeploy(authority.getSender())
  await pingo.genesis([[distributor.address, 10n ** 9n]])
  let [first, second, paid] = [0, 0, 0]
  // the second claim counts: wallets and accounts stand
  for (const epoch of [1, 2]) {
    const grants = earners.map(({ address }) => [address, 1000n * BigInt(epoch)] as const)
    const tree = CreditTree.from([...crowd(ACCOUNTS), ...grants])
    await distributor.sendSetRoot(authority.getSender(), { epoch, root: tree.root(), promised: 100_000n })
    ;[first, second, paid] = [0, 0, 0]
    for (const { address, getSender } of earners) {
      const account = pingo.place.chain.openContract(RewardAccount.of(distributor.address, AIRDROP_TERMS, address))
      const { transactions } = await account.sendClaim(getSender(), tree.proof(address))
      first += gasOf(transactions, account.address) / earners.length
      second += gasOf(transactions, distributor.address) / earners.length
      const wallets = [pingo.wallet(distributor.address).address, pingo.wallet(address).address]
      paid += payment(transactions, ...wallets) / earners.length
    }
  }
  return [
    { name: `Merkle claim among ${ACCOUNTS} accounts: account`, gas: Math.round(first) },
    {
      name: `Merkle claim among ${ACCOUNTS} accounts: distributor, with the order to pay`,
      gas: Math.round(second),
    },
    {
      name: `Merkle claim and its transfer, in sum (${MOST.merkle} + ${MOST.sharded})`,
      gas: Math.round(first + second + paid),
      most: MOST.merkle + MOST.sharded,
    },
  ]
}

async function launchFigures(): Promise<GasFigure[]> {
  const pingo = await pingoWorld()
  const [creator, market] = [await pingo.place.person('creator'), await pingo.place.person('market')]
  const factory = pingo.place.chain.openContract(
    MemeFactory.fromConfig({
      ...MEME_TERMS,
      treasury: market.address,
      feeGram: 1n,
      feePingo: 1n,
      pingoMinter: pingo.minter.address,
    }),
  )
  await factory.sendDeploy(market.getSender())
  const launch = {
    supply: 100n,
    creatorPercent: 10,
    holders: new Map([[market.address, 90n]]),
    metadata: { ...words('Dog'), imageHash: '0'.repeat(64) },
  }
  const { transactions } = await factory.sendLaunch(creator.getSender(), launch, 1n)
  return [{ name: 'launch of a token: factory', gas: gasOf(transactions, factory.address) }]
}
