import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import type { JobEvent, JobView, RoundView } from '@pingo/wire'
import { Place, serve, until } from './support/command.ts'

const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

/** The Node that a user's shell would start, which may be too old for the sources. */
function usersNode(): string {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  return folders.map((folder) => join(folder, name)).find(existsSync) ?? process.execPath
}

const job = (change: Partial<JobView> = {}): JobView => ({
  id: 'job-1',
  name: 'stub',
  state: 'running',
  submittedAt: 1,
  startedAt: 1,
  program: CID,
  train: CID,
  metricName: 'accuracy',
  lossName: 'cross_entropy',
  parameters: 10,
  batch: 10,
  epochs: 1,
  rounds: 1,
  samplesDone: 50,
  samplesTotal: 100,
  samplesPerSecond: 10,
  samplesInFlight: 0,
  contributors: 1,
  shares: [{ contributor: 'c', name: 'c', samples: 50, updates: 1 }],
  ...change,
})
const round = (n: number): RoundView => ({
  round: n,
  at: 1,
  millis: 1,
  samples: 50,
  samplesDone: 50 * n,
  samplesPerSecond: 10,
  loss: 1 / n,
  metric: 0.5,
  learningRate: 1e-3,
  checkpoint: CID,
  shares: [{ contributor: 'c', name: 'c', samples: 50, updates: 1 }],
  excluded: [],
})

/** A gateway with one job whose events are given. */
const stub = (events: JobEvent[], last = job()) =>
  serve((request, response) => {
    if (request.url === '/v1/jobs') return response.end(JSON.stringify({ jobs: [last] }))
    if (request.url === '/v1/jobs/job-1') return response.end(JSON.stringify(last))
    if (request.url === '/v1/jobs/job-1/rounds') return response.end(JSON.stringify({ rounds: [round(1)] }))
    if (!request.url?.endsWith('/events'))
      return response.writeHead(404).end('{"error":{"code":"JOB_UNKNOWN","message":"There is no such job."}}')
    response.writeHead(200)
    for (const event of events)
      response.write(`id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    return last.state === 'running' ? undefined : response.end()
  })

const history = (last: JobView): JobEvent[] => [
  { type: 'log', seq: 1, at: 1, level: 'info', message: 'Taken in.' },
  { type: 'state', seq: 2, at: 1, job: job() },
  { type: 'round', seq: 3, at: 1, round: round(1) },
  { type: 'round', seq: 4, at: 1, round: { ...round(1), testMetric: 0.25, testLoss: 2 } },
  { type: 'round', seq: 5, at: 1, round: { ...round(1), testMetric: 0.25, testLoss: 2 } },
  { type: 'round', seq: 6, at: 1, round: round(2) },
  { type: 'state', seq: 7, at: 1, job: last },
]

test('following a job ends with its exit code, a line a round', async () => {
  await using place = await Place.create()
  for (const [state, code] of [
    ['done', 0],
    ['failed', 1],
    ['stopped', 1],
  ] as const) {
    const ended = job({
      state,
      endedAt: 2001,
      samplesDone: 100,
      rounds: 2,
      reason: state === 'done' ? undefined : 'because',
    })
    await using gateway = await stub(history(ended), ended)
    const run = await place.run(['job', 'logs', '-f', 'last', '--fog', gateway.url])
    assert.equal(run.code, code)
    const lines = run.stdout.trimEnd().split('\n')
    assert.equal(lines.filter((line) => /^round \d+ {2}\d+ of/.test(line)).length, 2, run.stdout)
    assert.match(run.stdout, /^round 1 {2}50 of 100 samples {2}loss 1\.0000 {2}accuracy 50\.00 %/m)
    assert.equal(run.stdout.match(/^round 1 {2}test accuracy 25\.00 %/gm)?.length, 1, 'said once')
    assert.match(run.stdout, state === 'done' ? /^Done in 2\.0 s: 100 samples in 2 rounds/m : /because\.$/m)

    const json = await place.run(['job', 'logs', '-f', 'job-1', '--fog', gateway.url, '--json'])
    assert.equal(json.code, code)
    assert.deepEqual(
      json.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).seq),
      [1, 2, 3, 4, 5, 6, 7],
    )
  }
})

test('a description tells how a job trains and all that the test data told; programs get it as it came', async () => {
  await using place = await Place.create()
  const ended = job({
    state: 'done',
    endedAt: 2001,
    metric: 0.5,
    testMetric: 0.25,
    testLoss: 2,
    testMetrics: { accuracy: 0.25, f1_macro: 0.2, auc: 0.75 },
    training: {
      loss: 'cross entropy, smoothing 0.1',
      optimizer: 'Muon, learning rate 0.01',
      schedule: 'constant',
      accumulation: '2 parts of 5',
      adapters: 'LoRA rank 8',
      frozen: 'embed.*',
    },
  })
  await using gateway = await stub(history(ended), ended)
  const { code, stdout } = await place.run(['job', 'describe', 'last', '--fog', gateway.url])
  assert.equal(code, 0)
  for (const line of [
    /^progress +50 of 100 samples, 1 epochs of batches of 10 in 2 parts of 5$/m,
    /^loss +– \(cross entropy, smoothing 0\.1\)$/m,
    /^test +accuracy 25\.00 %, F1 \(macro\) 0\.2000, AUC 0\.7500, loss 2\.0000$/m,
    /^optimiser +Muon, learning rate 0\.01; constant$/m,
    /^adapters +LoRA rank 8$/m,
    /^frozen +embed\.\*$/m,
  ])
    assert.match(stdout, line)
  const json = JSON.parse((await place.run(['job', 'describe', 'last', '--fog', gateway.url, '--json'])).stdout)
  assert.deepEqual([json.job.testMetrics, json.job.training], [ended.testMetrics, ended.training])
  const logs = await place.run(['job', 'logs', 'last', '--fog', gateway.url])
  assert.match(logs.stdout, /^Accuracy 25\.00 %, F1 \(macro\) 0\.2000, AUC 0\.7500, loss 2\.0000 on the test data\.$/m)
})

test('logs of a job that runs end when all stored events were told', async () => {
  await using place = await Place.create()
  await using gateway = await stub(history(job()).slice(0, 4))
  const run = await place.run(['job', 'logs', 'stub', '--fog', gateway.url])
  assert.deepEqual([run.code, run.stderr], [0, ''])
  assert.match(run.stdout, /round 1/)
})

test('Ctrl-C leaves the job running and says how to pick it up again', async () => {
  await using place = await Place.create()
  await using gateway = await stub(history(job()).slice(0, 3))
  for (const node of [process.execPath, usersNode()]) {
    const command = place.start(['job', 'logs', '-f', 'job-1', '--fog', gateway.url], { node })
    await until(() => command.stdout().includes('round 1'), 'the first round')
    command.child.kill('SIGINT')
    const { code, stderr } = await command.ended
    assert.equal(code, 130)
    assert.match(stderr, /The job goes on without you; pick it up again with `pingo job logs -f job-1`\./)
  }
})

test('jobs are found by the beginning of their id, by name, or as the last; a stranger is told', async () => {
  await using place = await Place.create()
  const ended = job({ state: 'done', endedAt: 2 })
  await using gateway = await stub(history(ended), ended)
  for (const id of ['job-1', 'job', 'stub', 'last'])
    assert.equal((await place.run(['job', 'logs', id, '--fog', gateway.url])).code, 0, id)
  const stranger = await place.run(['job', 'logs', 'other', '--fog', gateway.url])
  assert.equal(stranger.code, 1)
  assert.equal(stranger.stderr, "pingo: There is no job 'other'.\nSee `pingo job list`.\n")
})

test("the user's Node, even one too old for the sources, runs the command: same output, same exit code", async () => {
  await using place = await Place.create()
  const node = usersNode()
  const version = await place.run(['--version'], { node })
  assert.deepEqual([version.code, version.stderr], [0, ''])
  assert.equal((await place.run(['nonsense'], { node })).code, 2)
})

test('a fog node: a readiness line, a connection file that goes with it, an end by SIGTERM and by its parent', async () => {
  await using place = await Place.create()
  const connection = place.path('home', 'connection.json')
  await place.write('token', 'a-token-of-more-than-16-characters\n')
  for (const how of ['SIGTERM', 'SIGINT', 'parent'] as const) {
    const args = [
      'fog',
      '--port',
      '0',
      '--json',
      '--token-file',
      'token',
      ...(how === 'parent' ? ['--with-parent'] : []),
    ]
    const fog = place.start(args, { node: how === 'SIGTERM' ? usersNode() : process.execPath })
    await until(() => fog.stdout().includes('\n') || fog.child.exitCode !== null, 'the readiness line')
    const ready = JSON.parse(fog.stdout())
    assert.equal(ready.ready, true, fog.stderr())
    assert.equal(ready.token, 'a-token-of-more-than-16-characters')
    const written = JSON.parse(await readFile(connection, 'utf8'))
    assert.deepEqual([written.url, written.token, written.multiaddrs], [ready.url, ready.token, ready.multiaddrs])
    const list = await place.run(['job', 'list'])
    assert.equal(list.stdout, 'No jobs yet; submit one with `pingo train job.yaml`.\n')
    if (how === 'parent') fog.child.stdin!.end()
    else fog.child.kill(how)
    const { code, stderr, stdout } = await fog.ended
    assert.deepEqual([code, stderr], [0, ''], how)
    assert.equal(stdout.trimEnd().split('\n').length, 1)
    assert.equal(existsSync(connection), false)
  }
})

test('kill -9 of the starter ends the node that it handed over to', async () => {
  await using place = await Place.create()
  const fog = place.start(['fog', '--port', '0', '--json'], { node: usersNode() })
  await until(() => fog.stdout().includes('\n'), 'the readiness line')
  const { pid } = JSON.parse(fog.stdout())
  fog.child.kill('SIGKILL')
  const isAlive = () => {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  }
  await until(() => !isAlive(), 'the fog node to end')
})

test('a token file that is no good', async () => {
  await using place = await Place.create()
  await place.write('short', 'short\n')
  for (const [file, message] of [
    ['short', /is not one word of at least 16 characters/],
    ['none', /cannot be read \(ENOENT\)/],
  ] as const) {
    const run = await place.run(['fog', '--token-file', file])
    assert.equal(run.code, 1)
    assert.match(run.stderr, message)
  }
})
