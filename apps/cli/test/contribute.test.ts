import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { MachineView, SettingsView } from '@pingo/wire'
import { Place, type Run, until } from './support/command.ts'

/** A fog node and a contributor of a place, each a process. */
async function network(place: Place) {
  const fog = place.start(['fog', '--port', '0', '--p2p-port', '0', '--json'])
  await until(() => fog.stdout().includes('\n'), 'the fog node')
  const node = place.start(['contribute', '--cores', '0.5', '--json'])
  await until(() => node.stdout().includes('\n'), `the contributor ${node.stderr()}`)
  return { fog, node }
}

const lines = (text: string) => text.trimEnd().split('\n')

test('an owner changes, pauses, resumes, looks at and ends a contributor that runs', async () => {
  await using place = await Place.create()
  const { node } = await network(place)
  const pingo = async (...args: string[]): Promise<Run> => {
    const run = await place.run(['contribute', ...args])
    assert.equal(run.code, 0, `${args.join(' ')}: ${run.stderr}`)
    return run
  }
  const view = async () => JSON.parse((await pingo('status', '--json')).stdout) as MachineView
  assert.equal(JSON.parse(lines(node.stdout())[0]!).ready, true)
  assert.deepEqual([(await view()).offer.cores, (await view()).fog.connected], [0.5, true])

  const second = await place.run(['contribute'])
  assert.equal(second.code, 1)
  assert.match(second.stderr, /^pingo: A contributor already runs in .*home\/contributor \(process \d+\)\.\n/)

  // what is set goes before what the command was started with, holds at once, and is written down
  assert.match(
    (await pingo('set', 'cpu=0.25', 'when=always')).stdout,
    /^cpu +0\.25 of \d+ cores\n.*\nIt holds from now on\.\n$/s,
  )
  assert.equal((await view()).offer.cores, 0.25)
  const file = place.path('home', 'contributor', 'contributor.json')
  assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { cpu: '0.25', when: 'always' })
  const settings = JSON.parse((await pingo('get', '--json')).stdout) as SettingsView
  assert.deepEqual([settings.settings.cpu, settings.settings.battery], [0.25, false])
  assert.equal((await pingo('get', 'when')).stdout, 'always\n')

  // a file that is written by hand holds; a broken one changes nothing and is told
  await writeFile(file, '{"cpu": 0.3, "when": "always"}')
  for (let cores = 0; cores !== 0.3; ) cores = (await view()).offer.cores
  await writeFile(file, '{"cpu": 0.3')
  for (let notices: string[] = []; notices.length === 0; ) notices = (await view()).notices ?? []
  assert.match((await pingo('status')).stdout, /notice +.*contributor\.json is not JSON/)
  assert.equal((await view()).offer.cores, 0.3)
  await writeFile(file, '{"cpu": 0.3, "when": "always"}')

  assert.match((await pingo('pause', '--for', '30m')).stdout, /^Paused for 30 min/)
  const paused = await view()
  assert.deepEqual([paused.state, paused.pause?.reason, paused.allowedCores], ['paused', 'owner', 0])
  assert.match((await pingo('status')).stdout, /\npaused +\S.*\n/)
  await until(() => node.stdout().includes('"state":"paused"'), 'the line of the pause')
  assert.match((await pingo('resume')).stdout, /^Your pause is over/)
  assert.notEqual((await view()).pause?.reason, 'owner')

  assert.match((await pingo('history')).stdout, /^Nothing was run here yet\.\n$/)
  assert.match((await pingo('earnings')).stdout, /^Nothing has counted yet/)

  const page = /http:\S+/.exec((await pingo('status')).stdout)![0]
  const token = page.split('token=')[1]!
  assert.equal((await fetch(page.split('#')[0]!)).status, 200)
  for (const said of [
    node.stdout(),
    node.stderr(),
    await readFile(place.path('home', 'contributor', 'log', 'contributor.log'), 'utf8'),
  ])
    assert.ok(!said.includes(token), 'the token stays in its file')

  // a report has what runs, and no secret of this home
  await pingo('diagnostics', '--output', 'report.json')
  const report = await readFile(place.path('report.json'), 'utf8')
  const { peerId } = await view()
  const key = await readFile(place.path('home', 'contributor', 'identity.key'))
  for (const secret of [token, peerId, key.toString('hex'), key.toString('base64'), '127.0.0.1'])
    assert.ok(!report.includes(secret), `${secret} in the report`)
  assert.match(report, /"state": "(?:idle|working|paused)"/)
  assert.match(report, /connected to the fog node/)

  const doctor = await pingo('doctor', '--json')
  const { checks } = JSON.parse(doctor.stdout) as { checks: { name: string; state: string }[] }
  for (const name of ['settings', 'contributor', 'fog node', 'version'])
    assert.equal(checks.find((check) => check.name === name)?.state, 'ok', doctor.stdout)

  assert.equal((await pingo('leave')).stdout, 'The contributor has left.\n')
  const ended = await node.ended
  assert.deepEqual([ended.code, ended.signal], [0, null])
  assert.ok(!existsSync(place.path('home', 'contributor', 'control.json')))
})

test('what kill -9 leaves does not stop the next start; leaving can remove the home, when it is one', async () => {
  await using place = await Place.create()
  const { node } = await network(place)
  node.child.kill('SIGKILL')
  await node.ended
  assert.ok(existsSync(place.path('home', 'contributor', 'control.json')))
  assert.equal((await place.run(['contribute', 'status'])).code, 1)
  const again = place.start(['contribute', '--json'])
  await until(() => again.stdout().includes('\n'), 'the contributor')

  const unasked = await place.run(['contribute', 'leave', '--purge'])
  assert.equal(unasked.code, 1)
  assert.match(unasked.stderr, /Nothing was removed\.\nThere is no terminal to ask at: say --yes\./)
  const other = await place.run(['contribute', 'leave', '--purge', '--yes', '--home', place.path('home')])
  assert.match(other.stderr, /is no contributor's home; nothing is removed\./)
  const purged = await place.run(['contribute', 'leave', '--purge', '--yes'])
  assert.equal(purged.code, 0, purged.stderr)
  assert.equal((await again.ended).code, 0)
  assert.deepEqual([existsSync(place.path('home')), existsSync(place.path('home', 'contributor'))], [true, false])
})

test('settings are written without a contributor that runs, and hold when one starts', async () => {
  await using place = await Place.create()
  const set = await place.run(['contribute', 'set', 'cpu=0.5', 'schedule=sat-sun', '--json'])
  assert.equal(set.code, 0, set.stderr)
  assert.deepEqual((JSON.parse(set.stdout) as SettingsView).said, { cpu: '0.5', schedule: 'sat-sun' })
  assert.match(
    (await place.run(['contribute', 'set', 'cpu='])).stdout,
    /^cpu .*\(default\)\nWritten to .*contributor\.json/,
  )
  assert.match((await place.run(['contribute', 'get'])).stdout, /^schedule +sat-sun$/m)
})

test('what is wrong is found by the doctor, who ends with 1; a service is printed, and not installed where nothing would run it', async () => {
  await using place = await Place.create()
  const doctor = await place.run(['contribute', 'doctor', '--fog', '/ip4/127.0.0.1/tcp/1/p2p/x'])
  assert.equal(doctor.code, 1)
  assert.match(doctor.stdout, /^fail +fog node +None of \/ip4\/127\.0\.0\.1\/tcp\/1\/p2p\/x can be reached\. Check/m)
  assert.match(doctor.stdout, /^warn +contributor +None runs\. Start it with `pingo contribute`\.$/m)
  const printed = await place.run(['contribute', 'install-service', '--print', '--fog', '/ip4/1.2.3.4/tcp/1'])
  assert.equal(printed.code, 0, printed.stderr)
  assert.match(printed.stdout, /pingo\.js.*\/ip4\/1\.2\.3\.4\/tcp\/1/s)
  if (process.platform !== 'linux') return
  const env = { PATH: place.folder, HOME: place.folder, XDG_CONFIG_HOME: '' }
  const refused = await place.run(['contribute', 'install-service'], { env })
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^pingo: There is no service manager of yours here \(systemctl does not answer\)\.\n/)
  const absent = await place.run(['contribute', 'uninstall-service'], { env })
  assert.match(absent.stderr, /^pingo: No service of a contributor is installed here\./)
})

test('without release keys an update asks for nothing and says so', async () => {
  await using place = await Place.create()
  const check = await place.run(['contribute', 'update', '--check', '--json', '--from', 'http://127.0.0.1:1/release'])
  assert.equal(check.code, 0, check.stderr)
  assert.equal(JSON.parse(check.stdout).state, 'off')
  const update = await place.run(['contribute', 'update'])
  assert.equal(update.code, 1)
  assert.match(update.stderr, /^pingo: Updates are off: .*\nNothing is asked for and nothing is installed\./)
  assert.ok(!existsSync(place.path('home', 'contributor')))
})
