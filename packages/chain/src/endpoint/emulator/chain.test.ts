import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Address, toNano } from '@ton/core'
import { JettonMinter, JettonWallet } from '../../contracts/jetton.ts'
import { signerOf } from '../../keys/ed25519.ts'
import { encodeMetadata } from '../../token/metadata.ts'
import { SUPPLY } from '../../token/split.ts'
import { walletOn } from '../../wallet/send.ts'
import { signTransfer, w5Of } from '../../wallet/w5.ts'
import { LOCAL } from '../networks.ts'
import { open } from '../open.ts'
import { LocalChain } from './chain.ts'
import { gasFee, pricesOf } from './config.ts'
import { localEndpoint } from './endpoint.ts'

const folder = mkdtempSync(join(tmpdir(), 'pingo-chain-'))
after(() => rmSync(folder, { recursive: true }))

const BEGIN = 1_767_225_600_000
const clock = () => BEGIN
const someone = new Address(0, Buffer.alloc(32, 0xab))
const signer = signerOf(Buffer.alloc(32, 7))
const wallet = w5Of(signer.publicKey, LOCAL)

/** Funds a wallet, sends twice, lets time pass, and is refused once: the same on every chain. */
async function story(chain: LocalChain): Promise<string> {
  await chain.fund(wallet.address, toNano('10'))
  for (const seqno of [0, 1]) {
    const message = await signTransfer(signer, LOCAL, {
      transfers: [{ to: someone, value: toNano('1'), bounce: false }],
      seqno,
      validUntil: chain.now() + 60,
    })
    const hash = await chain.send(message.toBoc())
    await localEndpoint(chain).waitFor(hash)
    chain.advance(1000)
  }
  return chain.head().state.toString('hex')
}

test('a chain executes, survives its end, and goes on where it was', async () => {
  const file = join(folder, 'restart.sqlite')
  const first = await LocalChain.open({ file, clock })
  const state = await story(first)
  const before = first.head()
  await first.close()
  const again = await LocalChain.open({ file, clock })
  assert.deepEqual(again.head(), before)
  assert.equal(again.head().state.toString('hex'), state)
  assert.equal(again.now(), BEGIN / 1000 + 2000)
  const { balance, status } = await localEndpoint(again).account(someone)
  assert.equal(status, 'uninit')
  assert.ok(balance > toNano('1.99') && balance <= toNano('2'))
  const [newest] = await localEndpoint(again).transactions(someone, { limit: 1 })
  assert.equal(newest?.inMessage?.info.type, 'internal')
  await again.close()
})

test('the same messages at the same times give the same state on another chain', async () => {
  const states = new Set<string>()
  for (let i = 0; i < 3; i++) {
    const chain = await LocalChain.open({ clock })
    states.add(await story(chain))
    await chain.close()
  }
  assert.equal(states.size, 1)
})

test('what an account does not accept is refused and changes nothing', async () => {
  const chain = await LocalChain.open({ clock })
  await chain.fund(wallet.address, toNano('10'))
  const transfer = { transfers: [{ to: someone, value: 1n }], validUntil: chain.now() + 60 }
  const used = await signTransfer(signer, LOCAL, { ...transfer, seqno: 0 })
  await chain.send(used.toBoc())
  const before = chain.head()
  await assert.rejects(chain.send(used.toBoc()), { code: 'CHAIN_REFUSED' }, 'the same message again')
  const forged = await signTransfer(signerOf(Buffer.alloc(32, 8)), LOCAL, { ...transfer, seqno: 1 })
  await assert.rejects(chain.send(forged.toBoc()), { code: 'CHAIN_REFUSED' }, 'to an account that is not there')
  const late = await signTransfer(signer, LOCAL, { ...transfer, seqno: 1, validUntil: chain.now() - 1 })
  await assert.rejects(chain.send(late.toBoc()), { code: 'CHAIN_REFUSED' })
  await assert.rejects(chain.send(Buffer.from('hello')), { code: 'CHAIN_MESSAGE' })
  await assert.rejects(chain.send(Buffer.alloc(70_000)), { code: 'CHAIN_MESSAGE' })
  assert.equal(chain.head().state.toString('hex'), before.state.toString('hex'))
  await chain.close()
  await assert.rejects(chain.send(used.toBoc()), { code: 'CHAIN_CLOSED' })
})

test('wrappers work on it as on any chain: PINGO is minted and moved by a wallet', async () => {
  const chain = await LocalChain.open({ clock })
  const endpoint = localEndpoint(chain)
  await chain.fund(wallet.address, toNano('10'))
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
  const theirs = open(endpoint, JettonWallet.of('pingo', minter.address, someone))
  assert.equal((await theirs.getWalletData()).balance, 77n)
  assert.equal((await minter.getJettonData()).mintable, false)
  await assert.rejects(endpoint.runGetMethod(minter.address, 'no_such_method'), { code: 'CHAIN_GET_METHOD' })
  await assert.rejects(endpoint.runGetMethod(someone, 'get_jetton_data'), { code: 'CHAIN_GET_METHOD' })
  await chain.close()
})

test('fees follow the configuration that the chain began with', async () => {
  const full = await LocalChain.open({ clock })
  const cheap = await LocalChain.open({ clock, fees: { numerator: 1n, denominator: 6n } })
  const [a, b] = [pricesOf(full.config()), pricesOf(cheap.config())]
  assert.equal(gasFee(a, 100_000n), 40_000_000n)
  assert.ok(Math.abs(Number(gasFee(a, 100_000n)) / Number(gasFee(b, 100_000n)) - 6) < 0.01)
  const fee = async (chain: LocalChain) => {
    await story(chain)
    return toNano('8') - (await localEndpoint(chain).account(wallet.address)).balance
  }
  const ratio = Number(await fee(full)) / Number(await fee(cheap))
  assert.ok(ratio > 3 && ratio < 6.1, `${ratio}`)
  await full.close()
  await cheap.close()
})

test('a message that no machine can execute is lost, and the chain goes on', async () => {
  const chain = await LocalChain.open({ clock })
  await chain.fund(wallet.address, toNano('10'))
  for (const [seqno, to] of [
    new Address(-1, Buffer.alloc(32, 1)),
    new Address(5, Buffer.alloc(32, 1)),
    someone,
  ].entries()) {
    const message = await signTransfer(signer, LOCAL, {
      transfers: [{ to, value: toNano('1'), bounce: false }],
      seqno,
      validUntil: chain.now() + 60,
    })
    await localEndpoint(chain).waitFor(await chain.send(message.toBoc()))
  }
  assert.equal((await localEndpoint(chain).account(someone)).balance > 0n, true)
  await chain.close()
})

test('another network’s file is refused', async () => {
  const file = join(folder, 'other.sqlite')
  await (await LocalChain.open({ file, clock, globalId: 77 })).close()
  await assert.rejects(LocalChain.open({ file, clock }), { code: 'CHAIN_NETWORK', message: /77/ })
})

test('only a bounded history is kept, accounts for ever', async () => {
  const chain = await LocalChain.open({ clock, history: 50 })
  for (let i = 0; i < 600; i++) await chain.fund(someone, 1_000_000n)
  assert.ok(chain.transactions(someone, 1000).length < 50 + 300)
  assert.ok((await localEndpoint(chain).account(someone)).balance > 500_000_000n)
  await chain.close()
})
