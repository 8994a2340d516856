import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { Address, beginCell, comment, internal, SendMode, type TupleItem, toNano } from '@ton/core'
import { TonClient } from '@ton/ton'
import { JettonMinter, JettonWallet } from '../../contracts/jetton.ts'
import { ContributorCollection } from '../../contracts/pass.ts'
import { signerOf } from '../../keys/ed25519.ts'
import { encodeMetadata } from '../../token/metadata.ts'
import { SUPPLY } from '../../token/split.ts'
import { walletOn } from '../../wallet/send.ts'
import { w5Of } from '../../wallet/w5.ts'
import { LocalChain } from '../emulator/chain.ts'
import { localEndpoint } from '../emulator/endpoint.ts'
import { type ChainServer, serveChain } from '../emulator/server.ts'
import { LOCAL } from '../networks.ts'
import { open } from '../open.ts'
import { remoteEndpoint } from './endpoint.ts'
import { readStack, writeStack } from './stack.ts'

const closing: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closing.reverse()) await close()
})

const signer = signerOf(Buffer.alloc(32, 7))
const someone = new Address(0, Buffer.alloc(32, 0xab))
const fast = { pollMs: 20 }

async function served(): Promise<{ chain: LocalChain; server: ChainServer }> {
  const chain = await LocalChain.open({ clock: () => 1_767_225_600_000 })
  const server = await serveChain(chain)
  closing.push(
    () => chain.close(),
    () => server.close(),
  )
  await chain.fund(w5Of(signer.publicKey, LOCAL).address, toNano('10'))
  return { chain, server }
}

/** A server of bad character in front of a good one. */
async function bad(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

test('contracts work over HTTP as in the process, to the end of what a message sets off', async () => {
  const { chain, server } = await served()
  const endpoint = remoteEndpoint(LOCAL, [{ url: server.url }], fast)
  const sender = walletOn(endpoint, signer)
  const content = encodeMetadata({ name: 'PinGo', symbol: 'PINGO', description: '', decimals: 9 })
  const minter = open(
    endpoint,
    JettonMinter.fromConfig({ kind: 'pingo', maxSupply: SUPPLY, admin: sender.address, content }),
  )
  await minter.sendGenesis(sender, new Map([[sender.address, SUPPLY]]))
  await open(endpoint, JettonWallet.of('pingo', minter.address, sender.address)).sendTransfer(sender, {
    to: someone,
    amount: 77n,
  })
  assert.equal((await open(endpoint, JettonWallet.of('pingo', minter.address, someone)).getWalletData()).balance, 77n)
  assert.deepEqual((await minter.getJettonData()).supply, SUPPLY)
  const here = localEndpoint(chain)
  const [far, near] = [await endpoint.account(minter.address), await here.account(minter.address)]
  assert.ok(near.data && far.data?.equals(near.data) && near.code && far.code?.equals(near.code))
  assert.deepEqual([far.balance, far.status, far.last], [near.balance, near.status, near.last])
  assert.equal(await endpoint.now(), chain.now())
  assert.ok((await endpoint.config()).equals(chain.config()))
  const all = await endpoint.transactions(sender.address, { limit: 100 })
  const [first, second] = all
  assert.ok(first && second)
  const older = await endpoint.transactions(sender.address, {
    limit: 100,
    before: { lt: first.lt, hash: first.hash() },
  })
  assert.deepEqual(
    older.map(({ lt }) => lt),
    all.slice(1).map(({ lt }) => lt),
  )
  const collection = ContributorCollection.fromConfig({
    authority: someone,
    unit: 1n,
    collection: { name: 'P', symbol: 'P', description: '', decimals: 0 },
    levels: new Map(),
  })
  await open(endpoint, collection).sendDeploy(sender)
  assert.equal((await open(endpoint, collection).getCollectionData()).nextItemIndex, -1n)
  await assert.rejects(endpoint.runGetMethod(minter.address, 'no_such_method'), { code: 'CHAIN_GET_METHOD' })
  await assert.rejects(endpoint.send(beginCell().endCell().toBoc()), { code: 'CHAIN_MESSAGE' })
})

test('@ton/ton’s own client works with the local chain', async () => {
  const { server } = await served()
  const client = new TonClient({ endpoint: server.url })
  const wallet = client.open(w5Of(signer.publicKey, LOCAL))
  assert.equal(await wallet.getBalance(), toNano('10'))
  const transfer = await wallet.createTransfer({
    seqno: 0,
    authType: 'external',
    timeout: 1_767_225_660,
    sendMode: SendMode.PAY_GAS_SEPARATELY,
    messages: [internal({ to: someone, value: toNano('1'), bounce: false, body: comment('hello') })],
    signer: async (message) => signer.sign(message.hash()),
  })
  await wallet.send(transfer)
  assert.equal(await wallet.getSeqno(), 1)
  const [transaction] = await client.getTransactions(someone, { limit: 10 })
  assert.equal(transaction?.inMessage?.info.type, 'internal')
  assert.equal((await client.getContractState(wallet.address)).state, 'active')
  assert.ok((await client.getMasterchainInfo()).latestSeqno > 0)
})

test('a server that fails is left for one that works; when none works the error names them', async () => {
  const { server } = await served()
  let asked = 0
  const broken = await bad((_, response) => {
    asked++
    response.writeHead(500).end('<html>')
  })
  const endpoint = remoteEndpoint(LOCAL, [{ url: broken }, { url: server.url }], fast)
  assert.ok((await endpoint.config()).refs.length > 0)
  assert.ok(asked > 0)
  const silent = await bad(() => {})
  const none = remoteEndpoint(LOCAL, [{ url: silent }], { requestMs: 50 })
  await assert.rejects(none.config(), { code: 'CHAIN_UNREACHABLE', message: /127\.0\.0\.1:\d+ did not answer/ })
  const endless = await bad((_, response) => {
    response.writeHead(200)
    const chunk = Buffer.alloc(1 << 20, 0x20)
    const more = () => {
      if (!response.destroyed) response.write(chunk, more)
    }
    more()
  })
  await assert.rejects(remoteEndpoint(LOCAL, [{ url: endless }]).config(), { code: 'CHAIN_UNREACHABLE' })
})

test('a server that lies about an account is found out when there are two, and out-voted when there are three', async () => {
  const { chain, server } = await served()
  const liar = await bad(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const answer = await fetch(server.url, {
      method: 'POST',
      body: Buffer.concat(parts),
      headers: { 'content-type': 'application/json' },
    })
    const body = (await answer.json()) as { result: { balance?: string } }
    if (body.result.balance) body.result.balance = '999999999999'
    response.end(JSON.stringify(body))
  })
  const { address } = w5Of(signer.publicKey, LOCAL)
  await assert.rejects(remoteEndpoint(LOCAL, [{ url: liar }, { url: server.url }]).account(address), {
    code: 'CHAIN_DISAGREE',
  })
  const three = remoteEndpoint(LOCAL, [{ url: liar }, { url: server.url }, { url: server.url }])
  assert.equal((await three.account(address)).balance, (await localEndpoint(chain).account(address)).balance)
})

test('stacks survive the way to a server and back', () => {
  const cell = beginCell().storeUint(5, 9).endCell()
  const items: TupleItem[] = [
    { type: 'int', value: -(2n ** 255n) },
    { type: 'int', value: 0n },
    { type: 'cell', cell },
    { type: 'slice', cell },
  ]
  const back = readStack(
    writeStack(items).map((item) => {
      const [type, value] = item as [string, string]
      return type === 'num' ? item : [type.slice(4).toLowerCase(), { bytes: value }]
    }),
  )
  assert.deepEqual(
    back.map(({ type }) => type),
    items.map(({ type }) => type),
  )
  for (const junk of [
    [['num', 'x']],
    [['cell', { bytes: '!' }]],
    [['what', 1]],
    [null],
    [['tuple', { elements: [{ '@type': 'x' }] }]],
  ]) {
    assert.throws(() => readStack(junk), { code: 'CHAIN_ANSWER' })
  }
})

test('the server keeps out what is no request of a program on this machine', async () => {
  const { server } = await served()
  const post = (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
    fetch(server.url, { method: 'POST', body, headers })
  const status = async (sent: Promise<Response>) => (await sent).status
  assert.equal(await status(post('{')), 422)
  assert.equal(await status(post('{"method":"constructor","params":{}}')), 422)
  assert.equal(await status(post('{"method":"getAddressInformation","params":{"address":"nobody"}}')), 422)
  assert.equal(await status(post('{"method":"pingo.status","params":{}}', { 'content-type': 'text/plain' })), 422)
  assert.equal(await status(post(JSON.stringify({ method: 'x', params: 'y'.repeat(200_000) }))), 422)
  assert.equal(await status(fetch(server.url)), 422)
  assert.equal(await status(post('{"method":"pingo.status","params":{}}')), 200)
})
