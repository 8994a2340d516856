/**
 * A server for the bench of the gateway, alone in its process: `gateway-server.ts KIND FOLDER`.
 * - `gateway`: the fog node's HTTP server with the data plane, as the fog node composes them, over the blocks of FOLDER
 * - `bare`: `node:http` that answers every path with the file of that name in FOLDER, from memory
 * Prints its port.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { BlockStore, blockHandler } from '@pingo/storage'
import { createGatewayServer, listen } from '../../packages/fog/src/gateway/server.ts'

const [kind, folder] = process.argv.slice(2) as [string, string]
if (kind === 'gateway') {
  const blocks = await BlockStore.open(folder)
  const data = blockHandler(blocks, { authorize: () => false })
  const { server } = createGatewayServer({ data })
  data.accelerate(server)
  console.log(await listen(server, '127.0.0.1', 0))
} else {
  const files = new Map<string, Buffer>()
  const server = createServer((request, response) => {
    const url = request.url!
    const body = files.get(url) ?? readFileSync(join(folder, url))
    files.set(url, body)
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.byteLength }).end(body)
  })
  server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
}
