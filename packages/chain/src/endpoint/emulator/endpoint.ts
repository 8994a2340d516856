import { PinGoError } from '@pingo/wire'
import { type Address, Cell } from '@ton/core'
import type { AccountState, ChainEndpoint, Trace } from '../port.ts'
import type { LocalChain } from './chain.ts'
import { methodId } from './method-id.ts'

const WAIT_MS = 60_000

/** The port over a chain in this process; closing it leaves the chain open. */
export function localEndpoint(chain: LocalChain): ChainEndpoint {
  return {
    network: chain.globalId,
    async send(boc) {
      return { hash: await chain.send(boc) }
    },
    async account(address) {
      return accountState(chain, address)
    },
    async runGetMethod(address, name, args = []) {
      const { stack, exitCode } = await chain.runGetMethod(address, methodId(name), args)
      if (exitCode > 1) throw new PinGoError('CHAIN_GET_METHOD', `${name} ended with exit code ${exitCode}`)
      return stack
    },
    async transactions(address, { limit, before }) {
      return chain.transactions(address, limit, before?.lt)
    },
    waitFor: (hash, options) => waitForTrace(chain, hash, options),
    async now() {
      return chain.now()
    },
    async config() {
      return chain.config()
    },
    async close() {},
  }
}

/** An account as the chain has it now. */
export function accountState(chain: LocalChain, address: Address): AccountState {
  const found = chain.account(address)
  const state = found?.account?.storage.state
  const last =
    found && found.lastTransactionLt > 0n
      ? {
          lt: found.lastTransactionLt,
          hash: Buffer.from(found.lastTransactionHash.toString(16).padStart(64, '0'), 'hex'),
        }
      : null
  const balance = found?.account?.storage.balance.coins ?? 0n
  if (state?.type !== 'active') return { balance, status: state?.type ?? 'uninit', code: null, data: null, last }
  return { balance, status: 'active', code: state.state.code ?? null, data: state.state.data ?? Cell.EMPTY, last }
}

async function waitForTrace(
  chain: LocalChain,
  hash: Buffer,
  { signal, deadlineMs = WAIT_MS }: { signal?: AbortSignal; deadlineMs?: number } = {},
): Promise<Trace> {
  const deadline = AbortSignal.timeout(deadlineMs)
  const stop = signal ? AbortSignal.any([signal, deadline]) : deadline
  while (true) {
    const found = chain.trace(hash)
    if (found?.done) return { transactions: found.transactions }
    if (signal?.aborted) throw signal.reason
    if (deadline.aborted)
      throw new PinGoError('CHAIN_TIMEOUT', 'the message was not done in time; it may still be done later')
    await new Promise<void>((resolve) => {
      const go = () => {
        off()
        stop.removeEventListener('abort', go)
        resolve()
      }
      const off = chain.onBlock(go)
      stop.addEventListener('abort', go)
    })
  }
}
