import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { peerIdFromString } from '@libp2p/peer-id'
import {
  type JobEvent,
  JobEventSchema,
  type JobView,
  JobViewSchema,
  NetworkViewSchema,
  RoundViewSchema,
} from '@pingo/wire'
import { writeClusters } from './support/dataset.ts'
import { getJson, until, Workplace } from './support/pingo.ts'

async function readEvents(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ id?: number; event: JobEvent }[]> {
  const response = await fetch(url, { headers })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  const events = []
  for (const block of (await response.text()).split('\n\n')) {
    const data = /^data: (.*)$/m.exec(block)?.[1]
    if (data)
      events.push({
        id: Number(/^id: (\d+)$/m.exec(block)?.[1]) || undefined,
        event: JobEventSchema.parse(JSON.parse(data)),
      })
  }
  return events
}

test('the API: tokens, views, events that resume, metrics, a signed webhook', { timeout: 180_000 }, async () => {
  await using place = await Workplace.create()
  const hooks: { headers: IncomingHttpHeaders; body: string }[] = []
  const receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    hooks.push({ headers: request.headers, body })
    response.end()
  })
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  try {
    const fog = await place.node(['fog', '--home', place.path('fog'), '--port', '0'])
    const { url, token, multiaddrs } = fog.ready as { url: string; token: string; multiaddrs: string[] }
    await place.node(['contribute', '--always', '--home', place.path('one'), '--fog', multiaddrs[0]!])

    for (const path of ['/v1/jobs', '/v1/datasets', '/v1/blocks/missing', '/v1/jobs/x/stop']) {
      const refused = await fetch(url + path, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json', authorization: 'Bearer wrong' },
      })
      assert.equal(refused.status, 401, path)
    }
    const unknown = await fetch(`${url}/v1/jobs/job-0`)
    assert.deepEqual(
      [unknown.status, ((await unknown.json()) as { error: { code: string } }).error.code],
      [404, 'JOB_UNKNOWN'],
    )
    const garbage = await fetch(`${url}/v1/jobs`, {
      method: 'POST',
      body: '{"version":1}',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    })
    assert.equal(garbage.status, 400)

    writeClusters(place.path('data.csv'), 500)
    await writeFile(
      place.path('job.yaml'),
      `version: 1
name: api
model: { template: mlp, hidden: [16] }
data: { train: data.csv, test: data.csv }
train: { epochs: 20, batch: 16, round: 500ms }
notify: { webhook: "http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook" }
`,
    )
    const trained = await place.run([
      'train',
      place.path('job.yaml'),
      '--json',
      '--fog',
      url,
      '--token',
      token,
      '--output',
      place.path('out'),
    ])
    assert.equal(trained.code, 0, trained.stderr)
    const { jobs } = await getJson<{ jobs: JobView[] }>(`${url}/v1/jobs`)
    const job = JobViewSchema.parse(jobs[0])
    assert.equal(job.state, 'done')
    assert.equal(job.samplesDone, 10_000)
    const card = JSON.parse(await readFile(place.path('out', 'model.json'), 'utf8'))
    assert.deepEqual(job.testMetrics, card.test.metrics)
    assert.equal(job.testMetrics?.accuracy, job.testMetric)
    assert.equal(job.training?.loss, 'cross entropy')

    const network = NetworkViewSchema.parse(await getJson(`${url}/v1/network`))
    assert.equal(network.contributors[0]!.samples, 10_000)
    const { rounds } = await getJson<{ rounds: unknown[] }>(`${url}/v1/jobs/${job.id}/rounds`)
    assert.equal(
      rounds.map((round) => RoundViewSchema.parse(round).samples).reduce((a, b) => a + b),
      10_000,
    )

    const events = await readEvents(`${url}/v1/jobs/${job.id}/events`)
    const ids = events.map(({ id }) => id!)
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
    )
    const half = ids[Math.floor(ids.length / 2)]!
    const rest = await readEvents(`${url}/v1/jobs/${job.id}/events`, { 'last-event-id': String(half) })
    assert.deepEqual(
      rest.map(({ id }) => id),
      ids.filter((id) => id > half),
    )

    const metrics = await (await fetch(`${url}/metrics`)).text()
    assert.match(metrics, /^pingo_contributors 1$/m)
    assert.match(metrics, /^pingo_samples_committed_total 10000$/m)
    assert.match(metrics, /^pingo_jobs\{state="done"\} 1$/m)

    await until(() => hooks.length > 0, 'the webhook')
    const { headers, body } = hooks[0]!
    assert.equal(JSON.parse(body).type, 'job.done')
    const raw = peerIdFromString(String(headers['pingo-fog'])).publicKey!.raw
    const key = createPublicKey({
      key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]),
      format: 'der',
      type: 'spki',
    })
    const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
    const signature = Buffer.from(String(headers['webhook-signature']).replace('v1a,', ''), 'base64')
    assert.ok(verify(null, signed, key, signature), 'the signature is the fog node’s')

    for (const path of [
      '/../../etc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/assets/../../package.json',
      '/ipfs/../x',
      '/ipfs/notacid?format=raw',
    ])
      assert.ok((await fetch(url + path)).status >= 400, path)
  } finally {
    receiver.close()
  }
})
