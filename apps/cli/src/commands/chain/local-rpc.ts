import { readFile } from 'node:fs/promises'
import { PinGoError } from '@pingo/wire'
import { localChainFile } from '../../chain.ts'

/** Calls what only a local chain has. @throws PinGoError CHAIN_UNKNOWN when none runs here, else what the chain says. */
export async function callLocalChain(
  method: string,
  params: unknown,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const text = await readFile(localChainFile(), 'utf8').catch((cause) => {
    throw new PinGoError('CHAIN_UNKNOWN', 'No local chain runs on this machine.', {
      hint: 'Start one with `pingo chain up`.',
      cause,
    })
  })
  const { url } = JSON.parse(text) as { url: string }
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ method, params }),
    signal,
  }).catch((cause) => {
    if (signal.aborted) throw signal.reason
    throw new PinGoError('CHAIN_UNREACHABLE', 'The local chain does not answer.', {
      hint: 'Start it with `pingo chain up`.',
      cause,
    })
  })
  const answer = (await response.json()) as {
    ok: boolean
    result: Record<string, unknown>
    error?: string
    code?: string
  }
  if (!answer.ok) throw new PinGoError(answer.code ?? 'CHAIN_FAILED', answer.error ?? 'The chain refused.')
  return answer.result
}
