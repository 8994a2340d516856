import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { cidOf, createIdentity } from '@pingo/wire'
import { Host } from './index.ts'

const hosts: Host[] = []
const start = async (dht = true): Promise<Host> => {
  const host = await Host.start({ identity: await createIdentity(), listen: ['/ip4/127.0.0.1/tcp/0'], dht })
  hosts.push(host)
  return host
}
after(() => Promise.all(hosts.map((host) => host.stop())))

test('who has a root is found by hosts that are not connected with it', async () => {
  const first = await start()
  const others = [await start(), await start(), await start(), await start()]
  for (const host of others) await host.connect(first.addresses()[0]!)
  const [holder, second, , asker] = others as [Host, Host, Host, Host]
  const root = cidOf(new TextEncoder().encode('a root'))
  await holder.provide(root)
  await second.provide(root)
  const found = await Array.fromAsync(asker.findProviders(root))
  assert.deepEqual(new Set(found.map(({ peerId }) => peerId)), new Set([holder.peerId, second.peerId]))
  assert.deepEqual(await Array.fromAsync(asker.findProviders(cidOf(new TextEncoder().encode('of nobody')))), [])
})

test('a search that is not wanted any more ends with its reason', async () => {
  const [host] = hosts as [Host]
  const reason = new Error('not wanted')
  const search = Array.fromAsync(host.findProviders(cidOf(new Uint8Array(1)), { signal: AbortSignal.abort(reason) }))
  await assert.rejects(search, reason)
})

test('a host alone finds nobody, and one outside the table says so', async () => {
  const alone = await start()
  const root = cidOf(new Uint8Array(2))
  await alone.provide(root)
  assert.deepEqual(await Array.fromAsync(alone.findProviders(root)), [])
  const outside = await start(false)
  await assert.rejects(outside.provide(root), { code: 'DHT_OFF' })
})
