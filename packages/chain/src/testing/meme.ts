import { type Address, type Cell, Dictionary, type Transaction, toNano } from '@ton/core'
import { MEME_TERMS, MemeFactory, type MemeFactoryConfig, type MemeLaunch } from '../contracts/meme-factory.ts'
import * as schema from '../schema/index.ts'
import { decode, dictRoot, encode } from '../schema/index.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { pingoWorld } from './pingo.ts'
import { transactionsOf } from './world.ts'

export const SUPPLY = 1_000_003n
export const FEE_GRAM = toNano('2')
export const FEE_PINGO = 500n
export const metadata = {
  name: 'Dog',
  symbol: 'DOG',
  description: 'a dog',
  decimals: 9,
  imageHash: 'ab'.repeat(32),
}

/** A factory with fees, and `words` of a launch by `creator`, who has PINGO. */
export async function factoryWorld(o: Partial<MemeFactoryConfig> = {}) {
  const pingo = await pingoWorld()
  const [creator, market, friend, treasury] = await Promise.all(
    ['creator', 'market', 'friend', 'treasury'].map((name) => pingo.place.person(name)),
  )
  if (!creator || !market || !friend || !treasury) throw new Error('unreachable')
  const factory = pingo.place.chain.openContract(
    MemeFactory.fromConfig({
      ...MEME_TERMS,
      treasury: treasury.address,
      feeGram: FEE_GRAM,
      feePingo: FEE_PINGO,
      pingoMinter: pingo.minter.address,
      ...o,
    }),
  )
  await factory.sendDeploy(friend.getSender())
  await pingo.genesis([[creator.address, 10_000n]])
  const words: MemeLaunch = {
    supply: SUPPLY,
    creatorPercent: 10,
    holders: new Map([
      [market.address, 900_000n],
      [friend.address, 3n],
    ]),
    metadata,
    queryId: 7n,
  }
  const gram = async (address: Address) => (await pingo.place.chain.getContract(address)).balance
  return { pingo, creator, market, friend, treasury, factory, words, gram }
}

/** What the factory logged in these transactions. */
export function launchesOf(transactions: readonly Transaction[], factory: Address) {
  return transactionsOf(transactions, factory).flatMap(({ outMessages }) =>
    outMessages
      .values()
      .filter(({ info }) => info.type === 'external-out')
      .map(({ body }) => decode(schema.MemeLaunched, body)),
  )
}

/** A launch as whoever does not use the wrapper may send it. */
export function rawLaunch(words: MemeLaunch, change: Partial<schema.Of<typeof schema.LaunchMeme>> = {}): Cell {
  const holders = Dictionary.empty(Dictionary.Keys.BigUint(256), Dictionary.Values.BigVarUint(4))
  for (const [holder, amount] of words.holders) holders.set(BigInt(`0x${holder.hash.toString('hex')}`), amount)
  return encode(schema.LaunchMeme, {
    queryId: 7n,
    supply: words.supply,
    creatorPercent: words.creatorPercent,
    holders: dictRoot(holders),
    content: encodeMetadata(words.metadata),
    ...change,
  })
}
