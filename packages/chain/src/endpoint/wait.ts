import { PinGoError } from '@pingo/wire'
import type { Address, Transaction } from '@ton/core'
import { type ChainEndpoint, normalizedHash } from './port.ts'

/** How long `waitFor` waits when it is not told, and how often it asks. */
export const WAIT_MS = 60_000
const POLL_MS = 500
const LOOK_BACK = 20

/**
 * Waits until an account has executed an external message.
 *
 * @param hash - the message's normalised hash: what `send` gave.
 * @returns the transaction.
 * @throws PinGoError CHAIN_TIMEOUT when it did not happen in `deadlineMs`: it may still happen, unless the message has expired.
 */
export async function waitFor(
  endpoint: ChainEndpoint,
  address: Address,
  hash: Buffer,
  {
    signal,
    deadlineMs = WAIT_MS,
    pollMs = POLL_MS,
  }: { signal?: AbortSignal; deadlineMs?: number; pollMs?: number } = {},
): Promise<Transaction> {
  const until = Date.now() + deadlineMs
  while (true) {
    const found = (await endpoint.transactions(address, { limit: LOOK_BACK, ...(signal && { signal }) })).find(
      ({ inMessage }) => inMessage?.info.type === 'external-in' && normalizedHash(inMessage).equals(hash),
    )
    if (found) return found
    if (Date.now() > until) {
      throw new PinGoError('CHAIN_TIMEOUT', `the message was not executed within ${Math.round(deadlineMs / 1000)} s`, {
        hint: 'It may still be: look at the history before sending it again.',
      })
    }
    await pause(pollMs, signal)
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      if (signal?.aborted) reject(signal.reason)
      else resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done)
    if (signal?.aborted) done()
  })
}
