import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { beginCell, type Cell, type StateInit, storeStateInit } from '@ton/core'
import { WalletContractV5R1 } from '@ton/ton'
import type { TonProofRequest } from '../ton-proof/index.ts'

/**
 * A wallet as TON Connect sees it, for tests. It shares nothing with the code that checks its proofs: the formula of the proof is written
 * here a second time, from the specification, with other libraries.
 */
export interface ConnectWallet {
  seed: Uint8Array
  publicKey: Buffer
  state: StateInit
  workchain: number
  network: number
}

/** A W5 by a seed of equal bytes. */
export function connectWallet(seedByte = 7, network = -239): ConnectWallet {
  const seed = new Uint8Array(32).fill(seedByte)
  const publicKey = Buffer.from(ed25519.getPublicKey(seed))
  const walletId = { networkGlobalId: network, context: { walletVersion: 'v5r1', workchain: 0, subwalletNumber: 0 } }
  const { init } = WalletContractV5R1.create({ publicKey, walletId: walletId as never })
  return { seed, publicKey, state: init, workchain: 0, network }
}

/** What the wallet tells of its account. */
export function accountOf(wallet: ConnectWallet): TonProofRequest['account'] {
  const state = stateCell(wallet.state)
  return {
    address: `${wallet.workchain}:${state.hash().toString('hex')}`,
    chain: String(wallet.network),
    walletStateInit: state.toBoc().toString('base64'),
    publicKey: wallet.publicKey.toString('hex'),
  }
}

/** The whole answer of an honest wallet. @param timestamp - seconds since 1970 */
export function proofOf(
  wallet: ConnectWallet,
  o: { domain: string; timestamp: number; payload: string; signsFor?: number },
): TonProofRequest {
  const domain = new TextEncoder().encode(o.domain)
  const payload = new TextEncoder().encode(o.payload)
  const hash = stateCell(wallet.state).hash()
  const message = new Uint8Array(18 + 4 + 32 + 4 + domain.length + 8 + payload.length)
  const view = new DataView(message.buffer)
  message.set(new TextEncoder().encode('ton-proof-item-v2/'))
  view.setInt32(18, wallet.workchain, false)
  message.set(hash, 22)
  view.setUint32(54, domain.length, true)
  message.set(domain, 58)
  view.setUint32(58 + domain.length, o.timestamp % 2 ** 32, true)
  view.setUint32(62 + domain.length, Math.floor(o.timestamp / 2 ** 32), true)
  message.set(payload, 66 + domain.length)
  const outer = new Uint8Array(2 + 11 + 32)
  outer.set([0xff, 0xff])
  outer.set(new TextEncoder().encode('ton-connect'), 2)
  outer.set(sha256(message), 13)
  const signature = ed25519.sign(concat(domainPrefix(o.signsFor ?? wallet.network), sha256(outer)), wallet.seed)
  return {
    account: accountOf(wallet),
    proof: {
      timestamp: o.timestamp,
      domain: { lengthBytes: domain.length, value: o.domain },
      payload: o.payload,
      signature: Buffer.from(signature).toString('base64'),
    },
  }
}

/** A wallet in a page, as TON Connect's JS bridge has it: `window[key].tonconnect`. It approves all. */
export function jsBridge(wallet: ConnectWallet, o: { domain: string; now: () => number }) {
  const device = {
    platform: 'linux',
    appName: 'testwallet',
    appVersion: '1.0.0',
    maxProtocolVersion: 2,
    features: ['SendTransaction', { name: 'SendTransaction', maxMessages: 255 }],
  }
  const event = (items: unknown[]) => ({ event: 'connect', id: 1, payload: { items, device } })
  const address = () => {
    const { chain, ...account } = accountOf(wallet)
    return { name: 'ton_addr', ...account, network: chain }
  }
  return {
    deviceInfo: device,
    walletInfo: { name: 'Test wallet', app_name: 'testwallet', image: '', about_url: '', platforms: ['linux'] },
    protocolVersion: 2,
    isWalletBrowser: false,
    connect: async (_version: number, request: { items: { name: string; payload?: string }[] }) => {
      const asked = request.items.find(({ name }) => name === 'ton_proof')
      const timestamp = Math.floor(o.now() / 1000)
      const proof = asked?.payload && proofOf(wallet, { domain: o.domain, timestamp, payload: asked.payload }).proof
      return event([address(), ...(proof ? [{ name: 'ton_proof', proof }] : [])])
    },
    restoreConnection: async () => event([address()]),
    send: async () => ({ error: { code: 400, message: 'not supported' }, id: '1' }),
    listen: () => () => {},
    disconnect: () => {},
  }
}

/** The cell of a state. */
export function stateCell(state: StateInit): Cell {
  return beginCell().store(storeStateInit(state)).endCell()
}

/** TL's `signature_domain.l2#71b34ee1 global_id:int`; TON's own networks have no prefix. */
function domainPrefix(network: number): Uint8Array {
  if (network === -239 || network === -3) return new Uint8Array()
  const tl = new DataView(new ArrayBuffer(8))
  tl.setUint32(0, 0x71b34ee1, true)
  tl.setInt32(4, network, true)
  return sha256(new Uint8Array(tl.buffer))
}

const concat = (a: Uint8Array, b: Uint8Array) => new Uint8Array([...a, ...b])
