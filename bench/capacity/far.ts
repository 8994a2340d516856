import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * A way to a port of this machine that takes as long as one to a machine far away: what comes is passed on `rttMs` / 2 later, both ways.
 * @returns its own port
 */
export async function farAway(port: number, rttMs: number): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket.setNoDelay(true))
    socket.on('error', () => undefined)
    return socket.once('close', () => sockets.delete(socket))
  }
  const later = (from: Socket, to: Socket): void => {
    from.on('data', (chunk) => void setTimeout(() => to.writable && to.write(chunk), rttMs / 2))
    from.once('close', () => to.destroy())
  }
  const server = createServer((near) => {
    const far = keep(connect(port, '127.0.0.1'))
    later(keep(near), far)
    later(far, near)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
