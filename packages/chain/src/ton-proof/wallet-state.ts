import { PinGoError } from '@pingo/wire'
import { type Address, Cell, loadStateInit } from '@ton/core'
import { MAINNET, TESTNET } from '../endpoint/networks.ts'
import { isSafeKey } from '../keys/ed25519.ts'
import { MAX_STATE_CELLS } from './message.ts'

/** A wallet contract whose initial data are known, so that its key can be read from them. */
export interface WalletCode {
  readonly name: string
  /** Bits of the initial data, and where the key begins among them. */
  readonly bits: number
  readonly keyAt: number
  /** What the first bit must be where it says whether the key may sign at all. */
  readonly firstBit?: boolean
  /** The network that the wallet's id names, where it names one of those given. */
  readonly network?: (data: Cell, workchain: number, networks: readonly number[]) => number | undefined
}

/** Wallets by the hash of their code. A test computes the hashes again from @ton/ton. */
export const WALLET_CODES: ReadonlyMap<string, WalletCode> = new Map([
  ['b61041a58a7980b946e8fb9e198e3c904d24799ffa36574ea4251c41a566f581', { name: 'v3r1', bits: 320, keyAt: 64 }],
  ['84dafa449f98a6987789ba232358072bc0f76dc4524002a5d0918b9a75d2d599', { name: 'v3r2', bits: 320, keyAt: 64 }],
  ['feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0', { name: 'v4r2', bits: 321, keyAt: 64 }],
  [
    'f3d7ca53493deedac28b381986a849403cbac3d2c584779af081065af0ac4b93',
    { name: 'w5-beta', bits: 370, keyAt: 113, firstBit: false, network: networkOfBeta },
  ],
  [
    '20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f',
    { name: 'w5', bits: 322, keyAt: 65, firstBit: true, network: networkOfW5 },
  ],
])

/** What a wallet's initial state says. */
export interface WalletState {
  readonly wallet: string
  readonly publicKey: Buffer
  /** The network in the wallet's id. W5 alone has one, and only where it is not mixed with a number of its own. */
  readonly network: number | undefined
}

/**
 * Reads a wallet's initial state: a known contract, in the form in which wallets begin, with the key that alone commands it, and the state
 * that the address is the hash of.
 *
 * @param boc - bytes of a bag of cells.
 * @throws PinGoError TON_PROOF_WALLET, TON_PROOF_ADDRESS, TON_PROOF_KEY
 */
export function readWalletState(
  boc: Buffer,
  address: Address,
  o: { codes?: ReadonlyMap<string, WalletCode>; networks?: readonly number[] } = {},
): WalletState {
  const { root, code, data } = stateOf(boc)
  if (!root.hash().equals(address.hash))
    throw new PinGoError('TON_PROOF_ADDRESS', "The wallet's initial state belongs to another address.")
  const known = (o.codes ?? WALLET_CODES).get(code.hash().toString('hex'))
  if (!known)
    throw new PinGoError('TON_PROOF_WALLET', 'This kind of wallet is not known here.', {
      hint: 'Use a wallet of version 3, 4 or 5 (W5).',
    })
  // extensions or plugins from the start could command the wallet beside its key: no wallet begins so
  const slice = ordinary(data)
  const isAsItBegins =
    slice.remainingBits === known.bits &&
    slice.remainingRefs === 0 &&
    (known.firstBit === undefined || slice.preloadBit() === known.firstBit)
  if (!isAsItBegins) throw odd()
  const publicKey = slice.skip(known.keyAt).loadBuffer(32)
  if (slice.remainingBits > 0 && slice.loadBit()) throw odd()
  if (!isSafeKey(publicKey)) throw new PinGoError('TON_PROOF_KEY', "The wallet's key is one that anybody can sign for.")
  const network = known.network?.(data, address.workChain, [...(o.networks ?? []), MAINNET, TESTNET])
  return { wallet: known.name, publicKey, network }
}

const odd = (cause?: unknown) =>
  new PinGoError('TON_PROOF_WALLET', "The wallet's initial state is not as wallets begin.", { cause })

function stateOf(boc: Buffer): { root: Cell; code: Cell; data: Cell } {
  try {
    const roots = Cell.fromBoc(boc)
    const root = roots[0]
    if (!root || roots.length !== 1) throw new Error('not one root')
    bound(root)
    const slice = root.beginParse()
    const { code, data, splitDepth, special, libraries } = loadStateInit(slice)
    if (!code || !data || splitDepth != null || special || libraries?.size)
      throw new Error('more or less than code and data')
    if (slice.remainingBits > 0 || slice.remainingRefs > 0) throw new Error('more than a state')
    return { root, code, data }
  } catch (cause) {
    throw odd(cause)
  }
}

/** Few cells, and none that stands for what is not shown. */
function bound(root: Cell): void {
  const seen = new Set<Cell>()
  const open = [root]
  for (let cell = open.pop(); cell; cell = open.pop()) {
    if (seen.has(cell)) continue
    seen.add(cell)
    if (seen.size > MAX_STATE_CELLS) throw new Error('too many cells')
    if (cell.level() !== 0) throw new Error('a pruned cell')
    open.push(...cell.refs)
  }
}

function ordinary(data: Cell) {
  try {
    return data.beginParse()
  } catch (cause) {
    throw odd(cause)
  }
}

/** W5 beta: the network stands before the workchain. */
function networkOfBeta(data: Cell): number {
  return data.beginParse().skip(33).loadInt(32)
}

/**
 * W5: wallet id = network XOR (1, workchain, version 0, subwallet). Only subwallet 0, the one that wallets make first, is taken for a
 * word about the network: another number could as well be another network's.
 */
function networkOfW5(data: Cell, workchain: number, networks: readonly number[]): number | undefined {
  const walletId = data.beginParse().skip(33).loadInt(32)
  const context = (1 << 31) | ((workchain & 0xff) << 23)
  return networks.find((network) => (network ^ context) === walletId)
}
