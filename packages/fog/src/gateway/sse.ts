import type { ServerResponse } from 'node:http'
import { isFinal, type JobEvent, MAX_EVENT_BACKLOG } from '@pingo/wire'
import type { Database } from '../database.ts'
import type { Job, Jobs } from '../jobs.ts'

const KEEP_ALIVE_COMMENT_MS = 15_000
/** A follower that lets so many bytes pile up is cut; it picks up again by Last-Event-ID. */
const MAX_BUFFERED_BYTES = 1 << 20

/**
 * Streams a job's events (Server-Sent Events, WHATWG HTML 9.2): first those stored after `lastEventId`, then live ones.
 * Ends after the final state was sent.
 */
export function streamEvents(o: {
  response: ServerResponse
  jobs: Jobs
  db: Database
  job: Job
  lastEventId: number
}): void {
  const { response, jobs, db, job } = o
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  })
  let sent = o.lastEventId
  const write = (event: JobEvent) => {
    if (response.writableEnded || response.destroyed) return // what comes after the final state is for later readers
    if (event.type !== 'progress') {
      if (event.seq <= sent) return
      sent = event.seq
    }
    const id = event.type === 'progress' ? '' : `id: ${event.seq}\n`
    response.write(`${id}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy()
    else if (event.type === 'state' && isFinal(event.job.state)) response.end()
  }
  const unsubscribe = jobs.subscribe(job.row.id, write)
  const comment = setInterval(() => {
    if (!response.writableEnded) response.write(': still here\n\n')
  }, KEEP_ALIVE_COMMENT_MS)
  response.on('error', () => response.destroy())
  response.on('close', () => {
    unsubscribe()
    clearInterval(comment)
  })
  response.write('retry: 1000\n\n')
  for (const event of db.events(job.row.id, sent, MAX_EVENT_BACKLOG)) write(event)
  if (isFinal(job.row.state) && !response.writableEnded) response.end()
}
