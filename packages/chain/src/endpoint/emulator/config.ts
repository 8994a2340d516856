import { beginCell, Cell, Dictionary } from '@ton/core'
import { defaultConfig } from '@ton/sandbox'

/** Parameters of TON's configuration that are touched here (block.tlb). */
const GLOBAL_ID = 19
const GAS_PRICES = 21
const FORWARD_PRICES = 25

const GAS_FLAT_TAG = 0xd1
const GAS_TAG = 0xde
const FORWARD_TAG = 0xea

/**
 * The configuration of a local chain: mainnet's as it comes with the emulator, with an id of its own, and gas and forwarding at a
 * share of mainnet's price.
 *
 * @returns base64 of its bag of cells.
 */
export function localConfig(globalId: number, fees?: { numerator: bigint; denominator: bigint }): string {
  const parameters = Dictionary.loadDirect(
    Dictionary.Keys.Int(32),
    Dictionary.Values.Cell(),
    Cell.fromBase64(defaultConfig),
  )
  parameters.set(GLOBAL_ID, beginCell().storeInt(globalId, 32).endCell())
  if (fees) {
    const scale = (price: bigint) => (price * fees.numerator) / fees.denominator
    parameters.set(GAS_PRICES, scaleGas(parameters.get(GAS_PRICES) as Cell, scale))
    parameters.set(FORWARD_PRICES, scaleForward(parameters.get(FORWARD_PRICES) as Cell, scale))
  }
  return beginCell().storeDictDirect(parameters).endCell().toBoc().toString('base64')
}

/** Prices that estimates of fees rest on; nano-GRAM. */
export interface Prices {
  /** Per gas, in 2^-16. */
  gas: bigint
  /** Gas that every execution pays for at least, and its price. */
  flatGasLimit: bigint
  flatGasPrice: bigint
  /** Per message. */
  lump: bigint
  /** Per bit and per cell of a message, in 2^-16. */
  bit: bigint
  cell: bigint
}

/** Reads the prices of the base workchain from a configuration. */
export function pricesOf(config: Cell): Prices {
  const parameters = Dictionary.loadDirect(Dictionary.Keys.Int(32), Dictionary.Values.Cell(), config)
  const gas = (parameters.get(GAS_PRICES) as Cell).beginParse()
  expectTag(gas.loadUint(8), GAS_FLAT_TAG)
  const [flatGasLimit, flatGasPrice] = [gas.loadUintBig(64), gas.loadUintBig(64)]
  expectTag(gas.loadUint(8), GAS_TAG)
  const forward = (parameters.get(FORWARD_PRICES) as Cell).beginParse()
  expectTag(forward.loadUint(8), FORWARD_TAG)
  return {
    gas: gas.loadUintBig(64),
    flatGasLimit,
    flatGasPrice,
    lump: forward.loadUintBig(64),
    bit: forward.loadUintBig(64),
    cell: forward.loadUintBig(64),
  }
}

/** What gas costs, nano-GRAM (block.tlb: the flat price covers the first gas). */
export function gasFee(prices: Prices, gas: bigint): bigint {
  if (gas <= prices.flatGasLimit) return prices.flatGasPrice
  return prices.flatGasPrice + (((gas - prices.flatGasLimit) * prices.gas + 0xffffn) >> 16n)
}

/** What a message of that size costs on its way, nano-GRAM; its root cell is not counted. */
export function forwardFee(prices: Prices, bits: bigint, cells: bigint): bigint {
  return prices.lump + ((bits * prices.bit + cells * prices.cell + 0xffffn) >> 16n)
}

function scaleGas(cell: Cell, scale: (price: bigint) => bigint): Cell {
  const from = cell.beginParse()
  expectTag(from.loadUint(8), GAS_FLAT_TAG)
  const to = beginCell()
    .storeUint(GAS_FLAT_TAG, 8)
    .storeUint(from.loadUintBig(64), 64)
    .storeUint(scale(from.loadUintBig(64)), 64)
  expectTag(from.loadUint(8), GAS_TAG)
  return to
    .storeUint(GAS_TAG, 8)
    .storeUint(scale(from.loadUintBig(64)), 64)
    .storeSlice(from)
    .endCell()
}

function scaleForward(cell: Cell, scale: (price: bigint) => bigint): Cell {
  const from = cell.beginParse()
  expectTag(from.loadUint(8), FORWARD_TAG)
  const to = beginCell().storeUint(FORWARD_TAG, 8)
  for (let i = 0; i < 3; i++) to.storeUint(scale(from.loadUintBig(64)), 64)
  return to.storeSlice(from).endCell()
}

function expectTag(tag: number, expected: number): void {
  if (tag !== expected)
    throw new Error(
      `the configuration has a parameter of kind 0x${tag.toString(16)} where 0x${expected.toString(16)} should be`,
    )
}
