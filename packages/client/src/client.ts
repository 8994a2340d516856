import { resolve } from 'node:path'
import {
  type DatasetView,
  DatasetViewSchema,
  type Explanation,
  ExplanationSchema,
  type JobEvent,
  JobSubmissionSchema,
  type JobView,
  JobViewSchema,
  type Ledger,
  LedgerSchema,
  ModelCardSchema,
  type NetworkView,
  NetworkViewSchema,
  PinGoError,
  type Quote,
  QuoteSchema,
  type RoundView,
  RoundViewSchema,
  type StorageChange,
  type StorageView,
  StorageViewSchema,
  validate,
} from '@pingo/wire'
import { z } from 'zod'
import { type ConnectOptions, type Endpoint, findEndpoint } from './connection.ts'
import { type FollowOptions, followJob } from './events.ts'
import { Gateway } from './gateway.ts'
import { homeFolder } from './home.ts'
import { parseJob, readJobFile } from './job-file/read.ts'
import type { JobFile } from './job-file/schema.ts'
import type { Job } from './job-file/settle.ts'
import type { ImportedDataset, ImportSettings } from './prepare/data.ts'
import type { Progress } from './prepare/progress.ts'
import type { FetchedResult, FetchOptions } from './result.ts'
import type { Store } from './store/store.ts'
import { type Verification, verifyLedger } from './verify.ts'

const JobsSchema = z.object({ jobs: z.array(JobViewSchema) })
const RoundsSchema = z.object({ rounds: z.array(RoundViewSchema) })
const DatasetsSchema = z.object({ datasets: z.array(DatasetViewSchema) })

export interface CallOptions {
  signal?: AbortSignal
}
export interface SubmitOptions extends CallOptions {
  /** Told what happens between the job file and the job: import, checks, upload. */
  onProgress?(progress: Progress): void
  /** Folder that relative paths of a job given as an object are taken from. Default: the working directory. */
  folder?: string
}

/** What {@link Client.quote} tells: the fog node's estimate and what was seen of the job. */
export interface JobQuote extends Quote {
  name: string
  parameters: number
  flopsPerSample: number
  epochs: number
}

/**
 * A user's view of the network through one fog node. Every call takes an AbortSignal and throws PinGoError:
 * FOG_UNREACHABLE, TIMEOUT, FOG_ANSWER_INVALID, UNAUTHORIZED, or a code of the fog node such as JOB_UNKNOWN.
 */
export class Client {
  readonly #gateway: Gateway
  readonly #home: string
  #store: Promise<Store> | undefined

  constructor(endpoint: () => Promise<Endpoint>, home: string) {
    this.#gateway = new Gateway(endpoint)
    this.#home = home
  }

  /** Where the fog node is. */
  endpoint(): Promise<Endpoint> {
    return this.#gateway.endpoint()
  }

  /** The fog node's part in the storage network; with its token, ids of objects are whole. */
  storage(options: CallOptions = {}): Promise<StorageView> {
    return this.#gateway.json('/v1/storage', StorageViewSchema, options)
  }

  /** Has the fog node leave the storage network or stay, or check all objects in its care; with its token. */
  changeStorage(change: StorageChange, options: CallOptions = {}): Promise<StorageView> {
    return this.#gateway.json('/v1/storage', StorageViewSchema, { ...options, method: 'PATCH', body: change })
  }

  /** The fog node, its contributors, speed and storage. */
  network(options: CallOptions = {}): Promise<NetworkView> {
    return this.#gateway.json('/v1/network', NetworkViewSchema, options)
  }

  /** All jobs, newest first. */
  async jobs(options: CallOptions = {}): Promise<JobView[]> {
    return (await this.#gateway.json('/v1/jobs', JobsSchema, options)).jobs
  }

  job(id: string, options: CallOptions = {}): Promise<JobView> {
    return this.#gateway.json(pathOf(id), JobViewSchema, options)
  }

  async rounds(id: string, options: CallOptions = {}): Promise<RoundView[]> {
    return (await this.#gateway.json(`${pathOf(id)}/rounds`, RoundsSchema, options)).rounds
  }

  ledger(id: string, options: CallOptions = {}): Promise<Ledger> {
    return this.#gateway.json(`${pathOf(id)}/ledger`, LedgerSchema, options)
  }

  /** Why a job is where it is, and what would change that. */
  explain(id: string, options: CallOptions = {}): Promise<Explanation> {
    return this.#gateway.json(`${pathOf(id)}/explain`, ExplanationSchema, options)
  }

  /** Ends a job; what was trained until then is kept in its last checkpoint. */
  stop(id: string, options: CallOptions = {}): Promise<JobView> {
    return this.#gateway.json(`${pathOf(id)}/stop`, JobViewSchema, { ...options, method: 'POST', body: {} })
  }

  /** Events of a job until it ends; see {@link FollowOptions}. Survives lost connections and a restart of the fog node. */
  follow(id: string, options: FollowOptions = {}): AsyncGenerator<JobEvent> {
    return followJob(this.#gateway, id, options)
  }

  /**
   * Imports data, checks the model against them, uploads both and submits the job.
   * @param job path of a job file, a job as an object, or a {@link Job} that was read before
   * @throws PinGoError JOB_FILE_*, DATA_*, GRAPH_UNSUPPORTED, ONNX_MALFORMED and others, each with its fix
   */
  async submit(job: string | JobFile | Job, options: SubmitOptions = {}): Promise<JobView> {
    const settled = await this.#settle(job, options)
    const { prepare } = await import('./prepare/prepare.ts')
    const submission = await prepare(settled, this.#context(), options)
    options.onProgress?.({ stage: 'submit', message: 'Submitting the job' })
    return this.#gateway.json('/v1/jobs', JobViewSchema, {
      method: 'POST',
      body: validate(JobSubmissionSchema, submission, 'job submission'),
      signal: options.signal,
    })
  }

  /** How long a job would take on the network as it is now. Imports and checks like submit, uploads nothing. */
  async quote(job: string | JobFile | Job, options: SubmitOptions = {}): Promise<JobQuote> {
    const settled = await this.#settle(job, options)
    const { measure } = await import('./prepare/prepare.ts')
    const { parameters, request } = await measure(settled, this.#context(), options)
    const quote = await this.#gateway.json('/v1/quotes', QuoteSchema, {
      method: 'POST',
      body: request,
      signal: options.signal,
    })
    return { ...quote, name: settled.name, parameters, flopsPerSample: request.flopsPerSample, epochs: request.epochs }
  }

  /** Fetches and checks a done job's model.onnx, checkpoint.safetensors and model.json into `folder`; resumable. */
  async fetch(id: string, folder: string, options: FetchOptions = {}): Promise<FetchedResult> {
    const [job, endpoint] = [await this.job(id, options), await this.#gateway.endpoint()]
    const { fetchResult } = await import('./result.ts')
    return fetchResult(job, endpoint, resolve(folder), options)
  }

  /** Recounts a job's ledger against its rounds, shares and model card. */
  async verify(id: string, options: CallOptions = {}): Promise<Verification> {
    const ledger = await this.ledger(id, options)
    const [job, rounds] = [await this.job(id, options), await this.rounds(id, options)]
    const card = job.result
      ? await this.#gateway.json(`${pathOf(id)}/files/model.json`, ModelCardSchema, options)
      : undefined
    return verifyLedger(ledger, { job, rounds, card })
  }

  /** Datasets in the fog node. */
  async datasets(options: CallOptions = {}): Promise<DatasetView[]> {
    return (await this.#gateway.json('/v1/datasets', DatasetsSchema, options)).datasets
  }

  /** Imports a file or folder as a dataset into the fog node; with `test` split off also the test data. */
  async importDataset(
    path: string,
    options: ImportSettings & SubmitOptions = {},
  ): Promise<{ train: ImportedDataset; test?: ImportedDataset }> {
    const { importAndUpload } = await import('./prepare/prepare.ts')
    return importAndUpload(resolve(path), this.#context(), options)
  }

  /**
   * The store of this machine's owner (see `@pingo/client/store`): opened when it is asked for first, closed with the client.
   * @throws PinGoError KEYRING_UNREADABLE, STORE_DAMAGED
   */
  store(): Promise<Store> {
    this.#store ??= import('./store/open.ts').then(({ openStore }) =>
      openStore({ home: this.#home, endpoint: () => this.#gateway.endpoint() }),
    )
    return this.#store
  }

  /** Closes kept connections, and the store. */
  async close(): Promise<void> {
    this.#gateway.close()
    await (await this.#store?.catch(() => undefined))?.close()
  }

  #context() {
    return { gateway: this.#gateway, home: this.#home }
  }

  async #settle(job: string | JobFile | Job, options: SubmitOptions): Promise<Job> {
    if (typeof job === 'string') return readJobFile(job)
    return 'resultFolder' in job ? job : parseJob(job, options)
  }
}

/**
 * A client of the fog node that is named by options, environment or the connection file of one on this machine.
 * Nothing is sent yet: the first call tells whether somebody answers.
 * @throws PinGoError FOG_UNKNOWN, FOG_ADDRESS_INVALID
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const first = await findEndpoint(options)
  // A fog node on this machine may come back at another port: its file is read again.
  const endpoint = first.file ? () => findEndpoint(options).catch(() => first) : () => Promise.resolve(first)
  return new Client(endpoint, options.home ?? homeFolder(options.environment))
}

function pathOf(id: string): string {
  if (!/^[\w.-]{1,200}$/.test(id))
    throw new PinGoError('JOB_UNKNOWN', `'${id.slice(0, 100)}' is not the id of a job.`, {
      hint: 'See `pingo job list`.',
    })
  return `/v1/jobs/${encodeURIComponent(id)}`
}
