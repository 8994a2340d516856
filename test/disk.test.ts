import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { JobView, NetworkView } from '@pingo/wire'
import { writeClusters } from './support/dataset.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

test('a contributor whose disk is nearly full says so and is given no work; with space again it trains', {
  timeout: 120_000,
}, async () => {
  await using place = await Workplace.create()
  writeClusters(place.path('data.csv'), 300)
  await writeFile(
    place.path('job.yaml'),
    `version: 1
name: disk
model: { template: mlp, hidden: [8] }
data: { train: data.csv }
train: { epochs: 2, batch: 16, round: 500ms }
`,
  )
  const fog = await place.node(['fog', '--home', place.path('fog'), '--port', '0'])
  const { url, token, multiaddrs } = fog.ready as { url: string; token: string; multiaddrs: string[] }
  const contribute = ['contribute', '--always', '--home', place.path('one'), '--disk', '100MB', '--fog', multiaddrs[0]!]
  const full = await place.node([...contribute, '--keep-free', '1000T'])
  assert.equal((full.ready.disk as { isLow: boolean }).isLow, true)
  const state = async () => (await getJson<NetworkView>(`${url}/v1/network`)).contributors[0]?.state
  await until(async () => (await state()) === 'paused', 'the contributor to say so')
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
  const job = async () => (await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)).jobs[0]!
  assert.equal((await job()).state, 'queued')
  full.child.kill('SIGTERM')
  assert.equal(await full.ended, 0)
  await place.node(contribute)
  await until(async () => (await job()).state === 'done', 'the job to be done')
})
