import { PinGoError } from '@pingo/wire'
import { type Address, Cell, loadMessage, type Transaction, TupleReader } from '@ton/core'
import type { Blockchain } from '@ton/sandbox'
import { normalisedHash } from '../endpoint/open.ts'
import type { ChainEndpoint } from '../endpoint/port.ts'

/** The world of tests as an endpoint: each message is done before `send` returns. */
export function worldEndpoint(chain: Blockchain, network = 2000): ChainEndpoint {
  const traces = new Map<string, Transaction[]>()
  const done: Transaction[] = []
  return {
    network,
    async send(boc) {
      const message = loadMessage(Cell.fromBoc(boc)[0]!.beginParse())
      const hash = normalisedHash(message)
      const { transactions } = await chain.sendMessage(message).catch((cause) => {
        throw new PinGoError('CHAIN_REFUSED', 'The wallet did not take the message.', { cause })
      })
      traces.set(hash.toString('hex'), transactions)
      done.push(...transactions)
      return { hash }
    },
    async account(address) {
      const { balance, accountState, lastTransactionHash, lastTransactionLt } = await chain.getContract(address)
      const state = accountState?.type === 'active' ? accountState.state : undefined
      return {
        balance,
        status: accountState?.type ?? 'uninit',
        code: state?.code ?? null,
        data: state?.data ?? null,
        last: lastTransactionLt
          ? { lt: lastTransactionLt, hash: Buffer.from(lastTransactionHash.toString(16).padStart(64, '0'), 'hex') }
          : null,
      }
    },
    async runGetMethod(address, name, args = []) {
      return new TupleReader((await chain.runGetMethod(address, name, args)).stack)
    },
    async transactions(address: Address, { limit, before }) {
      const own = done.filter((transaction) => transaction.address === BigInt(`0x${address.hash.toString('hex')}`))
      return own
        .filter(({ lt }) => !before || lt < before.lt)
        .reverse()
        .slice(0, limit)
    },
    async waitFor(hash) {
      const transactions = traces.get(hash.toString('hex'))
      if (!transactions) throw new PinGoError('CHAIN_TIMEOUT', 'The message was not done in time.')
      return { transactions }
    },
    now: async () => chain.now ?? Math.floor(Date.now() / 1000),
    config: async () => chain.config,
    close: async () => {},
  }
}
