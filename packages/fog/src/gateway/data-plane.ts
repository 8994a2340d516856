import type { IncomingMessage, ServerResponse } from 'node:http'
import { PinGoError, sentence } from '@pingo/wire'
import type { UpdateDesk } from '../updates.ts'
import { bears } from './bearer.ts'

const UPDATE_PATH = /^\/v1\/leases\/([\w.-]{1,100})\/update$/
/** Updates that are read into memory at once, bytes in all; further ones are told to come again. */
export const MAX_UPDATE_BYTES_IN_FLIGHT = 512 << 20
const RETRY_AFTER_SECONDS = 1

/**
 * `PUT /v1/leases/{lease}/update`: a contributor's signed update. The lease's ticket opens the door, before a byte of the body is
 * read; whether the update is taken is decided by its signature and the lease. @returns false when the path is another's
 */
export function updateHandler(
  desk: UpdateDesk,
  ticketOf: (lease: string) => string,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  let inFlight = 0
  return (request, response) => {
    const lease = UPDATE_PATH.exec(request.url ?? '')?.[1]
    if (lease === undefined) return false
    if (request.method !== 'PUT') {
      answer(response, 405, { accepted: false, code: 'METHOD_NOT_ALLOWED', message: 'An update is sent by PUT.' })
      return true
    }
    void (async () => {
      let reserved = 0
      try {
        if (!bears(request.headers.authorization, ticketOf(lease)))
          throw new PinGoError('UNAUTHORIZED', 'This needs the ticket of the lease.')
        const limit = desk.limitOf(lease)
        const length = Number(request.headers['content-length'])
        if (!(length > 0 && length <= limit))
          throw new PinGoError('MESSAGE_TOO_LARGE', `An update for this job has a length of 1 to ${limit} bytes.`)
        if (inFlight + length > MAX_UPDATE_BYTES_IN_FLIGHT) {
          response.setHeader('retry-after', RETRY_AFTER_SECONDS)
          answer(response, 503, {
            accepted: false,
            code: 'BUSY',
            message: 'The fog node is taking many updates; try again in a second.',
          })
          return
        }
        inFlight += reserved = length
        answer(response, 200, await desk.receive(lease, await readBody(request, length)))
      } catch (error) {
        const code = error instanceof PinGoError ? error.code : 'INTERNAL'
        const status =
          code === 'LEASE_UNKNOWN'
            ? 404
            : code === 'INTERNAL'
              ? 500
              : code === 'DISK_FULL' || code === 'QUOTA_EXCEEDED'
                ? 507
                : 400
        answer(response, status, {
          accepted: false,
          code,
          message: code === 'INTERNAL' ? 'The fog node failed to take the update.' : sentence(error),
        })
      } finally {
        inFlight -= reserved
      }
    })()
    return true
  }
}

async function readBody(request: IncomingMessage, length: number): Promise<Uint8Array> {
  const body = new Uint8Array(length)
  let at = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if (at + chunk.length > length) throw new PinGoError('MESSAGE_TOO_LARGE', 'The update is longer than it said.')
    body.set(chunk, at)
    at += chunk.length
  }
  if (at !== length) throw new PinGoError('MESSAGE_MALFORMED', 'The update was cut off.')
  return body
}

function answer(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return
  const json = JSON.stringify(body)
  // a refused body is not read to its end: the connection cannot be used again
  if (status >= 400) response.setHeader('connection', 'close')
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(json),
      'x-content-type-options': 'nosniff',
    })
    .end(json)
}
