import { randomBytes } from 'node:crypto'
import type { Identity, JobView } from '@pingo/wire'

const ATTEMPTS = 4
const TIMEOUT_MS = 10_000
const FIRST_PAUSE_MS = 1_000

/**
 * Tells a user's web address that a job ended. Signed as Standard Webhooks 1.0 asks (standardwebhooks.com), scheme `v1a`: Ed25519 by the
 * fog node's identity over `id.timestamp.body`; the public key is the one in the PeerId of the header `pingo-fog`.
 * Tries a few times with growing pauses; redirects are not followed.
 * @returns true when the address answered 2xx
 */
export async function sendWebhook(o: {
  url: string
  job: JobView
  identity: Identity
  clock: () => number
  signal: AbortSignal
}): Promise<boolean> {
  const body = JSON.stringify({ type: `job.${o.job.state}`, data: o.job })
  const id = `msg_${randomBytes(12).toString('hex')}`
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const timestamp = Math.floor(o.clock() / 1000).toString()
    const signature = await o.identity.sign(Buffer.from(`${id}.${timestamp}.${body}`))
    try {
      const response = await fetch(o.url, {
        method: 'POST',
        redirect: 'error',
        body,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'pingo-fog',
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': `v1a,${Buffer.from(signature).toString('base64')}`,
          'pingo-fog': o.identity.peerId,
        },
        signal: AbortSignal.any([o.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      await response.body?.cancel()
      if (response.ok) return true
    } catch {
      if (o.signal.aborted) return false
    }
    await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 4 ** attempt))
  }
  return false
}
