import { Engine } from '@pingo/engine'
import { Host } from '@pingo/network'
import { contributorChannel, createIdentity } from '@pingo/wire'
import { pino } from 'pino'
import { Challenged } from '../../packages/contributor/src/capacity/challenged.ts'

/**
 * A contributor that lies: it claims `slices` cores of `flops` each whatever it showed, and lets all of them do their work in `engines` engines. Otherwise it
 * answers challenges as honest ones do.
 */
export async function cheat(o: {
  fog: string
  slices: number
  engines: number
  flops: number
}): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const identity = await createIdentity()
  const host = stack.adopt(await Host.start({ identity }), (open) => open.stop())
  const engines = await Promise.all(
    Array.from({ length: o.engines }, async () =>
      stack.adopt(await Engine.start({ niceness: 10 }), (open) => open.close()),
    ),
  )
  const channel = await host.openChannel(o.fog, contributorChannel)
  const challenged = new Challenged({
    peerId: identity.peerId,
    slice: (index) => ({
      cores: 1,
      isPaused: false,
      lend: async () => ({ engine: engines[index % engines.length]!, hold() {}, giveBack() {} }),
    }),
    cores: () => o.slices,
    send: (answer) => void channel.send({ ...answer, flops: undefined }).catch(() => undefined),
    logger: pino({ level: 'silent' }),
    clock: () => performance.now(),
  })
  stack.defer(() => channel.close())
  const slice = { cores: 1, memoryBytes: 256 << 20 }
  await channel.send({
    type: 'hello',
    version: '1',
    name: 'cheat',
    offer: { cores: o.slices, memoryBytes: 1 << 30, diskBytes: 0, slices: Array(o.slices).fill(slice) },
    hardware: { platform: 'x', cpu: 'x', cores: o.slices, memoryBytes: 1 << 30, runtime: 'x' },
    flops: o.flops,
    leases: [],
  })
  const serve = async (): Promise<void> => {
    for await (const message of channel.messages)
      if (message.type === 'challenge') challenged.receive(message)
      else if (message.type === 'credited') challenged.credited(message)
  }
  void serve().catch(() => undefined)
  // a contributor that is not heard of is gone
  const heart = setInterval(() => {
    const slices = Array.from({ length: o.slices }, () => ({ state: 'idle' as const }))
    void channel.send({ type: 'heartbeat', rssBytes: 0, slices }).catch(() => undefined)
  }, 1_000)
  stack.defer(() => clearInterval(heart))
  const resources = stack.move()
  return { [Symbol.asyncDispose]: () => resources.disposeAsync() }
}
