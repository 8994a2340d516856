import type { DatasetView, Explanation, JobView, NetworkView, RoundView, StorageView } from '@pingo/wire'
import {
  decodeDatasets,
  decodeExplanation,
  decodeJob,
  decodeJobs,
  decodeNetwork,
  decodeRounds,
  decodeStorage,
} from './decode.ts'

/** Longest wait for one answer of the fog node. */
export const REQUEST_TIMEOUT_MS = 8_000

/** The fog node answered with an error status; `status` is HTTP's, the message one sentence. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The overview in one go. `serverNow` is the fog node's clock, ms since the epoch, to a second. */
export interface Overview {
  network: NetworkView
  jobs: JobView[]
  serverNow: number
}

async function get(path: string, signal: AbortSignal): Promise<{ body: unknown; date: number }> {
  const response = await fetch(path, {
    headers: { accept: 'application/json' },
    cache: 'no-store',
    signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
  })
  const date = Date.parse(response.headers.get('date') ?? '')
  if (!response.ok) throw new ApiError(response.status, await errorSentence(response))
  return { body: await response.json(), date: Number.isFinite(date) ? date : Date.now() }
}

async function errorSentence(response: Response): Promise<string> {
  const fallback = `The fog node answered ${response.status}.`
  try {
    const body = (await response.json()) as { error?: { message?: unknown; hint?: unknown } }
    const { message, hint } = body.error ?? {}
    if (typeof message !== 'string') return fallback
    return typeof hint === 'string' ? `${message} ${hint}` : message
  } catch {
    return fallback
  }
}

const jobPath = (id: string): string => `/v1/jobs/${encodeURIComponent(id)}`

export async function fetchOverview(signal: AbortSignal): Promise<Overview> {
  const [network, jobs] = await Promise.all([get('/v1/network', signal), get('/v1/jobs', signal)])
  return { network: decodeNetwork(network.body), jobs: decodeJobs(jobs.body), serverNow: network.date }
}

/** A job and its committed rounds, ascending. @throws ApiError with status 404 when the fog node has no such job. */
export async function fetchJob(id: string, signal: AbortSignal): Promise<{ job: JobView; rounds: RoundView[] }> {
  const [job, rounds] = await Promise.all([get(jobPath(id), signal), get(`${jobPath(id)}/rounds`, signal)])
  return { job: decodeJob(job.body), rounds: decodeRounds(rounds.body) }
}

export async function fetchExplanation(id: string, signal: AbortSignal): Promise<Explanation> {
  return decodeExplanation((await get(`${jobPath(id)}/explain`, signal)).body)
}

export async function fetchDatasets(signal: AbortSignal): Promise<DatasetView[]> {
  return decodeDatasets((await get('/v1/datasets', signal)).body)
}

/** The fog node's part in the storage network, and its clock. */
export async function fetchStorage(signal: AbortSignal): Promise<{ storage: StorageView; serverNow: number }> {
  const { body, date } = await get('/v1/storage', signal)
  return { storage: decodeStorage(body), serverNow: date }
}

export const eventsUrl = (id: string): string => `${jobPath(id)}/events`

export const RESULT_FILES = ['model.onnx', 'checkpoint.safetensors', 'model.json'] as const
export type ResultFile = (typeof RESULT_FILES)[number]
export const fileUrl = (id: string, file: ResultFile): string => `${jobPath(id)}/files/${file}`
