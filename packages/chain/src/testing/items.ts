import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Address, beginCell, Cell, contractAddress, toNano } from '@ton/core'
import { Blockchain, type SandboxContract, type TreasuryContract } from '@ton/sandbox'
import { NftCollection, SbtCollection } from '@ton-community/assets-sdk'
import { codeOf } from '../compile/artifacts.ts'
import { ContributorCollection, ContributorPass, passIndexOf } from '../contracts/pass.ts'
import { CreditTree } from '../credit/tree.ts'
import * as schema from '../schema/index.ts'
import { encode } from '../schema/index.ts'
import { TEST_EPOCH } from './world.ts'

// PinGo's pass, and items of code that has been in use for years, each with its collection and an owner: for comparing them.

export const NAMES = ['owner', 'authority', 'stranger', 'service'] as const
export type Name = (typeof NAMES)[number]

/** An item that its owner has, and its collection. */
export interface Subject {
  chain: Blockchain
  people: Record<Name, SandboxContract<TreasuryContract>>
  collection: Address
  item: Address
  /** What the item is born with. */
  born: { code: Cell; data: Cell }
  index: bigint
  soulBound: boolean
  /** What get methods said, by the hash of the data. */
  said: Map<string, Record<string, string[]>>
  mint(): Promise<unknown>
}

/** Where there is no contract: what is sent there comes back. */
export const NOWHERE = new Address(0, Buffer.alloc(32, 0xee))
export const note = beginCell().storeUint(0xda7a, 16).endCell()

async function place(): Promise<Pick<Subject, 'chain' | 'people'>> {
  const chain = await Blockchain.create()
  chain.now = TEST_EPOCH
  const made = await Promise.all(NAMES.map(async (name) => [name, await chain.treasury(name)] as const))
  return { chain, people: Object.fromEntries(made) as Subject['people'] }
}

/** PinGo's collection, and the pass that `owner` has earned. */
export async function ours(): Promise<Subject> {
  const { chain, people } = await place()
  const { owner, authority } = people
  const terms = { name: 'T', symbol: 'T', description: '', decimals: 0 }
  const collection = chain.openContract(
    ContributorCollection.fromConfig({
      authority: authority.address,
      unit: 100n,
      collection: terms,
      levels: new Map([[3, terms]]),
    }),
  )
  await collection.sendDeploy(authority.getSender())
  const tree = CreditTree.from([[owner.address, 450n]])
  await collection.sendSetRoot(authority.getSender(), 1, tree.root())
  const index = passIndexOf(owner.address)
  return {
    chain,
    people,
    collection: collection.address,
    item: ContributorPass.of(collection.address, owner.address).address,
    born: {
      code: codeOf('contributor-pass'),
      data: encode(schema.PassBirth, { index, collection: collection.address }),
    },
    index,
    soulBound: true,
    said: new Map(),
    mint: () => collection.sendClaim(owner.getSender(), tree.proof(owner.address), toNano('0.1')),
  }
}

/** The number of an older item: no other figure that is told is the same. */
const FIFTH = 5n

/** Older collections: storage (owner, next index, content, item's code, royalty); op 1 mints what a cell says. */
async function older(collectionCode: Cell, itemCode: Cell, kind: 'soul-bound' | 'plain'): Promise<Subject> {
  const { chain, people } = await place()
  const { owner, authority } = people
  const content = beginCell().storeRef(note).storeRef(beginCell().endCell()).endCell()
  const royalty = beginCell().storeUint(0, 16).storeUint(1, 16).storeAddress(authority.address).endCell()
  const data = beginCell()
    .storeAddress(authority.address)
    .storeUint(FIFTH, 64)
    .storeRef(content)
    .storeRef(itemCode)
    .storeRef(royalty)
    .endCell()
  const init = { code: collectionCode, data }
  const collection = contractAddress(0, init)
  await authority.send({ to: collection, value: toNano('1'), init, body: beginCell().endCell() })
  const index = FIFTH
  const born = { code: itemCode, data: beginCell().storeUint(index, 64).storeAddress(collection).endCell() }
  const words = beginCell().storeAddress(owner.address).storeRef(note)
  if (kind === 'soul-bound') words.storeAddress(authority.address)
  const order = beginCell().storeUint(1, 32).storeUint(0, 64).storeUint(index, 64).storeCoins(toNano('0.05'))
  const body = order.storeRef(words.endCell()).endCell()
  return {
    chain,
    people,
    collection,
    item: contractAddress(0, born),
    born,
    index,
    soulBound: kind === 'soul-bound',
    said: new Map(),
    mint: () => authority.send({ to: collection, value: toNano('0.1'), body }),
  }
}

/** Of @ton-community/assets-sdk. */
export function sdk(kind: 'soul-bound' | 'plain'): Promise<Subject> {
  const at = { admin: NOWHERE, content: note }
  const { init } = kind === 'plain' ? NftCollection.createFromConfig(at) : SbtCollection.createFromConfig(at)
  const itemCode = init?.data?.refs[1]
  if (!init?.code || !itemCode) throw new Error('the package has no code')
  return older(init.code, itemCode, kind)
}

/** A plain item of tonweb. */
export function tonweb(): Promise<Subject> {
  const folder = dirname(createRequire(import.meta.url).resolve('tonweb/package.json'))
  const code = (file: string) => {
    const text = readFileSync(join(folder, 'src', 'contract', 'token', 'nft', file), 'utf8')
    return Cell.fromHex(/B5EE9C72[0-9A-F]+/.exec(text)?.[0] ?? '')
  }
  return older(code('NftCollection.js'), code('NftItem.js'), 'plain')
}
