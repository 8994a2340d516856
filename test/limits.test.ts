import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { JobView } from '@pingo/wire'
import { writeClusters } from './support/dataset.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

const JOB = `version: 1
name: limited
model: { template: mlp, hidden: [8] }
data: { train: data.csv }
train: { epochs: 200, batch: 16, round: 1s }
resources: { contributors: 1..1 }
`

test('a contributor with a slow line trains at the rate that its owner lends; volume, forecast and history are kept', {
  timeout: 120_000,
}, async () => {
  await using place = await Workplace.create()
  writeClusters(place.path('data.csv'), 300)
  await writeFile(place.path('job.yaml'), JOB)
  const fog = await place.node(['fog', '--home', place.path('fog'), '--port', '0'])
  const { url, token, multiaddrs } = fog.ready as { url: string; token: string; multiaddrs: string[] }
  const submitted = await place.run([
    'train',
    place.path('job.yaml'),
    '--detach',
    '--json',
    '--fog',
    url,
    '--token',
    token,
  ])
  assert.equal(submitted.code, 0, submitted.stderr)
  const home = place.path('one')
  await mkdir(home)
  await writeFile(place.path('one', 'contributor.json'), '{"rate": "50KB/s", "monthly": "1GB"}')
  const node = await place.node(['contribute', '--home', home, '--always', '--fog', multiaddrs[0]!])
  await until(async () => {
    const { jobs } = await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)
    return jobs[0]?.state === 'done'
  }, 'the job to be done')
  node.child.kill('SIGTERM')
  await node.ended
  const volume = JSON.parse(await readFile(place.path('one', 'bandwidth.json'), 'utf8'))
  const [month] = Object.values(volume.months) as { sent: number; received: number }[]
  assert.ok(month!.received > 5_000 && month!.sent > 1_000, JSON.stringify(month))
  assert.equal(volume.ahead, undefined, 'it is exact after an orderly end')
  const forecast = JSON.parse(await readFile(place.path('one', 'forecast.json'), 'utf8'))
  assert.equal(forecast.last.available, true)
})
