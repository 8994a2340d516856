import assert from 'node:assert/strict'
import test from 'node:test'
import { Address, beginCell, Cell, type Message, type TupleItem, toNano } from '@ton/core'
import { createShardAccount, internal } from '@ton/sandbox'
import * as schema from '../schema/index.ts'
import { decode, EXIT, encode, opOf, STANDARD } from '../schema/index.ts'
import { NAMES, type Name, NOWHERE, note, ours, type Subject, sdk, tonweb } from '../testing/items.ts'
import { exitOf, TEST_EPOCH, transactionsOf } from '../testing/world.ts'

// The same messages to PinGo's pass and to the bytecode of soul-bound items, plain items and their collections that have been in use for
// years, from npm: whoever has learned to deal with those sees the same here. What differs is said in docs/contracts/contributor-pass.md.

// ---------------------------------------------------------------- what is sent

const STATES = ['not minted', 'owned', 'revoked', 'destroyed', 'revoked and destroyed'] as const
type State = (typeof STATES)[number]

const destroy = encode(schema.DestroyPass, { queryId: 4n })
const revoke = encode(schema.RevokePass, { queryId: 5n })
const statics = encode(schema.GetStaticData, { queryId: 6n })

/** Brings an item into a state; time goes on by 100 s. */
async function bring(subject: Subject, state: State): Promise<void> {
  const { chain, people, item, born } = subject
  if (state === 'not minted')
    await chain.setShardAccount(item, createShardAccount({ address: item, ...born, balance: toNano('0.05') }))
  else await subject.mint()
  if (state.startsWith('revoked')) await people.authority.send({ to: item, value: toNano('0.05'), body: revoke })
  if (state.endsWith('destroyed')) await people.owner.send({ to: item, value: toNano('0.05'), body: destroy })
  chain.now = TEST_EPOCH + 100
}

interface Step {
  what: string
  from: Name
  body(subject: Subject): Cell
  value?: bigint
  /** It comes back to the item from the service. */
  bounced?: boolean
  /** Also of items that are not soul-bound. */
  plain?: boolean
}

type Ask = { to?: Name | 'nowhere'; withContent?: boolean }
const asked = (message: typeof schema.ProveOwnership | typeof schema.RequestOwner, o: Ask) => (subject: Subject) =>
  encode(message, {
    queryId: 7n,
    destination: o.to === 'nowhere' ? NOWHERE : subject.people[o.to ?? 'service'].address,
    forwardPayload: note,
    withContent: o.withContent ?? false,
  })
const prove = (o: Ask = {}) => asked(schema.ProveOwnership, o)
const request = (o: Ask = {}) => asked(schema.RequestOwner, o)

const transfer = ({ people }: Subject) =>
  beginCell()
    .storeUint(STANDARD.nftTransfer, 32)
    .storeUint(1, 64)
    .storeAddress(people.stranger.address)
    .storeAddress(people.owner.address)
    .storeBit(0)
    .storeCoins(1)
    .storeBit(0)
    .endCell()

const cut = (body: Cell, bits: number) =>
  beginCell()
    .storeBits(body.beginParse().loadBits(body.bits.length - bits))
    .endCell()
const came = (op: number) => () => beginCell().storeUint(0xffffffff, 32).storeUint(op, 32).storeUint(7, 64).endCell()
const each = (what: string, names: readonly Name[], step: Omit<Step, 'what' | 'from'>): Step[] =>
  names.map((from) => ({ what: `${what}, by ${from}`, from, ...step }))

/** Values with which an item can't do its work. */
const POOR = [1n, 100_000n, 600_000n]

const STEPS: readonly Step[] = [
  ...each('transfer', ['owner', 'authority', 'stranger'], { body: transfer }),
  ...each('get_static_data', ['owner', 'stranger'], { body: () => statics, plain: true }),
  ...each('prove_ownership', ['owner', 'authority', 'stranger'], { body: prove() }),
  ...each('prove_ownership with content', ['owner', 'stranger'], { body: prove({ withContent: true }) }),
  ...each('prove_ownership to oneself', ['owner'], { body: prove({ to: 'owner' }) }),
  ...each('prove_ownership to who refuses', ['owner'], { body: prove({ to: 'nowhere' }) }),
  ...each('request_owner', ['owner', 'authority', 'stranger'], { body: request() }),
  ...each('request_owner with content', ['owner', 'stranger'], { body: request({ withContent: true }) }),
  ...each('request_owner to who refuses', ['stranger'], { body: request({ to: 'nowhere' }) }),
  ...each('destroy', ['owner', 'authority', 'stranger'], { body: () => destroy }),
  ...each('revoke', ['owner', 'authority', 'stranger'], { body: () => revoke }),
  ...each('take_excess', ['owner', 'stranger'], {
    body: () => encode(schema.TakeExcess, { queryId: 8n }),
    value: toNano('0.2'),
  }),
  ...each('an unknown word', ['owner', 'authority', 'stranger'], {
    body: () => beginCell().storeUint(77, 96).endCell(),
  }),
  ...each('nothing', ['owner', 'stranger'], { body: () => beginCell().endCell() }),
  ...each('a comment', ['owner', 'stranger'], {
    body: () => beginCell().storeUint(0, 32).storeStringTail('hello').endCell(),
  }),
  ...each('half a prove_ownership', ['owner'], { body: (subject) => cut(prove()(subject), 1) }),
  ...each('half a request_owner', ['stranger'], { body: (subject) => cut(request()(subject), 200) }),
  ...each('half a get_static_data', ['stranger'], { body: () => cut(statics, 8) }),
  ...each('half a destroy', ['owner'], { body: () => cut(destroy, 8) }),
  ...each('half a revoke', ['authority'], { body: () => cut(revoke, 8) }),
  ...POOR.flatMap((value) => [
    ...each(`prove_ownership for ${value}`, ['owner'], { body: prove(), value }),
    ...each(`request_owner for ${value}`, ['stranger'], { body: request(), value }),
    ...each(`destroy for ${value}`, ['owner'], { body: () => destroy, value }),
    ...each(`revoke for ${value}`, ['authority'], { body: () => revoke, value }),
    ...each(`get_static_data for ${value}`, ['stranger'], { body: () => statics, value, plain: true }),
  ]),
  ...each('a proof that comes back', ['service'], { body: came(STANDARD.ownershipProof), bounced: true }),
  ...each('a word on the owner that comes back', ['service'], { body: came(STANDARD.ownerInfo), bounced: true }),
]

// ---------------------------------------------------------------- what is seen

const WORDS = [
  schema.ReportStaticData,
  schema.OwnershipProof,
  schema.OwnershipProofBounced,
  schema.OwnerInfo,
  schema.Excesses,
  schema.ReportRoyaltyParams,
]

function roleOf(subject: Subject, address: Address | null | undefined): string {
  if (!address) return 'nobody'
  if (address.equals(subject.item)) return 'item'
  if (address.equals(subject.collection)) return 'collection'
  return NAMES.find((name) => subject.people[name].address.equals(address)) ?? address.toRawString()
}

/** A message's fields, with addresses as roles. An item's content and index are its own: that they are there is what counts. */
function told(subject: Subject, body: Cell): string {
  const word = WORDS.find(({ op }) => op === opOf(body))
  if (!word) return body.hash().toString('hex')
  const fields = Object.entries(decode(word, body) as Record<string, unknown>).map(([name, value]) => {
    if (value instanceof Address || value === null) return `${name}=${value ? roleOf(subject, value) : 'none'}`
    if (value instanceof Cell) return `${name}=${name === 'content' ? 'cell' : value.hash().toString('hex')}`
    return `${name}=${name === 'index' && value === subject.index ? 'its own' : value}`
  })
  return `${word.name} ${fields.join(' ')}`
}

function stackOf(subject: Subject, stack: readonly TupleItem[]): string[] {
  return stack.map((item) => {
    if (item.type === 'int') return item.value === subject.index ? 'index' : `${item.value}`
    if (item.type === 'slice') return roleOf(subject, item.cell.beginParse().loadMaybeAddress())
    return item.type
  })
}

/** What the item's get methods say; asked once for each data, since that is all that they read. */
async function getters(subject: Subject): Promise<Record<string, string[]>> {
  const { accountState } = await subject.chain.getContract(subject.item)
  if (accountState?.type !== 'active') return {}
  const data = accountState.state.data?.hash().toString('hex') ?? ''
  const known = subject.said.get(data)
  if (known) return known
  const names = subject.soulBound ? ['get_nft_data', 'get_authority_address', 'get_revoked_time'] : ['get_nft_data']
  const said: Record<string, string[]> = {}
  for (const name of names) said[name] = stackOf(subject, (await subject.chain.runGetMethod(subject.item, name)).stack)
  subject.said.set(data, said)
  return said
}

/** Codes for too little GRAM: what runs out first depends on the code. */
const NO_GRAM = [-1, -14, 37]

/** Runs a step, and leaves the chain as it was. */
async function seen(subject: Subject, step: Step, to = subject.item) {
  const { chain, people } = subject
  const start = chain.snapshot()
  const body = step.body(subject)
  const value = step.value ?? toNano('0.1')
  const from = people[step.from].address
  const { bounced = false } = step
  const { transactions } = await chain.sendMessage(internal({ from, to, value, body, bounce: !bounced, bounced }))
  const exit = exitOf(transactions, to)
  const sent = transactionsOf(transactions, to)
    .flatMap(({ outMessages }) => outMessages.values())
    .filter(({ info }) => info.type === 'internal' && !info.bounced)
  const after = await getters(subject)
  await chain.loadFrom(start)
  return {
    exit: NO_GRAM.includes(exit) ? 'too little GRAM' : exit,
    messages: sent.map((message) => describe(subject, message)),
    gram: sent.map(({ info }) => (info.type === 'internal' ? info.value.coins : 0n)),
    after,
  }
}
type Seen = Awaited<ReturnType<typeof seen>>

function describe(subject: Subject, { info, body }: Message): string {
  if (info.type !== 'internal') return info.type
  return `to ${roleOf(subject, info.dest)}${info.bounce ? ', bounceable' : ''}: ${told(subject, body)}`
}

/** Less comes back than from older code by so much at most. */
const GAS_MORE = toNano('0.001')

function assertSame(mine: Seen, expected: Seen, what: string, withGram = true): void {
  assert.deepEqual({ ...mine, gram: 0 }, { ...expected, gram: 0 }, what)
  if (!withGram) return
  for (const [i, gram] of mine.gram.entries()) assert.ok(gram > (expected.gram[i] as bigint) - GAS_MORE, what)
}

// ---------------------------------------------------------------- what differs, and is meant to

/** A body that is cut off or a comment: which check refuses it first is each code's own. */
const MALFORMED = /^(half|a comment)/
/** The older code keeps no rent on a destroyed item, and 0.05 GRAM where the owner takes the rest: ours keeps 0.02 always. */
const RENT = /^(destroy|take_excess)/

test('whatever is sent in whatever state, a soul-bound item of older code and a pass are seen to do the same', async () => {
  const [item, pass] = [await sdk('soul-bound'), await ours()]
  const starts = [item.chain.snapshot(), pass.chain.snapshot()] as const
  for (const state of STATES.slice(1)) {
    await Promise.all([item, pass].map((subject) => bring(subject, state)))
    assert.deepEqual(await getters(pass), await getters(item), state)
    for (const step of STEPS) {
      const what = `${state}: ${step.what}`
      const [expected, mine] = [await seen(item, step), await seen(pass, step)]
      if (step.what.startsWith('nothing')) {
        // the older code keeps GRAM that comes without a word; ours sends it back
        assert.deepEqual([expected.exit, mine.exit, mine.messages], [0, EXIT.UNKNOWN_OP, []], what)
        continue
      }
      if (state === 'owned' && step.what.startsWith('half a revoke')) {
        // ours has no use for the number of a revocation, and does not read it
        assert.deepEqual([expected.exit, mine.exit], [9, 0], what)
        continue
      }
      if (state.endsWith('destroyed') && step.what.startsWith('a proof that comes back')) {
        // the older code can't tell any more who the owner was
        assert.deepEqual([expected.exit, expected.messages, mine.exit, mine.messages.length], [34, [], 0, 1], what)
        continue
      }
      if (MALFORMED.test(step.what)) {
        assert.ok(expected.exit !== 0 && mine.exit !== 0, what)
        mine.exit = expected.exit
      }
      assertSame(mine, expected, what, !RENT.test(step.what))
    }
    await item.chain.loadFrom(starts[0])
    await pass.chain.loadFrom(starts[1])
  }
})

test('an item of older code that was not minted refuses everything; a pass says what it is, and that it is nobody’s', async () => {
  const [item, pass] = [await sdk('soul-bound'), await ours()]
  await Promise.all([item, pass].map((subject) => bring(subject, 'not minted')))
  const said = await getters(pass)
  assert.deepEqual((await getters(item)).get_nft_data, ['0', 'index', 'collection', 'null', 'null'])
  assert.deepEqual(said, {
    get_nft_data: ['0', 'index', 'collection', 'nobody', 'null'],
    get_authority_address: ['nobody'],
    get_revoked_time: ['0'],
  })
  const answers: Record<string, string> = {
    get_static_data: 'ReportStaticData',
    request_owner: 'OwnerInfo',
    'a proof that comes back': 'OwnershipProofBounced',
  }
  for (const step of STEPS) {
    const [expected, mine] = [await seen(item, step), await seen(pass, step)]
    assert.ok([405, 'too little GRAM'].includes(expected.exit) || step.what.startsWith('nothing'), step.what)
    assert.deepEqual(expected.messages, [], step.what)
    assert.deepEqual(mine.after, said, step.what)
    const [, answer] = Object.entries(answers).find(([word]) => step.what.startsWith(word)) ?? []
    assert.equal(mine.messages.length, answer && step.value === undefined ? 1 : 0, step.what)
    if (!mine.messages[0]) continue
    assert.match(mine.messages[0], new RegExp(`: ${answer} `), step.what)
    if (answer === 'OwnerInfo') assert.match(mine.messages[0], / owner=none /, step.what)
  }
})

for (const [name, subject] of [
  ['@ton-community/assets-sdk', () => sdk('plain')],
  ['tonweb', tonweb],
] as const) {
  test(`an item of ${name} and a pass say the same on what they are`, async () => {
    const [item, pass] = [await subject(), await ours()]
    await Promise.all([item, pass].map((each) => bring(each, 'owned')))
    for (const step of STEPS.filter(({ plain }) => plain)) {
      const [expected, mine] = [await seen(item, step), await seen(pass, step)]
      assertSame({ ...mine, after: { get_nft_data: mine.after.get_nft_data ?? [] } }, expected, step.what)
    }
  })
}

const royalty = encode(schema.GetRoyaltyParams, { queryId: 9n })
const OF_COLLECTION: readonly Step[] = [
  ...each('get_royalty_params', ['owner', 'authority', 'stranger'], { body: () => royalty }),
  ...POOR.flatMap((value) => each(`get_royalty_params for ${value}`, ['stranger'], { body: () => royalty, value })),
  ...each('half a get_royalty_params', ['stranger'], { body: () => cut(royalty, 8) }),
  ...each('an unknown word', ['authority', 'stranger'], { body: () => beginCell().storeUint(77, 96).endCell() }),
]

for (const [name, subject] of [
  ['@ton-community/assets-sdk', () => sdk('soul-bound')],
  ['tonweb', tonweb],
] as const) {
  test(`a collection of ${name} and that of passes say the same`, async () => {
    const [other, mine] = [await subject(), await ours()]
    for (const step of OF_COLLECTION) {
      const [expected, actual] = await Promise.all([other, mine].map((each) => seen(each, step, each.collection)))
      assert.ok(expected && actual)
      if (MALFORMED.test(step.what) || step.what === 'an unknown word, by stranger') {
        // the older code asks who it is before it asks what
        assert.ok(expected.exit !== 0 && actual.exit !== 0, step.what)
        actual.exit = expected.exit
      }
      assertSame({ ...actual, after: {} }, { ...expected, after: {} }, step.what)
    }
    const ask = async (subject: Subject, method: string, args: TupleItem[] = []) =>
      stackOf(subject, (await subject.chain.runGetMethod(subject.collection, method, args)).stack)
    for (const each of [other, mine]) {
      assert.deepEqual(await ask(each, 'royalty_params'), ['0', '1', 'authority'])
      // passes are not numbered, which TEP-62 has −1 for
      assert.deepEqual((await ask(each, 'get_collection_data')).slice(1), ['cell', 'authority'])
      assert.deepEqual(await ask(each, 'get_nft_address_by_index', [{ type: 'int', value: each.index }]), ['item'])
      await bring(each, 'owned')
      const { stack } = await each.chain.runGetMethod(each.item, 'get_nft_data')
      const { stackReader } = await each.chain.runGetMethod(each.collection, 'get_nft_content', [
        { type: 'int', value: each.index },
        stack.at(-1) as TupleItem,
      ])
      // TEP-64: content begins with how it is kept; passes keep theirs on the chain
      assert.equal(stackReader.readCell().beginParse().loadUint(8), each === mine ? 0 : 1)
    }
  })
}
