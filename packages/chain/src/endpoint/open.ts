import {
  type Address,
  beginCell,
  type Contract,
  type ContractProvider,
  comment,
  external,
  type Message,
  type OpenedContract,
  openContract,
  type StateInit,
  storeMessage,
  toNano,
} from '@ton/core'
import type { ChainEndpoint } from './port.ts'

/** A contract's wrapper on a chain: `open(endpoint, JettonMinter.fromConfig(…)).getJettonData()`. */
export function open<T extends Contract>(endpoint: ChainEndpoint, contract: T): OpenedContract<T> {
  return openContract(contract, ({ address, init }) => providerOf(endpoint, address, init))
}

/** What the wrappers of @ton/core and @ton/ton want of a chain. */
export function providerOf(endpoint: ChainEndpoint, address: Address, init: StateInit | null): ContractProvider {
  const isDeployed = async () => (await endpoint.account(address)).status === 'active'
  return {
    async getState() {
      const { balance, status, code, data, last } = await endpoint.account(address)
      const active = { type: 'active', code: code?.toBoc(), data: data?.toBoc() } as const
      const other =
        status === 'frozen' ? ({ type: 'frozen', stateHash: Buffer.alloc(32) } as const) : ({ type: 'uninit' } as const)
      return { balance, extracurrency: null, last, state: status === 'active' ? active : other }
    },
    async get(name, args) {
      if (typeof name === 'number') throw new TypeError('get methods are called by their names')
      return { stack: await endpoint.runGetMethod(address, name, args) }
    },
    async external(body) {
      const message = external({ to: address, init: (await isDeployed()) ? undefined : init, body })
      await endpoint.send(beginCell().store(storeMessage(message)).endCell().toBoc())
    },
    async internal(via, { value, bounce, sendMode, body, extracurrency }) {
      await via.send({
        to: address,
        value: typeof value === 'string' ? toNano(value) : value,
        bounce,
        sendMode,
        extracurrency,
        init: init && !(await isDeployed()) ? init : undefined,
        body: typeof body === 'string' ? comment(body) : body,
      })
    },
    open: (contract) => open(endpoint, contract),
    async getTransactions() {
      throw new TypeError('transactions are read from the endpoint')
    },
  }
}

/**
 * The normalised hash of an external message (TEP-467): without sender, import fee and initial state, with its body in a cell of its own,
 * so that every serialisation of the message has the same.
 */
export function normalisedHash(message: Message): Buffer {
  if (message.info.type !== 'external-in') return message.body.hash()
  return beginCell()
    .storeUint(0b10, 2)
    .storeUint(0, 2)
    .storeAddress(message.info.dest)
    .storeCoins(0)
    .storeBit(false)
    .storeBit(true)
    .storeRef(message.body)
    .endCell()
    .hash()
}
