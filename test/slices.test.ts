import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import type { JobView, NetworkView } from '@pingo/wire'
import { writeClusters } from './support/dataset.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

const job = (name: string) => `version: 1
name: ${name}
model: { template: mlp, hidden: [8] }
data: { train: data.csv }
train: { epochs: 3000, batch: 16, round: 500ms }
resources: { contributors: 1..1 }
`

test('one contributor serves two jobs at once, each in a slice; samples are counted once and are its own', {
  timeout: 180_000,
  skip: availableParallelism() < 2 && 'it takes two cores',
}, async () => {
  await using place = await Workplace.create()
  writeClusters(place.path('data.csv'), 300)
  const fog = await place.node(['fog', '--home', place.path('fog'), '--port', '0'])
  const { url, token, multiaddrs } = fog.ready as { url: string; token: string; multiaddrs: string[] }
  for (const name of ['first', 'second']) {
    await writeFile(place.path(`${name}.yaml`), job(name))
    const file = place.path(`${name}.yaml`)
    const submitted = await place.run(['train', file, '--detach', '--json', '--fog', url, '--token', token])
    assert.equal(submitted.code, 0, submitted.stderr)
  }
  const { ready } = await place.node([
    'contribute',
    '--always',
    '--home',
    place.path('one'),
    '--cores',
    '2',
    '--fog',
    multiaddrs[0]!,
  ])
  const network = () => getJson<NetworkView>(`${url}/v1/network`)
  await until(async () => {
    const jobs = (await network()).contributors[0]?.slices.map((slice) => slice.job) ?? []
    return new Set(jobs.filter(Boolean)).size === 2
  }, 'both slices to work, each for a job')
  const jobs = async () => (await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)).jobs
  await until(async () => (await jobs()).every(({ state }) => state === 'done'), 'both jobs to be done')
  const done = await jobs()
  for (const { id, shares, samplesTotal, contributors } of done) {
    assert.equal(contributors, 1)
    assert.deepEqual(
      shares.map(({ contributor, samples }) => [contributor, samples]),
      [[ready.peerId, samplesTotal]],
    )
    const verified = await place.run(['job', 'verify', id, '--fog', url, '--token', token])
    assert.equal(verified.code, 0, verified.stderr)
  }
  const [contributor] = (await network()).contributors
  assert.equal(
    contributor!.samples,
    done.reduce((sum, { samplesTotal }) => sum + samplesTotal, 0),
  )
})
