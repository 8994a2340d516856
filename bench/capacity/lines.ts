import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { deserialize, serialize } from 'node:v8'

/** Between a cheat and its helper, both of this bench: a message a line. */
export const say = (socket: Socket, message: object): void => {
  socket.write(`${serialize(message).toString('base64')}\n`)
}

export async function* lines(socket: Socket): AsyncGenerator<unknown> {
  for await (const line of createInterface({ input: socket })) yield deserialize(Buffer.from(line, 'base64'))
}
