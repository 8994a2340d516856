import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { JobEvent } from '@pingo/wire'
import type { Database } from '../database.ts'
import type { Job, Jobs } from '../jobs.ts'
import { streamEvents } from './sse.ts'

const state = (seq: number, name: string) =>
  ({ type: 'state', seq, at: 0, job: { state: name } }) as unknown as JobEvent
const log = (seq: number): JobEvent => ({ type: 'log', seq, at: 0, level: 'info', message: `line ${seq}` })

test('a stream ends after the final state, and events that come later do it no harm', async () => {
  let listener: (event: JobEvent) => void = () => assert.fail('nobody listens')
  const jobs = {
    subscribe(_: string, next: typeof listener) {
      listener = next
      return () => undefined
    },
  } as unknown as Jobs
  const db = {
    events: (_: string, after: number) => [log(1), log(2)].filter(({ seq }) => seq > after),
  } as unknown as Database
  const job = { row: { id: 'job-1', state: 'running' } } as unknown as Job
  const server = createServer((_, response) => {
    streamEvents({ response, jobs, db, job, lastEventId: 1 })
    for (const event of [
      log(2),
      log(3),
      state(4, 'done'),
      log(5),
      { ...state(5, 'done'), type: 'progress' } as JobEvent,
    ])
      listener(event)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const text = await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text()
    assert.deepEqual(
      [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1])),
      [2, 3, 4],
    )
  } finally {
    server.close()
  }
})
