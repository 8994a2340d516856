/** A machine that does the work of another's challenges: for one cheat after the other, at a port of loopback that it prints. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Engine } from '@pingo/engine'
import type { FogMessage } from '@pingo/wire'
import { pino } from 'pino'
import { Challenged } from '../../packages/contributor/src/capacity/challenged.ts'
import { lines, say } from './lines.ts'

const engine = await Engine.start()
const server = createServer((socket) => void serve(socket.setNoDelay(true)).catch(() => undefined))
await once(server.listen(0, '127.0.0.1'), 'listening')
console.log((server.address() as AddressInfo).port)

async function serve(socket: Socket): Promise<void> {
  const messages = lines(socket)
  const { peerId } = (await messages.next()).value as { peerId: string }
  const challenged = new Challenged({
    peerId,
    slice: () => ({
      cores: 1,
      isPaused: false,
      lend: async () => ({ engine, hold: () => undefined, giveBack: () => undefined }),
    }),
    cores: () => 1,
    send: ({ flops: _, ...answer }) => say(socket, answer),
    logger: pino({ level: 'silent' }),
    clock: () => performance.now(),
  })
  for await (const message of messages) challenged.receive(message as Extract<FogMessage, { type: 'challenge' }>)
  challenged.end()
}
