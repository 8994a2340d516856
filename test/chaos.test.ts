import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { JobView, Ledger, NetworkView } from '@pingo/wire'
import { writeClusters } from './support/dataset.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

const ROWS = 3_001 // not a multiple of the batch: the stream's last batch is short
const EPOCHS = 150
const BATCH = 8

/** Every batch of the stream committed exactly once, and the samples add up. */
function assertExactlyOnce(ledger: Ledger): void {
  assert.equal(ledger.samplesTotal, ROWS * EPOCHS)
  let next = 0
  for (const { from, to } of [...ledger.entries].sort((a, b) => a.from - b.from)) {
    assert.equal(from, next, `batch ${next} is missing or counted twice`)
    next = to
  }
  assert.equal(next, ledger.batchesTotal)
  assert.equal(
    ledger.entries.reduce((sum, { samples }) => sum + samples, 0),
    ledger.samplesTotal,
  )
}

test('kill -9 of a contributor and of the fog node in mid-round: the job ends, nothing is lost or counted twice', {
  timeout: 240_000,
}, async () => {
  await using place = await Workplace.create()
  writeClusters(place.path('data.csv'), ROWS)
  await writeFile(
    place.path('job.yaml'),
    `version: 1
name: chaos
model: { template: mlp, hidden: [32] }
data: { train: data.csv, test: 0.1 }
train: { epochs: ${EPOCHS}, batch: ${BATCH}, lr: 3e-3, round: 1s }
`.replace('test: 0.1', `test: data.csv`),
  )
  const fogHome = place.path('fog')
  const fogArgs = (port: string, p2p: string) => ['fog', '--home', fogHome, '--port', port, '--p2p-port', p2p]
  let fog = await place.node(fogArgs('0', '0'))
  const { url, token, multiaddrs } = fog.ready as { url: string; token: string; multiaddrs: string[] }
  const contributor = (name: string) =>
    place.node(['contribute', '--always', '--home', place.path(name), '--name', name, '--fog', multiaddrs[0]!])
  const [, second] = await Promise.all([contributor('one'), contributor('two'), contributor('three')])

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
  const { jobs } = await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)
  const job = () => getJson<JobView>(`${url}/v1/jobs/${jobs[0]!.id}`)
  const roundIs = (n: number) =>
    until(async () => (await job()).rounds >= n && (await job()).samplesInFlight > 0, `round ${n}`)

  await roundIs(1)
  second.child.kill('SIGKILL')
  await until(
    async () => (await getJson<NetworkView>(`${url}/v1/network`)).contributors.length === 2,
    'the dead contributor to be noticed',
  )
  const before = (await job()).rounds
  await roundIs(before + 1)

  fog.child.kill('SIGKILL')
  await fog.ended
  const port = new URL(url).port
  fog = await place.node(fogArgs(port, /\/tcp\/(\d+)\//.exec(multiaddrs[0]!)![1]!))
  const restarted = await job()
  assert.ok(
    restarted.rounds >= before + 1,
    `round ${before + 1} was committed, after the restart it is ${restarted.rounds}`,
  )
  assert.notEqual(restarted.state, 'done', 'the job was over too soon for this test')

  await until(async () => ['done', 'failed', 'stopped'].includes((await job()).state), 'the job to end')
  const view = await job()
  assert.equal(view.state, 'done', view.reason)
  assert.equal(view.samplesDone, ROWS * EPOCHS)
  assert.ok(view.testMetric! > 0.9, `test accuracy ${view.testMetric}`)
  assertExactlyOnce(await getJson<Ledger>(`${url}/v1/jobs/${view.id}/ledger`))
  const verified = await place.run(['job', 'verify', view.id, '--json', '--fog', url])
  assert.equal(verified.code, 0, verified.stderr + verified.lines.join('\n'))

  const calm = await place.run([
    'train',
    place.path('job.yaml'),
    '--json',
    '--fog',
    url,
    '--token',
    token,
    '--output',
    place.path('calm'),
  ])
  assert.equal(calm.code, 0, calm.stderr)
  const undisturbed = (await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)).jobs[0]!
  const points = 100 * Math.abs(undisturbed.testMetric! - view.testMetric!)
  assert.ok(points <= 0.3, `${points} points from the undisturbed run`)
})

test('a contributor that is asked to leave hands in its partial work', { timeout: 120_000 }, async () => {
  await using place = await Workplace.create()
  writeClusters(place.path('data.csv'), ROWS)
  await writeFile(
    place.path('job.yaml'),
    `version: 1
name: leaving
model: { template: mlp, hidden: [256, 256] }
data: { train: data.csv }
train: { epochs: ${EPOCHS}, batch: ${BATCH}, round: 20s }
`,
  )
  const fog = await place.node(['fog', '--home', place.path('fog'), '--port', '0'])
  const { url, multiaddrs } = fog.ready as { url: string; multiaddrs: string[] }
  const worker = await place.node(['contribute', '--always', '--home', place.path('one'), '--fog', multiaddrs[0]!])
  const submitted = await place.run([
    'train',
    place.path('job.yaml'),
    '--detach',
    '--json',
    '--fog',
    url,
    '--token',
    String(fog.ready.token),
  ])
  assert.equal(submitted.code, 0, submitted.stderr)
  const job = async () => (await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)).jobs[0]!
  await until(async () => (await job()).samplesInFlight > 0, 'the first steps')
  worker.child.kill('SIGTERM')
  assert.equal(await worker.ended, 0)
  await until(async () => (await job()).rounds === 1, 'the partial update to be merged')
  const { samplesDone } = await job()
  assert.ok(samplesDone > 0 && samplesDone < ROWS * EPOCHS, `${samplesDone} samples`)
})
