import { PinGoError } from '@pingo/wire'
import { z } from 'zod'

/** One server of a network. */
export interface RemoteServer {
  /** Address of toncenter's JSON-RPC, version 2. */
  url: string
  apiKey?: string
}

/** Bytes of an answer, time for one request, and rounds over all servers. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
export const REQUEST_MS = 15_000
const ROUNDS = 3
const BACKOFF_MS = 400

const Answer = z.union([
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({
    ok: z.literal(false),
    error: z.string().max(4096).optional(),
    code: z.union([z.string().max(64), z.number()]).optional(),
  }),
])

/** A server's refusal of what was asked: another server would say the same. */
class Refused extends Error {
  readonly code: string | undefined

  constructor(message: string, code: string | undefined) {
    super(message)
    this.code = code
  }
}

/**
 * Asks one server.
 *
 * @throws PinGoError CHAIN_REFUSED, or the server's own code, when it refuses; CHAIN_UNREACHABLE when it can't be reached, is too slow or
 *   answers what can't be read.
 */
export async function callServer<T>(
  server: RemoteServer,
  method: string,
  params: unknown,
  schema: z.ZodType<T>,
  { signal, requestMs = REQUEST_MS }: { signal?: AbortSignal; requestMs?: number } = {},
): Promise<T> {
  const deadline = AbortSignal.timeout(requestMs)
  let text: string
  try {
    const response = await fetch(server.url, {
      method: 'POST',
      redirect: 'error',
      headers: { 'content-type': 'application/json', ...(server.apiKey && { 'x-api-key': server.apiKey }) },
      body: JSON.stringify({ id: '1', jsonrpc: '2.0', method, params }),
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    })
    text = await bounded(response)
  } catch (cause) {
    if (signal?.aborted) throw signal.reason
    throw unreachable(
      server,
      deadline.aborted ? `did not answer within ${requestMs / 1000} s` : 'could not be reached',
      cause,
    )
  }
  let answer: z.output<typeof Answer>
  try {
    answer = Answer.parse(JSON.parse(text))
  } catch (cause) {
    throw unreachable(server, 'gave an answer that is none', cause)
  }
  if (!answer.ok) {
    const code = typeof answer.code === 'string' && /^CHAIN_[A-Z_]+$/.test(answer.code) ? answer.code : undefined
    throw new Refused(answer.error ?? 'the server refused', code)
  }
  const parsed = schema.safeParse(answer.result)
  if (!parsed.success) throw unreachable(server, `answered ${method} in another form than it should`, parsed.error)
  return parsed.data
}

/** Asks the servers one after another, again with growing pauses, until one answers. */
export async function callAny<T>(
  servers: readonly RemoteServer[],
  method: string,
  params: unknown,
  schema: z.ZodType<T>,
  options: { signal?: AbortSignal; requestMs?: number; rounds?: number } = {},
): Promise<T> {
  const rounds = options.rounds ?? ROUNDS
  let failure: unknown
  for (let round = 0; round < rounds; round++) {
    for (const server of servers) {
      try {
        return await callServer(server, method, params, schema, options)
      } catch (error) {
        if (options.signal?.aborted) throw options.signal.reason
        if (error instanceof Refused && !isRateLimit(error)) {
          throw new PinGoError(error.code ?? 'CHAIN_REFUSED', error.message, { cause: error })
        }
        failure = error
      }
    }
    if (round + 1 < rounds) await new Promise((resolve) => setTimeout(resolve, BACKOFF_MS * 2 ** round))
  }
  throw failure instanceof PinGoError
    ? failure
    : new PinGoError('CHAIN_UNREACHABLE', (failure as Error).message, { cause: failure })
}

const isRateLimit = ({ message }: Error): boolean => /rate ?limit|too many|timeout/i.test(message)

async function bounded(response: Response): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error('the answer is too large')
    parts.push(Buffer.from(part))
  }
  return Buffer.concat(parts).toString('utf8')
}

function unreachable({ url }: RemoteServer, what: string, cause: unknown): PinGoError {
  return new PinGoError('CHAIN_UNREACHABLE', `${new URL(url).host} ${what}`, {
    hint: 'Try again in a moment, or give another server.',
    cause,
  })
}
