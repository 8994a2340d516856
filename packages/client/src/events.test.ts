import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { JobEvent, JobView } from '@pingo/wire'
import { followJob } from './events.ts'
import { Gateway } from './gateway.ts'
import { jobView, serve } from './testing/gateway.ts'

const state = (seq: number, job: Partial<JobView> = {}): JobEvent => ({
  type: 'state',
  seq,
  at: seq,
  job: jobView(job),
})
const log = (seq: number): JobEvent => ({ type: 'log', seq, at: seq, level: 'info', message: `event ${seq}` })
const send = (response: ServerResponse, event: JobEvent) =>
  response.write(
    `${event.type === 'progress' ? '' : `id: ${event.seq}\n`}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
  )

async function collect(gateway: Gateway, o: Parameters<typeof followJob>[2] = {}): Promise<JobEvent[]> {
  const events: JobEvent[] = []
  for await (const event of followJob(gateway, 'job-1', o)) events.push(event)
  return events
}

test('events come in order and end with the final state', async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(': hello\r\n\r\nretry: 1000\n\n')
    const text = [log(1), state(2), { ...state(2), type: 'progress' as const }, state(3, { state: 'done' })]
      .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      .join('')
    // split anywhere, also within a line
    for (let at = 0; at < text.length; at += 7) response.write(text.slice(at, at + 7))
    response.end()
  })
  const events = await collect(new Gateway(async () => ({ url: server.url })))
  assert.deepEqual(
    events.map(({ type, seq }) => [type, seq]),
    [
      ['log', 1],
      ['state', 2],
      ['progress', 2],
      ['state', 3],
    ],
  )
})

test('a broken stream goes on behind the last stored event, also after a restart at another address', async () => {
  const asked: (string | undefined)[] = []
  const all = [log(1), log(2), log(3), state(4, { state: 'done' })]
  const listener =
    (count: number) =>
    (request: { headers: NodeJS.Dict<string | string[]>; url?: string }, response: ServerResponse) => {
      if (!request.url?.endsWith('/events')) return response.end(JSON.stringify(jobView()))
      const last = request.headers['last-event-id'] as string | undefined
      asked.push(last)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const left = all.filter(({ seq }) => seq > Number(last ?? 0)).slice(0, count)
      for (const event of left) send(response, event)
      send(response, { ...state(left.at(-1)?.seq ?? 0), type: 'progress' } as JobEvent)
      return response.end()
    }
  const first = await serve(listener(2))
  await using second = await serve(listener(9))
  let { url } = first
  const trouble: (string | undefined)[] = []
  const events: number[] = []
  const following = followJob(new Gateway(async () => ({ url })), 'job-1', {
    onTrouble: (error) => {
      trouble.push(error?.code)
      url = second.url
    },
  })
  for await (const event of following) {
    if (event.type === 'progress') continue
    events.push(event.seq)
    if (event.seq === 2) await first[Symbol.asyncDispose]()
  }
  assert.deepEqual(events, [1, 2, 3, 4], 'each once')
  assert.deepEqual(asked, [undefined, '2'])
  assert.deepEqual([trouble[0], trouble.at(-1)], ['FOG_UNREACHABLE', undefined])
})

test('a job that ended while nobody followed is told by its final state', async () => {
  await using server = await serve((request, response) => {
    if (request.url?.endsWith('/events')) response.writeHead(200).end()
    else response.end(JSON.stringify(jobView({ state: 'failed', reason: 'no luck', endedAt: 9 })))
  })
  const [event, ...more] = await collect(new Gateway(async () => ({ url: server.url })), { after: 17 })
  assert.deepEqual(more, [])
  assert.ok(event?.type === 'state' && event.job.state === 'failed' && event.seq === 17)
})

test('an unknown job, nonsense and lost patience end it', async () => {
  await using server = await serve((request, response) => {
    if (request.headers['last-event-id'] === '1') response.writeHead(200).end('data: {"type":"rubbish"}\n\n')
    else response.writeHead(404).end('{"error":{"code":"JOB_UNKNOWN","message":"There is no job."}}')
  })
  const gateway = new Gateway(async () => ({ url: server.url }))
  await assert.rejects(collect(gateway), { code: 'JOB_UNKNOWN' })
  await assert.rejects(collect(gateway, { after: 1 }), { code: 'MESSAGE_INVALID' })
  const nobody = new Gateway(async () => ({ url: 'http://127.0.0.1:1' }))
  await assert.rejects(collect(nobody, { patienceMs: 0 }), { code: 'FOG_UNREACHABLE' })
})

test('an abort ends it at once, in the middle of a stream and between two', async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200)
    send(response, log(1))
  })
  for (const url of [server.url, 'http://127.0.0.1:1']) {
    const abort = new AbortController()
    const following = collect(new Gateway(async () => ({ url })), {
      signal: abort.signal,
      onTrouble: () => abort.abort(),
    })
    if (url === server.url) setTimeout(() => abort.abort(), 50)
    await assert.rejects(following, { name: 'AbortError' })
  }
})
