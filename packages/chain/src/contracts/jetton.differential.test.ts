import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import test from 'node:test'
import {
  Address,
  beginCell,
  Cell,
  contractAddress,
  type Message,
  type Transaction,
  TupleBuilder,
  toNano,
} from '@ton/core'
import { Blockchain, type SandboxContract, type TreasuryContract } from '@ton/sandbox'
import { JettonMinter as SdkMinter, JettonWallet as SdkWallet } from '@ton-community/assets-sdk'
import { TychoExecutor } from '@tychosdk/emulator'
import * as schema from '../schema/index.ts'
import { EXIT, encode, forwardPayload, opOf, STANDARD } from '../schema/index.ts'
import { exitOf, TEST_EPOCH } from '../testing/world.ts'
import { encodeMetadata } from '../token/metadata.ts'
import { type JettonKind, JettonMinter, jettonTransfer } from './jetton.ts'

// The same messages to PinGo's jetton and to the bytecode of jettons that have been in use for years, from npm: whoever has learned to
// deal with those sees the same here. And PinGo's jetton on two TVMs that were written apart: TON's and Tycho's.

const SUPPLY = 1_000_000n
const content = encodeMetadata({ name: 'T', symbol: 'T', description: '', decimals: 9 })

/** A jetton to send messages to; alice has all of it but 5 units, which bob has. */
interface Subject {
  chain: Blockchain
  people: Record<'alice' | 'bob' | 'carol', SandboxContract<TreasuryContract>>
  minter: Address
  walletOf(owner: Address): Promise<Address>
}

async function people(chain: Blockchain): Promise<Subject['people']> {
  chain.now = TEST_EPOCH
  const [alice, bob, carol] = [
    await chain.treasury('alice'),
    await chain.treasury('bob'),
    await chain.treasury('carol'),
  ]
  return { alice, bob, carol }
}

async function ours(kind: JettonKind, chain?: Blockchain): Promise<Subject> {
  const place = chain ?? (await Blockchain.create())
  const who = await people(place)
  const deployer = await place.treasury('deployer')
  const minter = place.openContract(
    JettonMinter.fromConfig({ kind, maxSupply: SUPPLY, admin: deployer.address, content }),
  )
  const holders = new Map([
    [who.alice.address, SUPPLY - 5n],
    [who.bob.address, 5n],
  ])
  await minter.sendGenesis(deployer.getSender(), holders)
  return { chain: place, people: who, minter: minter.address, walletOf: (owner) => minter.getWalletAddress(owner) }
}

/** A jetton of the older standard code: storage (supply, admin, content, wallet code), op 21 mints. */
async function reference(minterCode: Cell, walletCode: Cell): Promise<Subject> {
  const chain = await Blockchain.create()
  const who = await people(chain)
  const deployer = await chain.treasury('deployer')
  const data = beginCell().storeCoins(0).storeAddress(deployer.address).storeRef(content).storeRef(walletCode).endCell()
  const init = { code: minterCode, data }
  const minter = contractAddress(0, init)
  const holders = [
    [who.alice, SUPPLY - 5n],
    [who.bob, 5n],
  ] as const
  for (const [owner, amount] of holders) {
    const credit = encode(schema.InternalTransfer, {
      queryId: 0n,
      amount,
      from: null,
      responseAddress: null,
      forwardAmount: 0n,
      forwardPayload: forwardPayload(null),
    })
    const body = beginCell()
      .storeUint(21, 32)
      .storeUint(0, 64)
      .storeAddress(owner.address)
      .storeCoins(toNano('0.1'))
      .storeRef(credit)
      .endCell()
    await deployer.send({ to: minter, value: toNano('0.3'), init, body })
  }
  const walletOf = async (owner: Address) => {
    const args = new TupleBuilder()
    args.writeAddress(owner)
    return (await chain.runGetMethod(minter, 'get_wallet_address', args.build())).stackReader.readAddress()
  }
  return { chain, people: who, minter, walletOf }
}

async function references(): Promise<[string, Subject][]> {
  const require = createRequire(import.meta.url)
  const hexOf = (file: string) => {
    const found = /B5EE9C72[0-9A-F]+/.exec(readSource(require.resolve('tonweb/package.json'), file))
    return Cell.fromBoc(Buffer.from(found?.[0] ?? '', 'hex'))[0] as Cell
  }
  return [
    ['@ton-community/assets-sdk', await reference(SdkMinter.code, SdkWallet.code)],
    ['tonweb', await reference(hexOf('JettonMinter.js'), hexOf('JettonWallet.js'))],
  ]
}

function readSource(packageJson: string, file: string): string {
  return readFileSync(join(dirname(packageJson), 'src', 'contract', 'token', 'ft', file), 'utf8')
}

type Name = keyof Subject['people']
interface Step {
  what: string
  from: Name
  /** A person's wallet, or the minter. */
  to: Name | 'minter'
  value?: string
  body(subject: Subject): Cell
  /** The message is a bounced one that seems to come from this wallet or the minter. */
  bounced?: Name | 'minter'
}

const person = (subject: Subject, name: Name) => subject.people[name].address
const payload = beginCell().storeUint(0xabcdef, 24).endCell()

function transfer(from: Name, to: Name, amount: bigint, more: Partial<Parameters<typeof jettonTransfer>[0]> = {}) {
  return (subject: Subject) =>
    jettonTransfer({ queryId: 9n, to: person(subject, to), amount, respondTo: person(subject, from), ...more })
}

const burn = (from: Name, amount: bigint) => (subject: Subject) =>
  encode(schema.JettonBurn, {
    queryId: 3n,
    amount,
    responseDestination: person(subject, from),
    customPayload: null,
  })

const credit = (from: Name, amount: bigint) => (subject: Subject) =>
  encode(schema.InternalTransfer, {
    queryId: 3n,
    amount,
    from: person(subject, from),
    responseAddress: person(subject, from),
    forwardAmount: 0n,
    forwardPayload: forwardPayload(null),
  })

const ask = (includeAddress: boolean, owner?: Address) => (subject: Subject) =>
  encode(schema.ProvideWalletAddress, { queryId: 8n, owner: owner ?? person(subject, 'bob'), includeAddress })

const bouncedBody = (op: number, amount: bigint) => () =>
  beginCell().storeUint(0xffffffff, 32).storeUint(op, 32).storeUint(4, 64).storeCoins(amount).endCell()

const STEPS: readonly Step[] = [
  { what: 'a transfer', from: 'alice', to: 'alice', body: transfer('alice', 'bob', 7n) },
  { what: 'a transfer to who has no wallet yet', from: 'alice', to: 'alice', body: transfer('alice', 'carol', 11n) },
  {
    what: 'with a notification and a payload by reference',
    from: 'alice',
    to: 'alice',
    value: '0.2',
    body: transfer('alice', 'bob', 7n, { forwardAmount: toNano('0.01'), payload }),
  },
  {
    what: 'with a notification and no payload',
    from: 'bob',
    to: 'bob',
    value: '0.2',
    body: transfer('bob', 'alice', 2n, { forwardAmount: 1n }),
  },
  {
    what: 'with a notification and a long payload in place',
    from: 'alice',
    to: 'alice',
    value: '0.2',
    body: (subject) =>
      encode(schema.JettonTransfer, {
        queryId: 1n,
        amount: 3n,
        destination: person(subject, 'bob'),
        responseDestination: person(subject, 'alice'),
        customPayload: null,
        forwardAmount: toNano('0.01'),
        forwardPayload: beginCell()
          .storeBit(0)
          .storeBuffer(Buffer.alloc(36, 7))
          .storeRef(payload)
          .endCell()
          .beginParse(),
      }),
  },
  {
    what: 'with nobody to respond to',
    from: 'alice',
    to: 'alice',
    value: '0.2',
    body: transfer('alice', 'bob', 1n, { respondTo: null, forwardAmount: 5n }),
  },
  {
    what: 'with a response to somebody else',
    from: 'alice',
    to: 'alice',
    body: (subject) => transfer('carol', 'bob', 1n)(subject),
  },
  { what: 'of nothing', from: 'alice', to: 'alice', body: transfer('alice', 'bob', 0n) },
  { what: 'to oneself', from: 'alice', to: 'alice', body: transfer('alice', 'alice', 4n) },
  { what: 'of all', from: 'carol', to: 'carol', body: transfer('carol', 'bob', 11n) },
  { what: 'of more than there is', from: 'bob', to: 'bob', body: transfer('bob', 'alice', 10_000n) },
  { what: 'by another', from: 'bob', to: 'alice', body: transfer('bob', 'bob', 1n) },
  {
    what: 'to another workchain',
    from: 'alice',
    to: 'alice',
    body: (subject) =>
      jettonTransfer({ to: new Address(-1, Buffer.alloc(32, 1)), amount: 1n, respondTo: person(subject, 'alice') }),
  },
  { what: 'with too little GRAM', from: 'alice', to: 'alice', value: '0.01', body: transfer('alice', 'bob', 1n) },
  {
    what: 'with too little GRAM to forward',
    from: 'alice',
    to: 'alice',
    value: '0.1',
    body: transfer('alice', 'bob', 1n, { forwardAmount: toNano('0.1') }),
  },
  {
    what: 'with a payload by reference that is not there',
    from: 'alice',
    to: 'alice',
    body: (subject) => cut(transfer('alice', 'bob', 0n)(subject), 1),
  },
  { what: 'cut off', from: 'alice', to: 'alice', body: (subject) => cut(transfer('alice', 'bob', 1n)(subject), 300) },
  { what: 'a burn', from: 'alice', to: 'alice', body: burn('alice', 6n) },
  { what: 'a burn of more than there is', from: 'bob', to: 'bob', body: burn('bob', 10_000n) },
  { what: 'a burn by another', from: 'bob', to: 'alice', body: burn('bob', 1n) },
  { what: 'a burn with too little GRAM', from: 'alice', to: 'alice', value: '0.002', body: burn('alice', 1n) },
  { what: 'a credit that no wallet gave', from: 'carol', to: 'carol', body: credit('alice', 100n) },
  { what: 'a credit by an owner itself', from: 'alice', to: 'bob', body: credit('alice', 100n) },
  {
    what: 'a burn that no wallet tells of',
    from: 'carol',
    to: 'minter',
    body: (subject) =>
      encode(schema.BurnNotification, {
        queryId: 0n,
        amount: 1n,
        sender: person(subject, 'carol'),
        responseDestination: null,
      }),
  },
  {
    what: 'an unknown word to a wallet',
    from: 'alice',
    to: 'alice',
    body: () => beginCell().storeUint(77, 96).endCell(),
  },
  {
    what: 'an unknown word to the minter',
    from: 'alice',
    to: 'minter',
    body: () => beginCell().storeUint(77, 96).endCell(),
  },
  { what: 'which wallet', from: 'carol', to: 'minter', body: ask(false) },
  { what: 'which wallet, and whose', from: 'carol', to: 'minter', body: ask(true) },
  {
    what: 'which wallet in another workchain',
    from: 'carol',
    to: 'minter',
    body: ask(true, new Address(-1, Buffer.alloc(32, 5))),
  },
  {
    what: 'a credit that came back',
    from: 'bob',
    to: 'alice',
    bounced: 'bob',
    body: bouncedBody(STANDARD.internalTransfer, 8n),
  },
  {
    what: 'a burn that came back',
    from: 'bob',
    to: 'alice',
    bounced: 'minter',
    body: bouncedBody(STANDARD.burnNotification, 9n),
  },
]

/** A body without its last bits. */
function cut(body: Cell, bits: number): Cell {
  const slice = body.beginParse()
  return beginCell()
    .storeBits(slice.loadBits(slice.remainingBits - bits))
    .storeBits(bits === 1 ? beginCell().storeBit(1).endCell().bits : beginCell().endCell().bits)
    .endCell()
}

async function run(subject: Subject, step: Step): Promise<{ at: Address; transactions: Transaction[] }> {
  const at = step.to === 'minter' ? subject.minter : await subject.walletOf(person(subject, step.to))
  const body = step.body(subject)
  const value = toNano(step.value ?? '0.1')
  if (step.bounced !== undefined) {
    const from = step.bounced === 'minter' ? subject.minter : await subject.walletOf(person(subject, step.bounced))
    const { transactions } = await subject.chain.sendMessage(bouncedMessage(from, at, value, body))
    return { at, transactions }
  }
  const { transactions } = await subject.people[step.from].send({ to: at, value, body })
  return { at, transactions }
}

function bouncedMessage(src: Address, dest: Address, coins: bigint, body: Cell): Message {
  return {
    info: {
      type: 'internal',
      ihrDisabled: true,
      bounce: false,
      bounced: true,
      src,
      dest,
      value: { coins },
      ihrFee: 0n,
      forwardFee: 0n,
      createdLt: 0n,
      createdAt: 0,
    },
    body,
  }
}

/** Codes of the older jettons, and ours for the same. */
const SAME_EXIT: Record<number, number> = {
  705: EXIT.NOT_OWNER,
  706: EXIT.NOT_ENOUGH_BALANCE,
  707: EXIT.NOT_JETTON_WALLET,
  709: EXIT.NOT_ENOUGH_GAS,
}

/** What anyone can see of a step: how it ended, the bodies of all messages by who sent them to whom, balances, supply. */
async function seen(subject: Subject, step: Step) {
  const { at, transactions } = await run(subject, step)
  const roles = new Map<string, string>([[subject.minter.toRawString(), 'minter']])
  for (const name of ['alice', 'bob', 'carol'] as const) {
    roles.set(person(subject, name).toRawString(), name)
    roles.set((await subject.walletOf(person(subject, name))).toRawString(), `${name}'s wallet`)
  }
  const messages: string[] = []
  for (const transaction of transactions) {
    for (const { info, body } of transaction.outMessages.values()) {
      if (info.type !== 'internal' || info.bounced) continue
      const from = roles.get(info.src.toRawString())
      const to = roles.get(info.dest.toRawString())
      if (from === step.from) continue
      // a wallet's address differs with its code: answers that hold one are compared by their op-code
      const op = opOf(body)
      const text =
        op === STANDARD.takeWalletAddress ? `take_wallet_address ${body.refs.length}` : body.hash().toString('hex')
      messages.push(`${from} → ${to}: ${text}`)
    }
  }
  const code = exitOf(transactions, at)
  const balances = await Promise.all(
    (['alice', 'bob', 'carol'] as const).map(async (name) => {
      const wallet = await subject.walletOf(person(subject, name))
      const account = (await subject.chain.getContract(wallet)).accountState
      if (account?.type !== 'active') return 0n
      return (await subject.chain.runGetMethod(wallet, 'get_wallet_data')).stackReader.readBigNumber()
    }),
  )
  const supply = (await subject.chain.runGetMethod(subject.minter, 'get_jetton_data')).stackReader.readBigNumber()
  return { exit: SAME_EXIT[code] ?? code, messages: messages.sort(), balances, supply }
}

/** Where both refuse, but the older code has no name, or another's name, for the reason. */
const OTHER_REASON = new Set(['cut off', 'a burn with too little GRAM'])

/** What the older code lets pass and PinGo's refuses: a payload that says it is in a cell, and there is none. Nothing is moved by it. */
const STRICTER = new Set(['with a payload by reference that is not there'])

for (const kind of ['meme', 'pingo'] as const) {
  test(`${kind}: whatever is sent, jettons of older code and PinGo's are seen to do the same`, async () => {
    for (const [name, older] of await references()) {
      const mine = await ours(kind)
      for (const step of STEPS) {
        // tonweb's minter is older than TEP-89
        if (name === 'tonweb' && step.what.startsWith('which wallet')) continue
        const [expected, actual] = [await seen(older, step), await seen(mine, step)]
        if (STRICTER.has(step.what)) {
          assert.notEqual(actual.exit, 0, step.what)
          continue
        }
        if (OTHER_REASON.has(step.what)) {
          assert.ok(expected.exit !== 0 && actual.exit !== 0, `${name}, ${step.what}`)
          actual.exit = expected.exit
        }
        assert.deepEqual(actual, expected, `${name}: ${step.what}`)
      }
    }
  })
}

test('on a TVM that was written apart from TON’s, every message takes the same gas and leaves the same data', async () => {
  // its network has no addresses with a fixed prefix: the plain jetton, then
  const executor = await TychoExecutor.create()
  const [ton, tycho] = [
    await ours('meme'),
    await ours('meme', await Blockchain.create({ config: TychoExecutor.defaultConfig, executor })),
  ]
  for (const step of STEPS) {
    const [a, b] = [await run(ton, step), await run(tycho, step)]
    assert.deepEqual(told(tycho, b.transactions), told(ton, a.transactions), step.what)
    for (const name of ['alice', 'bob', 'carol'] as const) {
      const wallet = await ton.walletOf(person(ton, name))
      assert.equal(await dataOf(tycho, wallet), await dataOf(ton, wallet), `${step.what}: ${name}`)
    }
    assert.equal(await dataOf(tycho, tycho.minter), await dataOf(ton, ton.minter), step.what)
  }
})

/** Gas and exit codes of minter and wallets; those of the people's own accounts depend on prices, which differ. */
function told(subject: Subject, transactions: readonly Transaction[]) {
  const persons = Object.values(subject.people).map(({ address }) => BigInt(`0x${address.hash.toString('hex')}`))
  return transactions
    .filter(({ address }) => !persons.includes(address))
    .map(({ description }) => {
      if (description.type !== 'generic' || description.computePhase.type !== 'vm') return 'not run'
      return [description.computePhase.gasUsed, description.computePhase.exitCode, description.actionPhase?.resultCode]
    })
}

async function dataOf(subject: Subject, address: Address): Promise<string> {
  const state = (await subject.chain.getContract(address)).accountState
  return state?.type === 'active' ? (state.state.data?.hash().toString('hex') ?? 'none') : 'no account'
}
