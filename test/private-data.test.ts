import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadKeyring } from '@pingo/storage'
import type { JobView, RoundView } from '@pingo/wire'
import { writeClusters } from './support/dataset.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

const ROWS = 3_001
const EPOCHS = 150

/** Every file below a folder, whole. */
function* filesBelow(folder: string): Generator<{ path: string; bytes: Buffer }> {
  for (const entry of readdirSync(folder, { recursive: true }) as string[]) {
    const path = join(folder, entry)
    try {
      if (statSync(path).isFile()) yield { path, bytes: readFileSync(path) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error // a block of a past round was removed
    }
  }
}

/** The longest runs of the table's own bytes that must not lie anywhere: 24 bytes are six numbers, which chance does not repeat. */
function plaintexts(csv: string): Buffer[] {
  const rows = readFileSync(csv, 'utf8').trim().split('\n').slice(1)
  return rows.slice(0, 200).map((row) => Buffer.from(Float32Array.from(row.split(',').slice(0, -1).map(Number)).buffer))
}

test('private data: ciphertext on every disk, the same training to the bit, keys that end with the job, results for the owner', {
  timeout: 240_000,
}, async () => {
  await using place = await Workplace.create()
  writeClusters(place.path('data.csv'), ROWS, { features: 6 })
  const job = (name: string, more: string, train: string) => `version: 1
name: ${name}
model: { template: mlp, hidden: [32] }
data: { train: data.csv, test: data.csv${more} }
train: { lr: 3e-3, seed: 7, ${train} }
`
  // one contributor, one round that is long enough for all, and no more steps than one whose speed nobody knows is given at first:
  // nothing then depends on time
  const whole = 'batch: 400, epochs: 1, round: 600s'
  await writeFile(place.path('open.yaml'), job('open', '', whole))
  await writeFile(place.path('private.yaml'), job('private', ', private: true', whole))
  await writeFile(place.path('long.yaml'), job('long', ', private: true', `batch: 16, epochs: ${EPOCHS}, round: 500ms`))

  const fogHome = place.path('fog')
  const fogArgs = (port: string, p2p: string) => ['fog', '--home', fogHome, '--port', port, '--p2p-port', p2p]
  let fog = await place.node(fogArgs('0', '0'))
  const { url, token, multiaddrs } = fog.ready as { url: string; token: string; multiaddrs: string[] }
  await place.node(['contribute', '--always', '--home', place.path('one'), '--fog', multiaddrs[0]!])
  const access = ['--fog', url, '--token', token]
  const train = async (name: string) => {
    const ran = await place.run([
      'train',
      place.path(`${name}.yaml`),
      '--json',
      '--output',
      place.path(name),
      ...access,
    ])
    assert.equal(ran.code, 0, ran.stderr)
    return (await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)).jobs[0]!
  }
  const authorized = async <T>(path: string): Promise<T> => {
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })
    assert.equal(response.status, 200, path)
    return (await response.json()) as T
  }
  const roundsOf = async ({ id }: JobView) =>
    (await authorized<{ rounds: RoundView[] }>(`/v1/jobs/${id}/rounds`)).rounds
  const plain = plaintexts(place.path('data.csv'))
  const showsData = (folder: string) =>
    [...filesBelow(folder)].filter(({ bytes }) => plain.some((row) => bytes.includes(row))).map(({ path }) => path)

  // private first: nothing of the data has been anywhere yet
  const hidden = await train('private')
  assert.equal(hidden.private, true)
  for (const home of ['fog', 'one']) assert.deepEqual(showsData(place.path(home)), [], `the ${home}'s home shows data`)

  // the long job: kill -9 the fog node in mid-job, it goes on by the key that it sealed for itself
  const detached = await place.run(['train', place.path('long.yaml'), '--detach', '--json', ...access])
  assert.equal(detached.code, 0, detached.stderr)
  const long = async () => (await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)).jobs[0]!
  await until(async () => (await long()).rounds >= 1, 'a round')
  assert.deepEqual(readdirSync(join(fogHome, 'grants')), [(await long()).id])
  fog.child.kill('SIGKILL')
  await fog.ended
  fog = await place.node(fogArgs(new URL(url).port, /\/tcp\/(\d+)\//.exec(multiaddrs[0]!)![1]!))
  assert.equal((await long()).state, 'running', 'the job was over too soon for this test')
  const rounds = (await long()).rounds
  await until(async () => (await long()).rounds > rounds, 'a round after the restart')
  const stopped = await place.run(['job', 'stop', (await long()).id, '--json', ...access])
  assert.equal(stopped.code, 0, stopped.stderr)
  await until(async () => (await long()).state === 'stopped', 'the job to end')
  await until(() => readdirSync(join(fogHome, 'grants')).length === 0, 'its key to be gone')

  // what ended is not read again, by no restart; nor are keys anywhere
  for (const home of ['fog', 'one']) assert.deepEqual(showsData(place.path(home)), [], `the ${home}'s home shows data`)
  const keyring = await loadKeyring(join(place.path('home'), 'storage.key'))
  const stored = (await authorized<{ datasets: { cid: string; kind: string }[] }>('/v1/datasets')).datasets
  assert.ok(stored.length >= 2 && stored.every(({ kind }) => kind === 'private'))
  const { decode, SealedDatasetSchema } = await import('@pingo/wire')
  for (const { cid } of stored) {
    const raw = new Uint8Array(await (await fetch(`${url}/ipfs/${cid}?format=raw`)).arrayBuffer())
    const key = Buffer.from(keyring.datasetKey(decode(SealedDatasetSchema, raw, 1 << 20).salt))
    for (const home of ['fog', 'one'])
      for (const { path, bytes } of filesBelow(place.path(home)))
        for (const shown of [key, Buffer.from(key.toString('base64url')), Buffer.from(key.toString('hex'))])
          assert.ok(!bytes.includes(shown), `a key lies in ${path}`)
  }

  // the owner's results are the owner's
  const view = await getJson<JobView>(`${url}/v1/jobs/${hidden.id}`)
  assert.equal(view.result, undefined)
  for (const part of ['rounds', 'ledger', 'events', 'explain', 'files/model.onnx', 'files/model.json'])
    assert.equal((await fetch(`${url}/v1/jobs/${hidden.id}/${part}`)).status, 401, part)
  const seen = JSON.stringify(await authorized(`/v1/jobs/${hidden.id}`))
  assert.ok(seen.includes('"result"') && !seen.includes('grants'))

  // a private dataset in the network is trained on again by its owner, and by nobody else
  await writeFile(
    place.path('again.yaml'),
    job('again', '', whole).replace('train: data.csv', `train: pingo://${hidden.train}`),
  )
  const again = await train('again')
  const stranger = await place.run(['train', place.path('again.yaml'), ...access], {
    PINGO_HOME: place.path('stranger'),
  })
  assert.notEqual(stranger.code, 0)
  assert.match(stranger.stderr, /private, and not yours/)

  // the same bits as in the open
  const open = await train('open')
  assert.equal(open.private, undefined)
  const [secret, public_, third] = [await roundsOf(hidden), await roundsOf(open), await roundsOf(again)]
  assert.deepEqual([secret.length, public_.length, third.length], [1, 1, 1], 'one round each')
  for (const { loss, metric, checkpoint } of [secret[0]!, third[0]!])
    assert.deepEqual([loss, metric, checkpoint], [public_[0]!.loss, public_[0]!.metric, public_[0]!.checkpoint])
  assert.ok(showsData(fogHome).length > 0 && showsData(place.path('one')).length > 0, 'the test sees what lies open')
})
