import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { nameOf, signName } from '@pingo/storage'
import { createIdentity, type StorageView, StorageViewSchema } from '@pingo/wire'
import { type Child, startChild } from '../src/local/child.ts'
import { Place } from './support/command.ts'

const NODES = 5
/** A deadline for a failing test, not a measure. */
const SETTLED_MS = 90_000
const LOG_CHARS = 2_000

interface Fog {
  child: Child
  url: string
  token: string
  peerId: string
}

let place: Place
const fogs: Fog[] = []
const first = () => fogs[0]!
const alive = () => fogs.filter(({ child }) => !gone.has(child))
const gone = new Set<Child>()

before(async () => {
  place = await Place.create()
  for (let n = 0; n < NODES; n++) fogs.push(await startFog(n))
})
after(async () => {
  await Promise.all(fogs.map(({ child }) => child.stop()))
  await place[Symbol.asyncDispose]()
})

async function startFog(n: number): Promise<Fog> {
  const home = place.path(`fog-${n}`)
  const args = ['fog', '--home', home, '--connection-home', home, '--port', '0', '--verbose']
  args.push('--capacity', '200MB', '--region', n % 2 ? 'eu-de' : 'eu-fi', '--turn-ms', '200', '--care-ms', '500')
  if (fogs[0]) args.push('--peer', fogs[0].url)
  const child = await startChild(args, { log: place.path(`fog-${n}.log`) })
  const { url, token, peerId } = child.ready as { url: string; token: string; peerId: string }
  return { child, url, token, peerId }
}

async function view(fog: Fog, o: { change?: object; isOwner?: boolean } = {}): Promise<StorageView> {
  const response = await fetch(`${fog.url}/v1/storage`, {
    method: o.change ? 'PATCH' : 'GET',
    headers: {
      ...(o.isOwner === false ? {} : { authorization: `Bearer ${fog.token}` }),
      ...(o.change ? { 'content-type': 'application/json' } : {}),
    },
    body: o.change && JSON.stringify(o.change),
  })
  assert.equal(response.status, 200, await response.clone().text())
  return StorageViewSchema.parse(await response.json())
}

async function settled(what: string, is: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + SETTLED_MS; !(await is()); ) {
    if (Date.now() > end) {
      const logs = await Promise.all(fogs.map((_, n) => readFile(place.path(`fog-${n}.log`), 'utf8')))
      assert.fail(`waited in vain for ${what}:\n${logs.map((log) => log.slice(-LOG_CHARS)).join('\n\n')}`)
    }
    await sleep(100)
  }
}
const run = async (args: string[], fog: Fog, home = 'home') => {
  const env = { PINGO_FOG: fog.url, PINGO_TOKEN: fog.token, PINGO_HOME: place.path(home) }
  const done = await place.run(args, { env })
  assert.equal(done.code, 0, `${args.join(' ')}: ${done.stdout}${done.stderr}`)
  return done
}
/** All objects in the care of nodes that live are checked, and no shard of them is missing. */
const isWhole = async (): Promise<boolean> => {
  const views = await Promise.all(alive().map((fog) => view(fog)))
  const objects = views.flatMap(({ objects }) => objects)
  const checked = objects.filter(({ checkedAt }) => checkedAt !== undefined)
  return (
    checked.length > 0 &&
    checked.every(({ stripesByMissing }) => Object.keys(stripesByMissing).join() === '0') &&
    views.every(({ care }) => care.due === 0 && care.repairsQueued === 0)
  )
}

test('fog nodes find each other from one address', async () => {
  await settled('all to know all', async () =>
    (await Promise.all(alive().map((fog) => view(fog)))).every(
      ({ peers }) => peers.filter(({ isLive, rttMs }) => isLive && rttMs !== undefined).length === NODES - 1,
    ),
  )
})

test('what is put by one is got by another and checked by its caretakers', async () => {
  await place.write('private.bin', randomBytes(3 << 20))
  await place.write('public.bin', randomBytes(2 << 20))
  await run(['store', 'put', 'private.bin'], first())
  const put = JSON.parse((await run(['store', 'put', 'public.bin', '--public', '--json'], first())).stdout)
  const [cid] = put.stored[0].ids as string[]
  await run(['store', 'get', 'private.bin', '--out', 'copy.bin'], fogs[3]!)
  assert.ok((await readFile(place.path('copy.bin'))).equals(await readFile(place.path('private.bin'))))
  for (const fog of alive()) {
    const served = await fetch(`${fog.url}/ipfs/${cid}`)
    assert.equal(served.status, 200)
    assert.ok(Buffer.from(await served.arrayBuffer()).equals(await readFile(place.path('public.bin'))))
  }
  await settled('the objects to be checked', isWhole)
  const { objects, reads } = await view(first())
  assert.ok(
    objects.some(({ id, isPublic }) => isPublic && id === cid),
    `${fogs[0]!.peerId} does not care for ${cid}: ${JSON.stringify(await Promise.all(alive().map((fog) => view(fog))))}`,
  )
  assert.ok(reads.remote + reads.disk > 0)
  assert.ok((await view(first(), { isOwner: false })).objects.every(({ id }) => id.includes('…')))
})

test('a name leads to what it points to, and its record is there for who checks it', async () => {
  const owner = await createIdentity()
  const name = nameOf(owner)
  const cid = (await view(first())).objects.find(({ isPublic }) => isPublic)!.id
  const record = await signName(owner, cid, { sequence: 1 })
  for (const fog of alive())
    assert.equal(
      (await fetch(`${fog.url}/v1/names/${name}`, { method: 'PUT', body: new Uint8Array(record) })).status,
      204,
    )
  const served = await fetch(`${first().url}/ipns/${name}`)
  assert.equal(served.status, 200)
  assert.match(served.url, new RegExp(`/ipfs/${cid}$`))
  assert.ok(Buffer.from(await served.arrayBuffer()).equals(await readFile(place.path('public.bin'))))
  const signed = await fetch(`${first().url}/ipns/${name}?format=ipns-record`)
  assert.equal(signed.headers.get('content-type'), 'application/vnd.ipfs.ipns-record')
  assert.ok(Buffer.from(await signed.arrayBuffer()).equals(record))
  const unknown = await fetch(`${first().url}/ipns/${nameOf(await createIdentity())}`)
  assert.equal(unknown.status, 404)
  assert.equal((await fetch(`${first().url}/ipns/not-a-name`)).status, 400)
})

test('metrics and status tell of it', async () => {
  const metrics = await (await fetch(`${first().url}/metrics`)).text()
  assert.match(metrics, /^pingo_storage_peers 4$/m)
  assert.match(metrics, /^pingo_storage_objects_in_care [1-9]/m)
  assert.match(metrics, /^pingo_storage_reads_total\{from="disk"\} \d+$/m)
  const { stdout } = await run(['fog', 'status'], first())
  assert.match(stdout, /^care +\d+ objects/m)
  assert.match(stdout, /^peer .*standing/m)
  assert.equal(JSON.parse((await run(['fog', 'status', '--json'], first())).stdout).node.id, first().peerId)
})

test('a node that leaves is told when all of it is elsewhere', async () => {
  const leaver = fogs[4]!
  await run(['fog', 'leave', '--no-wait'], leaver)
  await settled('all of it to be elsewhere', async () => (await view(leaver)).leaving?.isDone === true)
  const { stdout } = await run(['fog', 'leave'], leaver)
  assert.match(stdout, /^All that it kept is kept elsewhere now: it may be stopped\.\n$/)
  assert.deepEqual((await view(leaver)).care.objects, 0)
  await leaver.child.stop()
  gone.add(leaver.child)
  await settled('its shards to be elsewhere', isWhole)
  await run(['store', 'get', 'private.bin', '--out', 'copy-2.bin'], fogs[1]!)
  assert.ok((await readFile(place.path('copy-2.bin'))).equals(await readFile(place.path('private.bin'))))
})

test('objects of killed nodes are repaired', async () => {
  const [, , dead, alsoDead] = fogs as [Fog, Fog, Fog, Fog, Fog]
  for (const { child } of [dead, alsoDead]) {
    process.kill(child.pid, 'SIGKILL')
    gone.add(child)
  }
  // two nodes are left for two of three copies: no more can be done, and all can be read
  await settled('as many copies as there are nodes', async () => {
    const views = await Promise.all(alive().map((fog) => view(fog, { change: { check: true } })))
    const objects = views.flatMap(({ objects }) => objects)
    return (
      views.some(({ repairs }) => repairs.rebuilt > 0) &&
      objects.every(({ stripesByMissing }) => Object.keys(stripesByMissing).every((missing) => Number(missing) <= 1))
    )
  })
  await run(['store', 'get', 'private.bin', '--out', 'copy-3.bin'], first())
  assert.ok((await readFile(place.path('copy-3.bin'))).equals(await readFile(place.path('private.bin'))))
})
