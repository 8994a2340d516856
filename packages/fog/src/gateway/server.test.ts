import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { after, it } from 'node:test'
import { createGatewayServer } from './server.ts'

const { server, attach } = createGatewayServer({
  data: (request, response) => {
    if (!request.url?.startsWith('/ipfs/')) return false
    response.end(`data: ${request.url}`)
    return true
  },
})
attach((request, response) => response.end(`routes: ${request.url}`))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
after(() => new Promise((resolve) => server.close(resolve)))

const ask = async (target: string): Promise<string> => {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  return Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString()
}

it('takes a target with its authority as the path in it, for data and routes alike', async () => {
  assert.match(await ask('http://fog.example/ipfs/x?y'), /data: \/ipfs\/x\?y$/)
  assert.match(await ask('https://fog.example:8443/v1/jobs'), /routes: \/v1\/jobs$/)
  assert.match(await ask('http://fog.example'), /routes: \/$/)
  assert.match(await ask('/v1/jobs'), /routes: \/v1\/jobs$/)
})
