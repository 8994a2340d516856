import { type ClientRequest, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { PinGoError, validate } from '@pingo/wire'
import { z } from 'zod'
import { type Endpoint, unreachable } from './connection.ts'

/** Longest answer that is read, bytes (the ledger of a long job). */
export const MAX_ANSWER_BYTES = 64 << 20
export const ANSWER_TIMEOUT_MS = 30_000

const ErrorAnswerSchema = z.object({
  error: z.object({ code: z.string().max(100), message: z.string().max(5000), hint: z.string().max(5000).optional() }),
})

export interface CallOptions {
  method?: 'GET' | 'POST' | 'PATCH'
  /** Sent as JSON. */
  body?: unknown
  signal?: AbortSignal
  /** Longest wait for the answer's head and between its parts. */
  timeoutMs?: number
}

/** Speaks HTTP with one fog node: JSON in and out, typed errors, a pinned certificate where one is given. */
export class Gateway {
  #endpoint: () => Promise<Endpoint>
  #agents = new Map<string, HttpsAgent>()

  constructor(endpoint: () => Promise<Endpoint>) {
    this.#endpoint = endpoint
  }

  /** Where the fog node is now. */
  endpoint(): Promise<Endpoint> {
    return this.#endpoint()
  }

  /**
   * One request whose JSON answer fits `schema`.
   * @throws PinGoError FOG_UNREACHABLE, TIMEOUT, FOG_ANSWER_INVALID, or the code that the fog node answered
   */
  async json<S extends z.ZodType>(path: string, schema: S, options: CallOptions = {}): Promise<z.output<S>> {
    const response = await this.open(path, options)
    const bytes = await readAll(response)
    let value: unknown
    try {
      value = JSON.parse(bytes.toString('utf8'))
    } catch (cause) {
      throw notPinGo((await this.#endpoint()).url, cause)
    }
    try {
      return validate(schema, value, `answer of the fog node to ${path}`)
    } catch (cause) {
      throw new PinGoError('FOG_ANSWER_INVALID', (cause as Error).message, {
        hint: 'The fog node and this client may be of different versions.',
        cause,
      })
    }
  }

  /** One request, answered with its open body once the head says that all is well. */
  async open(
    path: string,
    options: CallOptions & { headers?: OutgoingHttpHeaders; accept?: string } = {},
  ): Promise<IncomingMessage> {
    options.signal?.throwIfAborted()
    const endpoint = await this.#endpoint()
    const response = await this.#send(endpoint, path, options)
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return response
    const text = (await readAll(response)).toString('utf8')
    const answer = ErrorAnswerSchema.safeParse(parseOrUndefined(text))
    if (answer.success) {
      const { code, message, hint } = answer.data.error
      throw new PinGoError(code, message, { hint: hint ?? tokenHint(status, endpoint), details: { status } })
    }
    if (status === 401 || status === 403)
      throw new PinGoError('UNAUTHORIZED', `The fog node at ${endpoint.url} refused the token.`, {
        hint: tokenHint(status, endpoint),
      })
    if (status >= 500) throw new PinGoError('FOG_ERROR', `The fog node at ${endpoint.url} answered ${status}.`)
    throw notPinGo(endpoint.url)
  }

  #send(
    endpoint: Endpoint,
    path: string,
    {
      method = 'GET',
      body,
      signal,
      timeoutMs = ANSWER_TIMEOUT_MS,
      headers,
      accept = 'application/json',
    }: CallOptions & {
      headers?: OutgoingHttpHeaders
      accept?: string
    },
  ): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const url = new URL(`${endpoint.url}${path}`)
    const isTls = url.protocol === 'https:'
    return new Promise((resolve, reject) => {
      const options = {
        method,
        headers: {
          accept,
          ...headers,
          ...(payload ? { 'content-type': 'application/json', 'content-length': payload.length } : {}),
          ...(endpoint.token ? { authorization: `Bearer ${endpoint.token}` } : {}),
        },
        timeout: timeoutMs,
        signal,
      }
      const request: ClientRequest = isTls
        ? httpsRequest(url, { ...options, agent: this.#agentFor(endpoint) })
        : httpRequest(url, options)
      request.on('timeout', () =>
        request.destroy(
          new PinGoError('TIMEOUT', `The fog node at ${endpoint.url} has not answered for ${timeoutMs / 1000} s.`, {
            hint: 'It may be busy or the network slow; try again.',
          }),
        ),
      )
      request.on('error', (error) =>
        reject(
          signal?.aborted
            ? signal.reason
            : error instanceof PinGoError
              ? error
              : unreachable(endpoint, reasonOf(error), error),
        ),
      )
      request.on('response', resolve)
      request.end(payload)
    })
  }

  #agentFor({ pin }: Endpoint): HttpsAgent | undefined {
    if (!pin) return undefined
    const agent = this.#agents.get(pin) ?? pinnedAgent(pin)
    this.#agents.set(pin, agent)
    return agent
  }

  /** Closes kept connections. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }
}

/** Connections to whoever holds the key of the certificate with this fingerprint; nothing is sent before that is known. */
function pinnedAgent(pin: string): HttpsAgent {
  const agent = new HttpsAgent({ keepAlive: true })
  agent.createConnection = (options, ready) => {
    const socket = tlsConnect({ ...(options as object), rejectUnauthorized: false }, () => {
      const found = socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '').toLowerCase()
      if (found === pin) return ready?.(null, socket)
      const error = new PinGoError(
        'FOG_PIN_MISMATCH',
        'The fog node shows another certificate than the address names.',
        {
          hint: 'Ask its owner for the current address; somebody else may be listening there.',
        },
      )
      socket.destroy()
      ready?.(error, undefined as unknown as Duplex)
    })
    socket.once('error', (error) => ready?.(error, undefined as unknown as Duplex))
    return undefined
  }
  return agent
}

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length
      if (length > MAX_ANSWER_BYTES)
        throw new PinGoError(
          'FOG_ANSWER_INVALID',
          `The fog node's answer is longer than ${MAX_ANSWER_BYTES >> 20} MiB.`,
        )
      parts.push(part)
    }
  } catch (error) {
    if (error instanceof PinGoError) throw error
    throw new PinGoError('FOG_UNREACHABLE', 'The fog node broke off its answer.', {
      hint: 'Try again; it may be restarting.',
      cause: error,
    })
  }
  return Buffer.concat(parts)
}

const notPinGo = (url: string, cause?: unknown): PinGoError =>
  new PinGoError('FOG_ANSWER_INVALID', `What answers at ${url} is not a PinGo fog node.`, {
    hint: 'Check the address and the port.',
    cause,
  })

function tokenHint(status: number, endpoint: Endpoint): string | undefined {
  if (status !== 401 && status !== 403) return undefined
  return endpoint.token
    ? 'Give the token that the fog node printed at its start: --token or PINGO_TOKEN.'
    : 'Submitting, stopping and storing need the token that the fog node printed at its start: --token or PINGO_TOKEN.'
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection lost',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name cannot be looked up now',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no way to the host',
  ENETUNREACH: 'no network',
  EPIPE: 'connection lost',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is its own: add #PIN as the fog node prints it',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is its own: add #PIN as the fog node prints it',
}
const reasonOf = (error: Error): string => {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return REASONS[code] ?? (code || error.message)
}
