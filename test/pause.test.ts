import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Contributor, readMachine, resolveSettings } from '@pingo/contributor'
import type { JobView, NetworkView } from '@pingo/wire'
import { alwaysWatch } from '../packages/contributor/src/owner/always.ts'
import type { OwnerWatch, Verdict } from '../packages/contributor/src/owner/verdict.ts'
import { writeClusters } from './support/dataset.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

/** An owner whose moods the test sets. */
function moodyWatch(lent: { cores: number; memoryBytes: number }): OwnerWatch & { be(busy: boolean): void } {
  const base = alwaysWatch(lent)
  const listeners: ((verdict: Verdict) => void)[] = []
  let verdict: Verdict = lent
  const say = (next: Verdict): void => {
    verdict = next
    for (const listener of listeners) listener(next)
  }
  return {
    ...base,
    get verdict() {
      return verdict
    },
    get readings() {
      return base.readings
    },
    onChange: (listener) => void listeners.push(listener),
    be: (busy) =>
      say(
        busy
          ? { ...lent, cores: 0, pause: { reason: 'cpu-busy', since: Date.now(), sentence: 'The owner works.' } }
          : lent,
      ),
  }
}

test('an owner who works for a moment stops the steps and costs no lease; one who goes on gets partial work handed in, and the memory', {
  timeout: 180_000,
}, async () => {
  await using place = await Workplace.create()
  writeClusters(place.path('data.csv'), 300)
  await writeFile(
    place.path('job.yaml'),
    `version: 1
name: long
model: { template: mlp, hidden: [64] }
data: { train: data.csv }
train: { epochs: 100000, batch: 16, round: 8s }
`,
  )
  const fog = await place.node(['fog', '--home', place.path('fog'), '--port', '0'])
  const { url, token, multiaddrs } = fog.ready as { url: string; token: string; multiaddrs: string[] }
  const file = place.path('job.yaml')
  const submitted = await place.run(['train', file, '--detach', '--json', '--fog', url, '--token', token])
  assert.equal(submitted.code, 0, submitted.stderr)
  const home = place.path('one')
  const settings = resolveSettings({ cpu: 1, memory: '1Gi', disk: '100MB' }, await readMachine(home))
  const watch = moodyWatch(settings)
  const contributor = await Contributor.start({ home, fog: multiaddrs, settings, watch })
  try {
    const steps = () => contributor.view().slices[0]!.steps
    const trains = () => contributor.view().slices[0]!.state === 'training' && steps() > 0
    await until(async () => trains(), 'the first steps')
    const leaseOf = () => contributor.status().round

    // a moment: no step while it lasts, the same lease afterwards
    watch.be(true)
    assert.equal(contributor.view().allowedCores, 0)
    await sleep(600)
    const [parkedAt, round] = [steps(), leaseOf()]
    await sleep(500)
    assert.equal(steps(), parkedAt)
    watch.be(false)
    await until(async () => leaseOf() !== round || steps() > parkedAt, 'it to go on')

    // longer: what is done is handed in, the fog node hears why, memory is given back
    await until(async () => trains(), 'steps again')
    const before = contributor.view().credit.samplesAccepted
    watch.be(true)
    const network = () => getJson<NetworkView>(`${url}/v1/network`)
    await until(async () => (await network()).contributors[0]?.state === 'paused', 'the fog node to hear of it')
    assert.equal((await network()).contributors[0]?.pause?.reason, 'cpu-busy')
    assert.ok(contributor.view().credit.samplesAccepted > before, 'partial work is handed in')
    await until(async () => contributor.view().slices[0]!.rssBytes === 0, 'the memory to be given back')
    watch.be(false)
    await until(async () => trains(), 'it to work again')

    // less is lent, live
    contributor.change({ ...settings, cores: 0.25 })
    assert.equal(contributor.view().slices[0]!.cores, 0.25)
    await until(async () => (await network()).contributors[0]?.offer.cores === 0.25, 'the fog node to hear of it')
    const [job] = (await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)).jobs
    assert.equal(job!.state, 'running')
    const { leases, samplesAccepted } = contributor.view().credit
    assert.ok(leases >= 2 && samplesAccepted > 0)
  } finally {
    await contributor.leave()
  }
})
