import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { sendUpdate } from './upload.ts'

async function serve(listener: RequestListener, port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer(listener).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

const send = (port: number, deadline: number) =>
  sendUpdate({
    source: () => ({ url: `http://127.0.0.1:${port}` }),
    lease: 'job-1.2',
    ticket: 'secret',
    body: Buffer.from('update'),
    deadline,
    clock: Date.now,
    signal: AbortSignal.timeout(30_000),
  })

test('an update is sent again until the fog node says yes or no', async () => {
  const seen: string[] = []
  const { server, port } = await serve(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    seen.push(`${request.method} ${request.url} ${request.headers.authorization} ${body}`)
    if (seen.length < 3) response.writeHead(seen.length === 1 ? 503 : 500).end('{}')
    else response.end('{"accepted":false,"code":"FENCE_STALE"}')
  })
  try {
    assert.deepEqual(await send(port, Date.now() + 60_000), { accepted: false, code: 'FENCE_STALE' })
    assert.deepEqual(seen, Array(3).fill('PUT /v1/leases/job-1.2/update Bearer secret update'))
  } finally {
    server.close()
  }
})

test('when the lease runs out before the fog node is back, that is said', async () => {
  const { server, port } = await serve(() => {})
  server.close()
  await assert.rejects(send(port, Date.now()), (error) => isPinGoError(error, 'UPDATE_UNDELIVERED'))
})
